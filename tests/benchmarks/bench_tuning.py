"""Random draws against Optuna's estimator on discrete spaces too large to try all of: 10 columns of 10 values.

    PYTHONPATH=. python tests/benchmarks/bench_tuning.py [BUDGET] [SEEDS]

Prints the mean, standard deviation and worst of the best value found, and the seconds of CPU per search. Every second
column is a category, the others are ordered. 0 is the optimum of `ordered` and `coupled`, whose values depend on the
distance to a planted point, column by column or through a random matrix; `tables` is a sum of random tables of a
column each, `pairs` of random tables of two neighbours, their optima lie below 1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from revive.graph.columns import Column
from revive.tuning.drawing import Random
from revive.tuning.methods import Method
from revive.tuning.objective import Objective
from revive.tuning.parzen import Optuna
from revive.tuning.space import Dimension, Space

COLUMNS, VALUES = 10, 10
METHODS: dict[str, Method] = {"random": Random(40, 10_000), "optuna": Optuna(32, 10_000)}
PROBLEMS = ("ordered", "coupled", "tables", "pairs")


@dataclass
class Judge:
    """The part of an objective that these methods use."""

    space: Space
    function: Callable[[Tensor], Tensor]
    judged: int = 0

    def values(self, points: Tensor) -> Tensor:
        self.judged += len(points)
        return self.function(points.round().long())


def space() -> Space:
    found = []
    for i in range(COLUMNS):
        column = Column(f"c{i}", "p", "discrete", min=0.0, max=VALUES - 1.0, num=VALUES)
        if i % 2:
            column = Column(f"c{i}", "p", "category", values=tuple(float(v) for v in range(VALUES)))
        found.append(Dimension("p", column, 0.0, VALUES - 1.0, column.choices, None))
    return Space(tuple(found))


def problem(name: str, seed: int) -> Callable[[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(1000 + seed)
    planted = torch.randint(0, VALUES, (COLUMNS,), generator=generator)
    matrix = torch.randn(COLUMNS, COLUMNS, generator=generator, dtype=torch.float64) / COLUMNS
    table = torch.rand(COLUMNS, VALUES, VALUES, generator=generator, dtype=torch.float64)
    every, scale = torch.arange(COLUMNS), (VALUES - 1) ** 2
    return {
        "ordered": lambda p: -((p - planted).double() ** 2).mean(-1) / scale,
        "coupled": lambda p: -(((p - planted).double() @ matrix) ** 2).sum(-1) / scale,
        "tables": lambda p: table[every, p, 0].mean(-1),
        "pairs": lambda p: table[every, p, p.roll(-1, -1)].mean(-1),
    }[name]


def main(budget: int = 1600, seeds: int = 5) -> None:
    torch.set_num_threads(1)
    for name in PROBLEMS:
        for label, method in METHODS.items():
            begun, found, judged = time.process_time(), [], []
            for seed in range(seeds):
                judge = Judge(space(), problem(name, seed))
                best = method.search(cast(Objective, judge), budget, seed)
                judged.append(judge.judged)
                found.append(float(judge.function(best[None].round().long())[0]))
            seconds = (time.process_time() - begun) / seeds
            shown = f"mean {np.mean(found):.4f} sd {np.std(found, ddof=1):.4f} worst {min(found):.4f}"
            print(f"{name:8} {label:7} {shown} judged {max(judged)} cpu {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
