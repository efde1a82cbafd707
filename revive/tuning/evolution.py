"""Evolution strategies: no gradient is needed, the reward may be rough."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from revive.tuning.methods import require_continuous
from revive.tuning.objective import Objective
from revive.tuning.space import Space


@dataclass(frozen=True)
class CmaEs:
    """CMA-ES on continuous columns, restarted with twice the population (IPOP) until the budget is spent.

    sigma: first step size, as a share of the range. restarts: at most. A population is `4 + 3 ln D`.
    """

    sigma: float
    restarts: int

    def check(self, space: Space) -> None:
        """Raises UserError where columns are discrete."""
        require_continuous(space, "moves in steps of any size")

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
        edges = [i not in objective.space.cyclic for i in free] + [True] * (len(start) - len(free))
        for _ in range(self.restarts + 1):
            strategy = self._strategy(start, edges, population, rng)
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
        return objective.space.legal(best[None])[0]

    def _strategy(
        self, start: np.ndarray, edges: list[bool], population: int, rng: np.random.Generator
    ) -> Any:
        import cma  # takes a second to import

        def normal(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape)

        options = {
            "bounds": [[0.0 if edge else None for edge in edges], [1.0 if edge else None for edge in edges]],
            "popsize": population,
            "tolx": 1e-6,
            "tolfun": 1e-12,
            "seed": np.nan,  # leave numpy's own generator alone
            "randn": normal,
            "verbose": -9,
        }
        return cma.CMAEvolutionStrategy(start, self.sigma, options)
