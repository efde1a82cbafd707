"""Distributions of continuous columns beside the Gaussian: a mean, a standard deviation, and what a family adds.

Whoever asks a venv for the mean and the spread of a node gets those of the whole distribution, whatever its family.
All sampling takes standard normal noise of the value's shape, as in `heads`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

from revive.nn.gaussian import HALF_LOG_TWO_PI, negative_log_likelihood

FREEDOM = 4.0  # of Student's t: the fewest with a variance that estimates well
EDGE = 1e-6  # of uniform noise
TOUCHES = 1e-4  # spreads of a column from its atom that a value may be and still count as it


class Family(Protocol):
    """What a distribution of (..., d) values adds to a mean and the log of a standard deviation, (..., d) each."""

    def cost(self, target: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
        """`-log p`, (..., d); of an atom `-log P`."""

    def sample(self, mean: Tensor, log_std: Tensor, eps: Tensor) -> Tensor:
        """A sample with a gradient; eps (..., d) standard normal."""

    def mode(self, mean: Tensor, log_std: Tensor) -> Tensor:
        """What a rollout without noise takes, (..., d)."""

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Family:
        """The same with every tensor (..., d) of it changed, as to pick members or to detach."""


@dataclass(frozen=True)
class StudentT:
    """`t` with four degrees of freedom, scaled to the standard deviation (Lange, Little and Taylor 1989).

    Outliers weigh less than in a Gaussian: the cost of a residual r grows as `log(1 + r^2 / 4)`.
    """

    def cost(self, target: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
        z = (target - mean) * (-log_std).exp() / _T_SCALE
        return 0.5 * (FREEDOM + 1.0) * torch.log1p(z.square() / FREEDOM) + log_std + _T_CONSTANT

    def sample(self, mean: Tensor, log_std: Tensor, eps: Tensor) -> Tensor:
        """By the inverse of the distribution function, closed for four degrees (Shaw 2006, J. Comput. Finance 9)."""
        tail = torch.special.ndtr(-eps.double().abs())
        root = (4.0 * tail * (1.0 - tail)).clamp(1e-30, 1.0).sqrt()
        size = 2.0 * (torch.cos(torch.arccos(root) / 3.0) / root - 1.0).clamp_min(0.0).sqrt()
        return mean + _T_SCALE * log_std.exp() * (size.to(eps.dtype) * eps.sign())

    def mode(self, mean: Tensor, log_std: Tensor) -> Tensor:
        return mean

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Family:
        return self


_T_SCALE = math.sqrt((FREEDOM - 2.0) / FREEDOM)
_T_CONSTANT = (
    math.lgamma(0.5 * FREEDOM)
    - math.lgamma(0.5 * (FREEDOM + 1.0))
    + 0.5 * math.log(FREEDOM * math.pi)
    + math.log(_T_SCALE)
)


@dataclass(frozen=True)
class Mixture:
    """`sum_k w_k N(mean + shift_k, (ratio_k std)^2)` per dimension (Bishop 1994, mixture density networks).

    Each list holds K tensors (..., d): shifts from the overall mean, logarithms of a component's standard deviation
    over the overall one, and unnormalised log-weights.
    """

    shifts: tuple[Tensor, ...]
    log_ratios: tuple[Tensor, ...]
    logits: tuple[Tensor, ...]

    def _log_weights(self) -> Tensor:
        return log_softmax(torch.stack(self.logits), dim=0)  # (K, ..., d)

    def _standard(self, value: Tensor, mean: Tensor, log_std: Tensor) -> tuple[Tensor, Tensor]:
        """A value in each component's units, and the logarithms of those: (K, ..., d)."""
        logs = log_std + torch.stack(self.log_ratios)
        return (value - mean - torch.stack(self.shifts)) * (-logs).exp(), logs

    def cost(self, target: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
        z, logs = self._standard(target, mean, log_std)
        return -torch.logsumexp(self._log_weights() - 0.5 * z.square() - logs - HALF_LOG_TWO_PI, dim=0)

    def sample(self, mean: Tensor, log_std: Tensor, eps: Tensor) -> Tensor:
        """The noise chooses a component and a place in it. Gradients are implicit, `dx/dp = -(dF/dp) / f`, so that
        those of weights are right as well (Figurnov, Mohamed and Mnih 2018, arXiv:1805.08498).
        """
        with torch.no_grad():
            weights = self._log_weights().exp()
            uniform = torch.special.ndtr(eps).clamp(EDGE, 1.0 - EDGE)
            stops = weights.cumsum(0)
            chosen = (uniform > stops[:-1]).sum(0, keepdim=True)
            within = (uniform - (stops - weights).gather(0, chosen)[0]) / weights.gather(0, chosen)[
                0
            ].clamp_min(EDGE)
            logs = (log_std + torch.stack(self.log_ratios)).expand_as(weights).gather(0, chosen)[0]
            centre = mean + torch.stack(self.shifts).expand_as(weights).gather(0, chosen)[0]
            value = centre + logs.exp() * torch.special.ndtri(within.clamp(EDGE, 1.0 - EDGE))
        if not (torch.is_grad_enabled() and (mean.requires_grad or self.logits[0].requires_grad)):
            return value
        z, logs = self._standard(value, mean, log_std)
        below = (self._log_weights().exp() * torch.special.ndtr(z)).sum(0)
        density = (-self.cost(value, mean, log_std)).exp().detach().clamp_min(1e-12)
        return value - (below - below.detach()) / density

    def mode(self, mean: Tensor, log_std: Tensor) -> Tensor:
        """The mean of the component with the most weight."""
        likeliest = torch.stack(self.logits).argmax(0, keepdim=True)
        return (
            mean
            + torch.stack(self.shifts).expand(len(self.shifts), *likeliest.shape[1:]).gather(0, likeliest)[0]
        )

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Family:
        return Mixture(
            *(tuple(change(part) for part in parts) for parts in (self.shifts, self.log_ratios, self.logits))
        )


@dataclass(frozen=True)
class ZeroInflated:
    """With probability `1 - p` exactly `atom`, else `N(mean + shift, (ratio std)^2)` (after Lambert 1992).

    All (..., d): logit of p; shift and log_ratio of the Gaussian against the mean and the spread of the whole.
    """

    atom: Tensor
    logit: Tensor
    shift: Tensor
    log_ratio: Tensor

    def cost(self, target: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
        free = negative_log_likelihood(target, mean + self.shift, log_std + self.log_ratio)
        stuck = (target - self.atom).abs() < TOUCHES
        return torch.where(stuck, -logsigmoid(-self.logit), free - logsigmoid(self.logit))

    def sample(self, mean: Tensor, log_std: Tensor, eps: Tensor) -> Tensor:
        share = torch.sigmoid(self.logit)
        uniform = torch.special.ndtr(eps).clamp(EDGE, 1.0 - EDGE)
        within = (uniform - (1.0 - share.detach())) / share.detach().clamp_min(EDGE)
        noise = torch.special.ndtri(within.clamp(EDGE, 1.0 - EDGE))
        free = mean + self.shift + (log_std + self.log_ratio).exp() * noise
        return self._chosen(within > 0.0, share, free)

    def mode(self, mean: Tensor, log_std: Tensor) -> Tensor:
        return self._chosen(self.logit > 0.0, torch.sigmoid(self.logit), mean + self.shift)

    def _chosen(self, moves: Tensor, share: Tensor, free: Tensor) -> Tensor:
        """The free value or the atom, with the gradient of the share (straight through)."""
        hard = moves.to(free.dtype) + share - share.detach()
        return torch.where(moves, free, self.atom) + (hard - hard.detach()) * (free - self.atom).detach()

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Family:
        return ZeroInflated(change(self.atom), change(self.logit), change(self.shift), change(self.log_ratio))
