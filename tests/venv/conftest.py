from __future__ import annotations

import numpy as np
import pytest

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from tests.venv.plants import columns, rows_of


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
