from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.declaration import Declaration
from revive.tuning.auto import Auto
from revive.tuning.drawing import Random
from revive.tuning.evolution import CmaEs
from revive.tuning.gradient import Gradient
from revive.tuning.methods import Method
from revive.tuning.parzen import Optuna
from revive.tuning.result import Tuned
from revive.tuning.scene import logged_scene
from revive.tuning.space import Space
from revive.tuning.tune import tune
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import hand_set, rows_of

GRADIENT, CMA, RANDOM = Gradient(16, 0.1, 5), CmaEs(0.3, 2), Random(40, 10_000)
METHODS: dict[str, Method] = {
    "gradient": GRADIENT,
    "cma": CMA,
    "random": RANDOM,
    "optuna": Optuna(16, 10_000),
    "auto": Auto(GRADIENT, CMA, RANDOM),
}
MEMBERS = 4


def tunable_graph(*tuned: Column) -> DecisionGraph:
    """`next_x = x + (...)`, in which a wind, an action and the tuned node p have a part."""
    plain = [Column(node, node, "continuous") for node in ("x", "wind", "u")]
    inputs = {"u": ["x"], "next_x": ["x", "u", "wind", "p"]}
    return DecisionGraph.of(Declaration.of([*plain, *tuned], inputs, tunable=("p",)))


@dataclass(frozen=True)
class Plant:
    """A hand-set venv with a tuned node, and logs of it."""

    graph: DecisionGraph
    venv: VirtualEnv
    rows: Rows
    logged: dict[str, np.ndarray]

    def tune(
        self, reward: Callable[[Mapping[str, Tensor]], Tensor], method: Method | str = "auto", **changed: Any
    ) -> Tuned:
        """With small scenes; `horizon`, `starts`, and the `luck` of the scenes among what may be changed."""
        horizon, starts, luck = changed.pop("horizon", 6), changed.pop("starts", 4), changed.pop("luck", 0)
        space = Space.of(self.graph, self.logged)
        search = logged_scene(self.venv, self.rows, branches=starts, horizon=horizon, seed=1 + 2 * luck)
        fresh = logged_scene(
            self.venv, self.rows, branches=32, horizon=horizon, seed=2 + 2 * luck, fresh=True
        )
        chosen = METHODS[method] if isinstance(method, str) else method
        options: dict[str, Any] = {"direction": "max", "method": chosen, "budget": 1600, **changed}
        return tune(self.venv, reward, space, search, fresh, **options)


@pytest.fixture
def plant() -> Callable[..., Plant]:
    """Makes a plant `next_x = 0.5 x + push p + noise`; `push` has one row per model dimension of p."""

    def make(*tuned: Column, push: Any = None, std: float = 0.0) -> Plant:
        columns = tuned or (Column("p", "p", "continuous", min=0.0, max=1.0),)
        graph = tunable_graph(*columns)
        width = sum(len(c.values) if c.values else 1 for c in columns)
        weight = [[-0.5], [0.0], [0.0], *(push if push is not None else [[1.0]] * width)]
        venv = hand_set(graph, {"u": ([[-0.1]], [0.0]), "next_x": (weight, [0.0])}, members=MEMBERS, std=std)
        halves = [_logs(venv, columns, seed) for seed in (1, 2)]
        logged = {"p": np.concatenate([half["p"] for half in halves])}
        return Plant(graph, venv, rows_of(graph, venv.codec, *halves), logged)

    return make


def _logs(venv: VirtualEnv, columns: tuple[Column, ...], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {name: rng.normal(size=(60, 1)) for name in ("x", "wind", "u")}
    drawn = [
        rng.choice(c.choices, 60) if c.choices else rng.uniform(c.min or 0.0, c.max or 1.0, 60)
        for c in columns
    ]
    return {**found, "next_x": 0.5 * found["x"], "p": np.stack(drawn, axis=-1)}


def quadratic(data: Mapping[str, Tensor]) -> Tensor:
    return -((data["p"][..., 0] - 0.3) ** 2)


def near(data: Mapping[str, Tensor]) -> Tensor:
    """In the plant `-(p + noise - 0.3)^2`, so that the best p is 0.3 and known up to the noise."""
    return -((data["next_x"] - 0.5 * data["x"] - 0.3) ** 2)[..., 0]


def flat_sum(data: Mapping[str, Tensor]) -> Tensor:
    """Only the sum of two columns matters."""
    return -((data["p"].sum(-1) - 0.8) ** 2)
