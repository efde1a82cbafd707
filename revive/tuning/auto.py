"""The method that suits the columns and the reward."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.tuning.drawing import Random, polished
from revive.tuning.evolution import CmaEs
from revive.tuning.gradient import Gradient, has_gradient
from revive.tuning.objective import Objective
from revive.tuning.space import Space

FOLLOWED = 8  # combinations of discrete values whose continuous columns are improved by gradients
EVOLVED = 2  # and by evolution, one after the other


@dataclass(frozen=True)
class Auto:
    """Gradients where all is continuous and differentiable, else CMA-ES; every combination of discrete columns.

    Where both kinds occur, a third of the budget draws at random, half improves the continuous columns around the
    best few combinations that this found for the discrete ones, and the rest changes those once more.
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
        if space.discrete:
            return self._mixed(objective, budget, seed)
        points = space.spread(self.gradient.starts, seed)
        if has_gradient(objective, points[:4], self.gradient.segment):
            return self.gradient.climb(objective, points, budget - objective.judged)
        middle = torch.full((space.size,), 0.5, dtype=torch.float64)
        return self.cma.evolve(objective, middle, budget - objective.judged, seed)

    def _mixed(self, objective: Objective, budget: int, seed: int) -> Tensor:
        begun = objective.judged
        chosen = self.random.explore(objective, budget // 3, seed).apart(FOLLOWED)
        point = self._improved(objective, chosen, budget // 3, seed)
        other = polished(objective, point, budget // 6)
        if torch.equal(other, point):
            return point
        left = budget - (objective.judged - begun)
        return self._improved(objective, torch.stack([other, point]), max(left, budget // 12), seed)

    def _improved(self, objective: Objective, chosen: Tensor, budget: int, seed: int) -> Tensor:
        """The best of what the continuous columns of some points (C, D) can be improved to."""
        space = objective.space
        if has_gradient(objective, chosen[:4], self.gradient.segment):
            points = space.spread(max(self.gradient.starts, len(chosen)), seed)
            own = torch.arange(len(points)) % len(chosen)
            points[:, space.discrete] = chosen[own][:, space.discrete]
            points[: len(chosen)] = chosen
            return self.gradient.climb(objective, points, budget)
        some = chosen[:EVOLVED]
        found = torch.stack([self.cma.evolve(objective, point, budget // len(some), seed) for point in some])
        return found[objective.values(found).argmax()]
