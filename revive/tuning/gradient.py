"""Following the gradient of the reward through the virtual environment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from revive.errors import UserError
from revive.tuning.methods import require_continuous, unfit
from revive.tuning.objective import Objective
from revive.tuning.space import Space

EDGE = 0.01  # of the range: so close to it, a point is tried on the edge, which a sigmoid never reaches


@dataclass(frozen=True)
class Gradient:
    """Adam through the venv on `q`, `point = sigmoid(q)`, from many starts at once; continuous columns only.

    Cyclic columns, which have no edges, follow `point = q / 4` instead, as steep as the sigmoid's middle.

    starts: Sobol points that are followed. The lower three quarters of them are given up after a quarter of the
    iterations, so that the budget pays for more iterations. lr: of Adam, in q, falling to nothing along a cosine.
    segment: steps that gradients run through; longer rollouts are cut into such pieces.
    """

    starts: int
    lr: float
    segment: int

    def check(self, space: Space) -> None:
        """Raises UserError where columns are discrete."""
        require_continuous(space, "follows gradients")

    def search(self, objective: Objective, budget: int, seed: int) -> Tensor:
        """Raises UserError where no gradient reaches the columns."""
        self.check(objective.space)
        points = objective.space.spread(self.starts, seed)
        if not has_gradient(objective, points[:4], self.segment):
            raise UserError(unfit("finds no gradient of the reward in the tunable columns"))
        return self.climb(objective, points, budget)

    def climb(self, objective: Objective, points: Tensor, budget: int) -> Tensor:
        """From given points (P, D); what is discrete in them stays as it is."""
        first = max(1, len(points) // 4)
        iterations = max(2, int(budget / (0.25 * len(points) + 0.75 * first)))
        follow = _Climb(objective, points, self.lr, iterations)
        for i in range(iterations):
            if i == iterations // 4:
                follow.keep(first)
            follow.step(self.segment)
        return follow.best()


class _Climb:
    """Adam on the logits of the continuous dimensions of several points."""

    def __init__(self, objective: Objective, points: Tensor, lr: float, iterations: int) -> None:
        self.objective, self.points, self.lr, self.iterations = objective, points.clone(), lr, iterations
        space = objective.space
        self.free = space.continuous
        self.round = torch.tensor([i in space.cyclic for i in self.free])  # (C,)
        share = points[:, self.free]
        self.q = torch.where(self.round, 4 * share, torch.logit(share.clamp(1e-3, 1 - 1e-3)))
        self.first, self.second = torch.zeros_like(self.q), torch.zeros_like(self.q)
        self.done = 0
        self.value = torch.full((len(points),), -math.inf, dtype=torch.float64)

    def step(self, segment: int) -> None:
        share = self._place()
        self.value, slope = self.objective.gradient(self.points, segment)
        gradient = slope[:, self.free] * torch.where(self.round, 0.25, share * (1 - share))
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.99 * self.second + 0.01 * gradient.square()
        self.done += 1
        mean = self.first / (1 - 0.9**self.done)
        scale = (self.second / (1 - 0.99**self.done)).sqrt()
        lr = self.lr * 0.5 * (1 + math.cos(math.pi * self.done / self.iterations))
        self.q = self.q + lr * mean / (scale + 1e-12)

    def _place(self) -> Tensor:
        """Put the points where `q` says; returns their continuous columns, (P, C)."""
        share = torch.where(self.round, self.q / 4, torch.sigmoid(self.q))
        self.points[:, self.free] = share
        return share

    def keep(self, count: int) -> None:
        """Go on with the best points alone."""
        best = self.value.argsort(descending=True)[:count]
        for name in ("points", "q", "first", "second", "value"):
            setattr(self, name, getattr(self, name)[best])

    def best(self) -> Tensor:
        """The best of where the points came to, or of the edge of the range where they came close to it."""
        share = self._place()
        close = ((share - share.round()).abs() < EDGE) & ~self.round
        at_edge = self.points.clone()
        at_edge[:, self.free] = torch.where(close, share.round(), share)
        both = self.objective.space.legal(torch.cat([self.points, at_edge]))
        return both[self.objective.values(both).argmax()]


def has_gradient(objective: Objective, points: Tensor, segment: int) -> bool:
    """Whether autograd finds an effect of every continuous column on the reward, at one of the points."""
    try:
        _, slope = objective.gradient(points, segment)
    except (RuntimeError, UserError):  # the user's code left torch, or does not bear a tensor with a gradient
        return False
    slope = slope[:, objective.space.continuous]
    return bool(slope.isfinite().all() and (slope != 0).any(0).all())
