"""Drawing points, for columns of every kind."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from revive.tuning.objective import Objective
from revive.tuning.space import Space


@dataclass
class Tried:
    """The points that were judged, the best of them, and the best of different discrete values."""

    objective: Objective
    points: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def judge(self, points: Tensor) -> Tensor:
        """Points (P, D) -> F (P,)."""
        values = self.objective.values(points)
        self.points.append(points)
        self.values.append(values)
        return values

    @property
    def best(self) -> Tensor:
        """The best point, (D,)."""
        return self.apart(1)[0]

    def apart(self, count: int) -> Tensor:
        """The best points of up to `count` different combinations of discrete values, (<= count, D), best first."""
        points, values = torch.cat(self.points), torch.cat(self.values)
        discrete = self.objective.space.discrete
        found: dict[tuple[float, ...], int] = {}
        for i in values.argsort(descending=True).tolist():
            found.setdefault(tuple(points[i, discrete].tolist()), i)
            if len(found) == count:
                break
        return points[list(found.values())]


@dataclass(frozen=True)
class Drawing:
    """Every combination where all columns are discrete and there are few enough; else what `explore` tries.

    In the end the discrete columns are changed one by one until no change of a single one gains anything.
    rounds: so many. enumerate: combinations that are tried without exception.
    """

    rounds: int
    enumerate: int

    def check(self, space: Space) -> None:
        """Any space will do."""

    def search(self, objective: Objective, budget: int, seed: int) -> Tensor:
        space, begun = objective.space, objective.judged
        if can_enumerate(space, self.enumerate):
            return enumerate_all(objective)
        tried = self.explore(objective, share_left(space, budget), seed)
        return polished(objective, tried.best, max(0, budget - (objective.judged - begun)))

    def explore(self, objective: Objective, budget: int, seed: int) -> Tried:
        """All points that were tried."""
        raise NotImplementedError


@dataclass(frozen=True)
class Random(Drawing):
    """Points drawn at random: half of a round all over the space, half around the best one, ever closer to it."""

    def explore(self, objective: Objective, budget: int, seed: int) -> Tried:
        space, generator = objective.space, torch.Generator().manual_seed(seed)
        tried, size = Tried(objective), max(2, budget // self.rounds)
        tried.judge(space.spread(size, seed))
        for i in range(1, self.rounds):
            width = 0.5 * 1e-5 ** (i / self.rounds)
            near = around(space, tried.best, size - size // 2, width, generator)
            tried.judge(torch.cat([anywhere(space, size // 2, generator), near]))
        return tried


def share_left(space: Space, budget: int) -> int:
    """What a search may spend before `polished`, which has nothing to do where all is continuous."""
    return 3 * budget // 4 if space.discrete else budget


def anywhere(space: Space, count: int, generator: torch.Generator) -> Tensor:
    """Points all over the space, (count, D)."""
    return space.from_unit(torch.rand(count, space.size, generator=generator, dtype=torch.float64))


def around(space: Space, best: Tensor, count: int, width: float, generator: torch.Generator) -> Tensor:
    """Near the best point: continuous columns moved by up to `width`, one or two of the discrete ones redrawn."""
    points = best.repeat(count, 1)
    move = torch.rand(count, space.size, generator=generator, dtype=torch.float64) * 2 - 1
    free, discrete = space.continuous, space.discrete
    points[:, free] += width * move[:, free]
    points = space.legal(points)
    if discrete:
        redrawn = torch.rand(count, space.size, generator=generator) < 1.5 / len(discrete)
        redrawn[:, free] = False
        points = torch.where(redrawn, anywhere(space, count, generator), points)
    return points


def can_enumerate(space: Space, most: int) -> bool:
    """Whether all columns are discrete, with no more than so many combinations."""
    return not space.continuous and space.combinations <= most


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


def polished(objective: Objective, point: Tensor, budget: int) -> Tensor:
    """From a point (D,) to one where no change of a single discrete column gains; at least one round of changes.

    A round tries every other value of every column in one batch, then the best change of all and the gaining
    changes of all columns together.
    """
    space, begun = objective.space, objective.judged
    if not space.discrete:
        return point
    here = float(objective.values(point[None])[0])
    while True:
        changed, column = _single_changes(space, point)
        values = objective.values(changed)
        together, alone = point.clone(), changed[values.argmax()]
        for i in space.discrete:
            own = values.masked_fill(column != i, -math.inf)
            if float(own.max()) > here:
                together[i] = changed[own.argmax(), i]
        combined = float(objective.values(together[None])[0])
        gain = max(combined, float(values.max()))
        if gain <= here:
            return point
        point, here = (together if combined >= float(values.max()) else alone), gain
        if objective.judged - begun + len(changed) > budget:
            return point


def _single_changes(space: Space, point: Tensor) -> tuple[Tensor, Tensor]:
    """All points that differ from `point` in one discrete column, (N, D), and the column of each, (N,)."""
    found, column = [], []
    for i, count in zip(space.discrete, space.counts, strict=True):
        for k in range(count):
            if k != int(point[i]):
                other = point.clone()
                other[i] = k
                found.append(other)
                column.append(i)
    return torch.stack(found), torch.tensor(column)
