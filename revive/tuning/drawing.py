"""Drawing points, for columns of every kind."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from revive.tuning.objective import Objective
from revive.tuning.space import Space


@dataclass(frozen=True)
class Random:
    """Every combination where all columns are discrete and there are few enough; else points drawn at random.

    Half of a round is drawn all over the space, half around the best point so far, ever closer to it.
    rounds: so many. enumerate: combinations that are tried without exception.
    """

    rounds: int
    enumerate: int

    def check(self, space: Space) -> None:
        """Any space will do."""

    def search(self, objective: Objective, budget: int, seed: int) -> Tensor:
        space = objective.space
        if not space.continuous and space.combinations <= self.enumerate:
            return enumerate_all(objective)
        generator = torch.Generator().manual_seed(seed)
        size = max(2, budget // self.rounds)
        points = space.spread(size, seed)
        values = objective.values(points)
        best, best_value = points[values.argmax()], float(values.max())
        for i in range(1, self.rounds):
            width = 0.5 * 1e-5 ** (i / self.rounds)
            near = _around(space, best, size - size // 2, width, generator)
            points = torch.cat([_anywhere(space, size // 2, generator), near])
            values = objective.values(points)
            if float(values.max()) > best_value:
                best, best_value = points[values.argmax()], float(values.max())
        return best


def _anywhere(space: Space, count: int, generator: torch.Generator) -> Tensor:
    return space.from_unit(torch.rand(count, space.size, generator=generator, dtype=torch.float64))


def _around(space: Space, best: Tensor, count: int, width: float, generator: torch.Generator) -> Tensor:
    """Near the best point: continuous columns moved by up to `width`, one or two of the discrete ones redrawn."""
    points = best.repeat(count, 1)
    move = torch.rand(count, space.size, generator=generator, dtype=torch.float64) * 2 - 1
    free, discrete = space.continuous, space.discrete
    points[:, free] = (points[:, free] + width * move[:, free]).clamp(0, 1)
    if discrete:
        redrawn = torch.rand(count, space.size, generator=generator) < 1.5 / len(discrete)
        redrawn[:, free] = False
        points = torch.where(redrawn, _anywhere(space, count, generator), points)
    return points


def enumerate_all(objective: Objective, at_once: int = 1024) -> Tensor:
    """The best of all combinations of discrete values, exactly."""
    space, best, best_value = objective.space, None, -math.inf
    for first in range(0, space.combinations, at_once):
        points = space.all_choices(range(first, min(first + at_once, space.combinations)))
        values = objective.values(points)
        if best is None or float(values.max()) > best_value:
            best, best_value = points[values.argmax()], float(values.max())
    assert best is not None
    return best
