"""What a column becomes before it is scaled: itself, its logarithm, its normal score, a point on a circle, one-hot.

Each transform takes a column (...,) in physical units to its latent dimensions (..., w) and back.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from revive.graph.columns import Column

SMALLEST = 1e-12
KNOTS = 65


class Transform(Protocol):
    """From physical units to latent dimensions and back."""

    width: int

    def to_latent(self, x: Tensor) -> Tensor:
        """(...,) -> (..., width)."""

    def to_physical(self, latent: Tensor) -> Tensor:
        """(..., width) -> (...,)."""


class Itself:
    """Nothing changes."""

    width = 1

    def to_latent(self, x: Tensor) -> Tensor:
        return x.unsqueeze(-1)

    def to_physical(self, latent: Tensor) -> Tensor:
        return latent[..., 0]


class Logarithm:
    """For columns above zero that span orders of magnitude."""

    width = 1

    def to_latent(self, x: Tensor) -> Tensor:
        return x.clamp_min(SMALLEST).log().unsqueeze(-1)

    def to_physical(self, latent: Tensor) -> Tensor:
        return latent[..., 0].exp()


class Circle:
    """A cyclic column: the sine and the cosine of its angle."""

    width = 2

    def __init__(self, start: float, period: float) -> None:
        self.start, self.period = start, period

    def to_latent(self, x: Tensor) -> Tensor:
        angle = (x - self.start) * (2.0 * math.pi / self.period)
        return torch.stack([angle.sin(), angle.cos()], dim=-1)

    def to_physical(self, latent: Tensor) -> Tensor:
        angle = torch.atan2(latent[..., 0], latent[..., 1]) % (2.0 * math.pi)
        return self.start + angle * (self.period / (2.0 * math.pi))


class OneHot:
    """A category column; a soft choice is made hard on the way back, with the soft one's gradient."""

    def __init__(self, values: tuple[float, ...]) -> None:
        self.values = torch.tensor(values, dtype=torch.float64)
        self.width = len(values)

    def to_latent(self, x: Tensor) -> Tensor:
        values = self.values.to(x)
        nearest = (x.unsqueeze(-1) - values).abs().argmin(-1)
        return nn.functional.one_hot(nearest, self.width).to(x.dtype)

    def to_physical(self, latent: Tensor) -> Tensor:
        return harden(latent) @ self.values.to(latent)


class NormalScore(nn.Module):
    """The normal quantile of the value's rank in the training data, piecewise linear between knots."""

    width = 1
    knots: Tensor
    scores: Tensor

    def __init__(self, values: np.ndarray | None) -> None:
        super().__init__()
        p = (np.arange(KNOTS) + 0.5) / KNOTS
        scores = torch.special.ndtri(torch.as_tensor(p))
        knots = np.linspace(0.0, 1.0, KNOTS) if values is None else _increasing(np.quantile(values, p))
        self.register_buffer("scores", scores)
        self.register_buffer("knots", torch.as_tensor(knots, dtype=torch.float64))

    def to_latent(self, x: Tensor) -> Tensor:
        return _interpolate(x, self.knots.to(x), self.scores.to(x)).unsqueeze(-1)

    def to_physical(self, latent: Tensor) -> Tensor:
        return _interpolate(latent[..., 0], self.scores.to(latent), self.knots.to(latent))


def transform_of(column: Column, values: np.ndarray | None) -> Transform:
    """The transform of a column; `values` (N,) of the training part, None where a bundle will fill it in."""
    if column.type == "category":
        return OneHot(column.values or (0.0,))
    if column.scale == "cyclic":
        return Circle(column.min or 0.0, column.cycle or 1.0)
    if column.scale == "log":
        return Logarithm()
    if column.scale == "quantile":
        return NormalScore(values)
    return Itself()


def harden(soft: Tensor) -> Tensor:
    """One-hot at the largest entry of the last axis; the gradient is that of `soft` (straight-through)."""
    hard = nn.functional.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    return hard + soft - soft.detach() if soft.requires_grad else hard


def to_level(z: Tensor, levels: int) -> Tensor:
    """The nearest of `levels` equally spaced values on [-1, 1], with the gradient of `z` (straight-through)."""
    half = (levels - 1) / 2.0
    nearest = ((z.clamp(-1.0, 1.0) + 1.0) * half).round() / half - 1.0
    return z + (nearest - z).detach()


def _increasing(knots: np.ndarray) -> np.ndarray:
    """Ties pulled apart by as little as single precision can tell."""
    step = max(float(np.abs(knots).max()), float(np.ptp(knots)), 1e-6) * 1e-6
    return knots + step * np.arange(len(knots))


def _interpolate(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Piecewise linear through (xs, ys), continued straight beyond the ends."""
    right = torch.searchsorted(xs, x.detach().contiguous()).clamp(1, len(xs) - 1)
    x0, x1, y0, y1 = xs[right - 1], xs[right], ys[right - 1], ys[right]
    return y0 + (x - x0) * ((y1 - y0) / (x1 - x0))
