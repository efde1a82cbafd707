"""Optuna's model of where good points lie."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch

from revive.tuning.drawing import Drawing, Tried, around
from revive.tuning.objective import Objective
from revive.tuning.space import Space

FIRST_WIDTH, LAST_WIDTH = 0.02, 1e-5  # shares of the range within which continuous columns are settled


@dataclass(frozen=True)
class Optuna(Drawing):
    """Tree-structured Parzen estimator (Bergstra et al. 2011), all columns together, for columns of every kind.

    Continuous columns are settled with a third of the budget around the best point, which the estimator's kernels do
    not narrow down by themselves. In each round all points are proposed before any is judged, so that they are rolled
    out together.
    """

    def explore(self, objective: Objective, budget: int, seed: int) -> Tried:
        tried = Tried(objective)
        modelled = 2 * budget // 3 if objective.space.continuous else budget
        self._model(tried, modelled, seed)
        if objective.space.continuous:
            self._settle(tried, budget - modelled, seed)
        return tried

    def _model(self, tried: Tried, budget: int, seed: int) -> None:
        space, size = tried.objective.space, max(2, budget // self.rounds)
        study, domains = _study(seed, size), _domains(space)
        for _ in range(self.rounds):
            trials = [study.ask(domains) for _ in range(size)]
            points = [[float(trial.params[name]) for name in domains] for trial in trials]
            values = tried.judge(torch.tensor(points, dtype=torch.float64))
            for trial, value in zip(trials, values.tolist(), strict=True):
                study.tell(trial, value)

    def _settle(self, tried: Tried, budget: int, seed: int) -> None:
        generator, size = torch.Generator().manual_seed(seed), max(2, budget // self.rounds)
        for i in range(self.rounds):
            width = FIRST_WIDTH * (LAST_WIDTH / FIRST_WIDTH) ** (i / self.rounds)
            tried.judge(around(tried.objective.space, tried.best, size, width, generator))


def _study(seed: int, startup: int) -> Any:
    import optuna  # takes a second to import

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # multivariate and constant_liar are called experimental
        sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True
        )
    return optuna.create_study(direction="maximize", sampler=sampler)


def _domains(space: Space) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for i, dimension in enumerate(space.dimensions):
        if dimension.choices is None:
            found[str(i)] = FloatDistribution(0.0, 1.0)
        elif dimension.column.type == "category":
            found[str(i)] = CategoricalDistribution(range(len(dimension.choices)))
        else:
            found[str(i)] = IntDistribution(0, len(dimension.choices) - 1)
    return found
