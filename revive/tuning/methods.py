"""How the best point is searched; each class is one method, and its arguments are its settings.

`search(objective, budget, seed)` returns a point (D,) after judging about `budget` points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from revive.errors import Problem, UserError
from revive.tuning.objective import Objective
from revive.tuning.space import Space

EDGE = 0.01  # of the range: so close to it, a point is tried on the edge, which a sigmoid never reaches


class Method(Protocol):
    """A way to search."""

    def check(self, space: Space) -> None:
        """Raises UserError for a space that this method cannot search."""

    def search(self, objective: Objective, budget: int, seed: int) -> Tensor:
        """The best point that was found, (D,)."""


@dataclass(frozen=True)
class Gradient:
    """Adam through the venv on `q`, `point = sigmoid(q)`, from many starts at once; continuous columns only.

    starts: Sobol points that are followed. The lower three quarters of them are given up after a quarter of the
    iterations, so that the budget pays for more iterations. lr: of Adam, in q, falling to nothing along a cosine.
    segment: steps that gradients run through; longer rollouts are cut into such pieces.
    """

    starts: int
    lr: float
    segment: int

    def check(self, space: Space) -> None:
        """Raises UserError where columns are discrete."""
        _only_continuous(space, "follows gradients")

    def search(self, objective: Objective, budget: int, seed: int) -> Tensor:
        """Raises UserError where no gradient reaches the columns."""
        self.check(objective.space)
        points = objective.space.spread(self.starts, seed)
        if not has_gradient(objective, points[:4], self.segment):
            raise UserError(_unfit("finds no gradient of the reward in the tunable columns"))
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
        self.free = objective.space.continuous
        self.logit = torch.logit(points[:, self.free].clamp(1e-3, 1 - 1e-3))
        self.first, self.second = torch.zeros_like(self.logit), torch.zeros_like(self.logit)
        self.done = 0
        self.value = torch.full((len(points),), -math.inf, dtype=torch.float64)

    def step(self, segment: int) -> None:
        share = torch.sigmoid(self.logit)
        self.points[:, self.free] = share
        self.value, slope = self.objective.gradient(self.points, segment)
        gradient = slope[:, self.free] * share * (1 - share)
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.99 * self.second + 0.01 * gradient.square()
        self.done += 1
        mean = self.first / (1 - 0.9**self.done)
        scale = (self.second / (1 - 0.99**self.done)).sqrt()
        lr = self.lr * 0.5 * (1 + math.cos(math.pi * self.done / self.iterations))
        self.logit = self.logit + lr * mean / (scale + 1e-12)

    def keep(self, count: int) -> None:
        """Go on with the best points alone."""
        best = self.value.argsort(descending=True)[:count]
        for name in ("points", "logit", "first", "second", "value"):
            setattr(self, name, getattr(self, name)[best])

    def best(self) -> Tensor:
        """The best of where the points came to, or of the edge of the range where they came close to it."""
        share = torch.sigmoid(self.logit)
        self.points[:, self.free] = share
        at_edge = self.points.clone()
        at_edge[:, self.free] = torch.where((share - share.round()).abs() < EDGE, share.round(), share)
        both = torch.cat([self.points, at_edge])
        return both[self.objective.values(both).argmax()]


@dataclass(frozen=True)
class CmaEs:
    """CMA-ES on continuous columns, restarted with twice the population (IPOP) until the budget is spent.

    sigma: first step size, as a share of the range. restarts: at most. A population is `4 + 3 ln D`.
    """

    sigma: float
    restarts: int

    def check(self, space: Space) -> None:
        """Raises UserError where columns are discrete."""
        _only_continuous(space, "moves in steps of any size")

    def search(self, objective: Objective, budget: int, seed: int) -> Tensor:
        self.check(objective.space)
        middle = torch.full((objective.space.size,), 0.5, dtype=torch.float64)
        return self.evolve(objective, middle, budget, seed)

    def evolve(self, objective: Objective, point: Tensor, budget: int, seed: int) -> Tensor:
        """From a given point (D,); what is discrete in it stays as it is."""
        free, rng = objective.space.continuous, np.random.default_rng(seed)
        population = 4 + int(3 * math.log(max(1, len(free))))
        begun, best, best_value = objective.judged, point, -math.inf
        # cma is not made for one dimension: a second one, which nothing reads, goes beside it
        start = np.resize(np.append(point[free].numpy(), 0.5), max(2, len(free)))
        for _ in range(self.restarts + 1):
            strategy = self._strategy(start, population, rng)
            while not strategy.stop() and objective.judged - begun < budget:
                asked = strategy.ask()
                points = point.repeat(len(asked), 1)
                points[:, free] = torch.as_tensor(np.asarray(asked)[:, : len(free)])
                values = objective.values(points)
                strategy.tell(asked, (-values).tolist())
                if float(values.max()) > best_value:
                    best, best_value = points[values.argmax()], float(values.max())
            if objective.judged - begun >= budget:
                break
            population, start = 2 * population, rng.uniform(size=len(start))
        return best

    def _strategy(self, start: np.ndarray, population: int, rng: np.random.Generator) -> Any:
        import cma  # takes a second to import

        def normal(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape)

        options = {
            "bounds": [0.0, 1.0],
            "popsize": population,
            "tolx": 1e-6,
            "tolfun": 1e-12,
            "seed": np.nan,  # leave numpy's own generator alone
            "randn": normal,
            "verbose": -9,
        }
        return cma.CMAEvolutionStrategy(start, self.sigma, options)


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


def has_gradient(objective: Objective, points: Tensor, segment: int) -> bool:
    """Whether autograd finds an effect of every continuous column on the reward, at one of the points."""
    try:
        _, slope = objective.gradient(points, segment)
    except RuntimeError:  # the user's code left torch
        return False
    slope = slope[:, objective.space.continuous]
    return bool(slope.isfinite().all() and (slope != 0).any(0).all())


@dataclass(frozen=True)
class Auto:
    """Gradients where all is continuous and differentiable, else CMA-ES; every combination of discrete columns.

    Where both kinds occur, a third of the budget draws at random, and the rest improves the continuous columns
    around the values that this found for the discrete ones.
    """

    gradient: Gradient
    cma: CmaEs
    random: Random

    def check(self, space: Space) -> None:
        """Any space will do."""

    def search(self, objective: Objective, budget: int, seed: int) -> Tensor:
        space = objective.space
        if not space.continuous:
            return self.random.search(objective, budget, seed)
        begun, point = objective.judged, torch.full((space.size,), 0.5, dtype=torch.float64)
        points = space.spread(self.gradient.starts, seed)
        if space.discrete:
            point = self.random.search(objective, budget // 3, seed)
            points[:, space.discrete] = point[space.discrete]
            points[0] = point
        if has_gradient(objective, points[:4], self.gradient.segment):
            return self.gradient.climb(objective, points, budget - (objective.judged - begun))
        return self.cma.evolve(objective, point, budget - (objective.judged - begun), seed)


def _only_continuous(space: Space, why: str) -> None:
    if space.discrete:
        named = ", ".join(space.names[i] for i in space.discrete)
        raise UserError(_unfit(f"{why}, but {named} has only so many values"))


def _unfit(what: str) -> Problem:
    return Problem(f"this method {what}", place="tuning.method", remedy="write tuning=auto or tuning=random")
