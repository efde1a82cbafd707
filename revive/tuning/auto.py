"""The method that suits the columns and the reward."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.tuning.drawing import Random
from revive.tuning.evolution import CmaEs
from revive.tuning.gradient import Gradient, has_gradient
from revive.tuning.objective import Objective
from revive.tuning.space import Space


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
