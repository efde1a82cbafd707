"""From a network's outputs to the families of `families`: which parameters each of them has, and how they start."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from revive.nn.families import FREEDOM, TOUCHES, Family, Mixture, StudentT, ZeroInflated
from revive.nn.gaussian import soft_clamp
from revive.nn.heads import Outputs

HeadName = Literal["normal", "student_t", "mixture", "zero_inflated"]


class Said(NamedTuple):
    """A distribution of continuous dimensions: overall mean and log_std (M, B, d), and what its family adds."""

    mean: Tensor
    log_std: Tensor
    family: Family


class FamilyHead(nn.Module):
    """outputs: that it takes of a network, for its continuous dimensions."""

    outputs = 0

    def said(self, mean: Tensor, log_std: Tensor, extra: Tensor) -> Said:
        """mean, log_std (M, B, d) and extra (M, B, outputs), as a network says them -> the distribution."""
        raise NotImplementedError

    def spread(self, said: Said, target: Tensor, weight: Tensor) -> Tensor:
        """What to add to a network's log_std so that it fits rows; all (M, N, d), weight 0 where a target is missing.

        (M, 1, d).
        """
        return _root_mean_square((target - said.mean) * (-said.log_std).exp(), weight).log()

    def counts(self, target: Tensor) -> Tensor:
        """1 where a target (M, N, d) tells about the network's mean."""
        return torch.ones_like(target)


class StudentTHead(FamilyHead):
    """No parameters of its own."""

    def said(self, mean: Tensor, log_std: Tensor, extra: Tensor) -> Said:
        return Said(mean, log_std, StudentT())

    def spread(self, said: Said, target: Tensor, weight: Tensor) -> Tensor:
        """The likeliest scale, by the EM iteration of Lange, Little and Taylor (1989): outliers count less."""
        squares = ((target - said.mean) * (-said.log_std).exp()).square()
        variance = _mean(squares, weight).clamp_min(1e-8)
        for _ in range(30):
            inner = variance * (FREEDOM - 2.0) / FREEDOM  # the square of the scale of t
            each = (FREEDOM + 1.0) * squares / (FREEDOM + squares / inner)
            variance = (_mean(each, weight) * FREEDOM / (FREEDOM - 2.0)).clamp_min(1e-8)
        return 0.5 * variance.log()


class MixtureHead(FamilyHead):
    """K Gaussians per dimension about the network's mean; the places of their means start spread out.

    The network moves places and weights by `extra`; the components' own spreads are free parameters. All of them are in
    standard deviations that the network says.
    """

    def __init__(self, members: int, continuous: int, components: int) -> None:
        super().__init__()
        self.components, self.outputs = components, 2 * components * continuous
        places = torch.linspace(-1.0, 1.0, components) if components > 1 else torch.zeros(1)
        shape = (members, 1, components, continuous)
        self.places = nn.Parameter(places.view(1, 1, -1, 1).expand(shape).clone())
        self.log_ratios = nn.Parameter(torch.full(shape, -0.3))

    def said(self, mean: Tensor, log_std: Tensor, extra: Tensor) -> Said:
        members, rows, width = mean.shape
        moved, weighed = extra.view(members, rows, 2, self.components, width).unbind(2)  # (M, B, K, d)
        weights = weighed.softmax(-2)
        places = self.places + moved
        places = places - (weights * places).sum(-2, keepdim=True)
        ratios = soft_clamp(self.log_ratios, -7.0, 3.0)
        variance = (weights * ((2.0 * ratios).exp() + places.square())).sum(-2)
        widening = 0.5 * variance.log()  # (M, B, d)
        family = Mixture(
            (places * log_std.exp().unsqueeze(-2)).unbind(-2),
            (ratios - widening.unsqueeze(-2)).unbind(-2),
            weighed.unbind(-2),
        )
        return Said(mean, log_std + widening, family)


class ZeroInflatedHead(FamilyHead):
    """The network's mean and spread are those of values that are not stuck; `extra` is the logit of those.

    atom (continuous,): where values are stuck, in model space.
    """

    atom: Tensor

    def __init__(self, atom: Tensor) -> None:
        super().__init__()
        self.outputs = len(atom)
        self.register_buffer("atom", atom)

    def said(self, mean: Tensor, log_std: Tensor, extra: Tensor) -> Said:
        share, variance = torch.sigmoid(extra), (2.0 * log_std).exp()
        away = mean - self.atom
        overall = 0.5 * (share * variance + share * (1.0 - share) * away.square()).clamp_min(1e-12).log()
        shift = (1.0 - share) * away
        family = ZeroInflated(self.atom.expand_as(mean), extra, shift, log_std - overall)
        return Said(mean - shift, overall, family)

    def spread(self, said: Said, target: Tensor, weight: Tensor) -> Tensor:
        family = said.family
        assert isinstance(family, ZeroInflated)
        free = Said(said.mean + family.shift, said.log_std + family.log_ratio, family)
        return super().spread(free, target, weight * self.counts(target))

    def counts(self, target: Tensor) -> Tensor:
        return ((target - self.atom).abs() >= TOUCHES).to(target.dtype)


def family_head(
    name: HeadName, members: int, continuous: int, components: int, atom: Tensor | None
) -> FamilyHead | None:
    """The head of `continuous` dimensions; None for Gaussians, and where there are no such dimensions.

    components: of a mixture. atom (continuous,): where the values of a zero-inflated head are stuck; 0 where None.
    """
    if name == "normal" or continuous == 0:
        return None
    if name == "student_t":
        return StudentTHead()
    if name == "mixture":
        return MixtureHead(members, continuous, components)
    return ZeroInflatedHead(torch.zeros(continuous) if atom is None else atom.to(torch.float32))


def with_family(out: Outputs, head: FamilyHead, continuous: int, extra: Tensor | None) -> Outputs:
    """Outputs (M, B, d) whose first `continuous` dimensions are what `head` makes of them and of `extra`."""
    mean, log_std = out.mean[..., :continuous], out.log_std.expand_as(out.mean)
    none = mean.new_zeros(*mean.shape[:-1], 0)
    said = head.said(mean, log_std[..., :continuous], none if extra is None else extra)
    if out.mean.shape[-1] == continuous:
        return Outputs(said.mean, said.log_std, out.logits, said.family)
    return Outputs(
        torch.cat([said.mean, out.mean[..., continuous:]], dim=-1),
        torch.cat([said.log_std, log_std[..., continuous:]], dim=-1),
        out.logits,
        said.family,
    )


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    return (value * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp_min(1.0)


def _root_mean_square(value: Tensor, weight: Tensor) -> Tensor:
    return _mean(value.square(), weight).clamp_min(1e-8).sqrt()
