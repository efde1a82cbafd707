"""What a network's outputs say about a node: Gaussians, ordered levels and categories side by side.

Continuous dimensions: `N(mean, std)`. Discrete columns, levels on [-1, 1]: the discretised logistic
`P(x) = sigmoid((x - m + h) / s) - sigmoid((x - m - h) / s)`, h half a step, open at both ends (Salimans et al. 2017,
PixelCNN++). Category columns: softmax. All sampling takes standard normal noise of the value's shape, so that
noise can be drawn once for a whole rollout and shared between what is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, logsigmoid

from revive.data.layout import Layout
from revive.data.transforms import to_level
from revive.nn.families import Family
from revive.nn.gaussian import negative_log_likelihood

EDGE = 1e-5  # of uniform noise


class Outputs(NamedTuple):
    """mean, log_std (..., ordered) of the ordered dimensions, logits (..., sum of choices) of the others.

    family: of the continuous dimensions, where they are no Gaussians; mean and log_std are then those of the whole.
    """

    mean: Tensor
    log_std: Tensor
    logits: Tensor | None
    family: Family | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Outputs:
        """Every tensor of it changed, as to pick members or to detach."""
        logits = None if self.logits is None else change(self.logits)
        family = None if self.family is None else self.family.mapped(change)
        return Outputs(change(self.mean), change(self.log_std), logits, family)


def mode(out: Outputs, layout: Layout) -> Tensor:
    """The likeliest value, (..., width), levels and choices hard (straight-through gradients)."""
    mean = out.mean
    if out.family is not None:
        c = layout.continuous
        likely = out.family.mode(mean[..., :c], out.log_std[..., :c])
        mean = likely if layout.is_plain else torch.cat([likely, mean[..., c:]], dim=-1)
    return mean if layout.is_plain else _assemble(mean, out.logits, layout)


def sample(out: Outputs, layout: Layout, eps: Tensor) -> Tensor:
    """A reparameterised sample; eps (..., width) standard normal."""
    if out.family is not None:
        return _of_family(out, out.family, layout, eps)
    std = out.log_std.exp()
    if layout.is_plain:
        return torch.addcmul(out.mean, std, eps)
    uniform = torch.special.ndtr(eps).clamp(EDGE, 1.0 - EDGE)
    c, o = layout.continuous, layout.ordered
    noise = torch.cat([eps[..., :c], torch.logit(uniform[..., c:o])], dim=-1)
    logits = out.logits
    if logits is not None:
        logits = logits - (-uniform[..., o:].log()).log()  # Gumbel noise
    return _assemble(torch.addcmul(out.mean, std, noise), logits, layout)


def _of_family(out: Outputs, family: Family, layout: Layout, eps: Tensor) -> Tensor:
    """A sample whose continuous dimensions are of another family."""
    c = layout.continuous
    drawn = family.sample(out.mean[..., :c], out.log_std[..., :c], eps[..., :c])
    if layout.is_plain:
        return drawn
    rest = sample(out._replace(family=None), layout, eps)
    return torch.cat([drawn, rest[..., c:]], dim=-1)


def terms(out: Outputs, layout: Layout, target: Tensor) -> Tensor:
    """`-log p` per ordered dimension and per category column: (..., ordered + categories)."""
    c, o = layout.continuous, layout.ordered
    log_std = out.log_std.expand_as(out.mean)
    cost = negative_log_likelihood if out.family is None else out.family.cost
    parts = [cost(target[..., :c], out.mean[..., :c], log_std[..., :c])]
    for i, levels in enumerate(layout.levels):
        at = slice(c + i, c + i + 1)
        parts.append(level_cost(target[..., at], out.mean[..., at], log_std[..., at], levels))
    for start, stop in layout.blocks:
        assert out.logits is not None
        chosen = log_softmax(out.logits[..., start - o : stop - o], dim=-1) * target[..., start:stop]
        parts.append(-chosen.sum(-1, keepdim=True))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def level_cost(target: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """`-log P(level)` of the discretised logistic; all (...,)."""
    half = 1.0 / (levels - 1)
    inverse = (-log_scale).exp()
    upper, lower = (target - mean + half) * inverse, (target - mean - half) * inverse
    inside = _log_difference(upper, lower)
    cost = torch.where(target > 1.0 - half, logsigmoid(-lower), inside)
    return -torch.where(target < -1.0 + half, logsigmoid(upper), cost)


def _log_difference(upper: Tensor, lower: Tensor) -> Tensor:
    """`log(sigmoid(u) - sigmoid(l))` for u > l, without cancellation."""
    gap = (upper - lower).clamp_min(1e-6)
    return logsigmoid(upper) + logsigmoid(-lower) + torch.log(-torch.expm1(-gap))


def _assemble(mean: Tensor, logits: Tensor | None, layout: Layout) -> Tensor:
    parts = [mean[..., : layout.continuous]]
    for i, levels in enumerate(layout.levels):
        parts.append(to_level(mean[..., layout.continuous + i : layout.continuous + i + 1], levels))
    for start, stop in layout.blocks:
        assert logits is not None
        parts.append(_straight_through(logits[..., start - layout.ordered : stop - layout.ordered]))
    return torch.cat(parts, dim=-1)


def _straight_through(logits: Tensor) -> Tensor:
    """One-hot at the largest logit, with the gradient of the softmax."""
    hard = nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    if not logits.requires_grad:
        return hard
    soft = logits.softmax(-1)
    return hard + soft - soft.detach()
