from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from revive.data.codec import Codec, robust_scale
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.venv.learner import MultiStepLearner
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import columns, rows_of

OPTIONS: dict[str, Any] = {
    "losses": {},
    "rule": None,
    "warm": (),
    "one_step_updates": 40,
    "curriculum": [[5, 20], [20, 40]],
    "batch_size": 128,
    "window_batch": 16,
    "lr": 1e-3,
    "multi_step_lr": 1e-3,
    "weight_decay": 0.3,
    "likelihood_weight": 0.1,
    "clip": 5.0,
    "block": 100,
    "held_out": 0.2,
    "effect_weight": 5.0,
    "rule_weight": 2.0,
    "chunk": 10,
    "seed": 0,
}


def noisy_plant(rows: int, seed: int) -> dict[str, np.ndarray]:
    """x' = 0.9 x + 0.5 u, u random, x measured with noise as large as half of its spread."""
    rng = np.random.default_rng(seed)
    u = rng.normal(0, 0.6, rows)
    x = np.zeros(rows + 1)
    for t in range(rows):
        x[t + 1] = 0.9 * x[t] + 0.5 * u[t]
    measured = x + rng.normal(0, 0.3, rows + 1)
    return {"x": measured[:-1, None], "u": u[:, None], "next_x": measured[1:, None]}


@pytest.fixture(scope="session")
def noisy() -> tuple[DecisionGraph, Codec, Rows]:
    """Two halves of logs of a linear plant behind a noisy sensor."""
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    halves = noisy_plant(1500, 1), noisy_plant(1500, 2)
    codec = Codec.fit(graph, halves[0])
    return graph, codec, rows_of(graph, codec, *halves)


@pytest.fixture
def learner(noisy: tuple[DecisionGraph, Codec, Rows]) -> Callable[..., MultiStepLearner]:
    """Makes a learner of the noisy plant, its options changed by what is given."""
    graph, codec, rows = noisy

    def make(**changed: Any) -> MultiStepLearner:
        torch.manual_seed(changed.get("seed", 0))
        change = (rows.values["next_x"] - rows.values["x"])[: len(rows.parts[0])].numpy()
        scales = {"u": [1.0], "next_x": robust_scale(change).tolist()}
        venv = VirtualEnv(graph, codec, 4, NetworkSpec(hidden=(8,)), scales)
        return MultiStepLearner(venv, rows, **{**OPTIONS, **changed})

    return make
