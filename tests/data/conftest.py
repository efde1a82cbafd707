from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

_GRAPH = DecisionGraph.build(
    [
        Column("door_open", "door_open", "category", values=(0.0, 1.0)),
        Column("temperature", "temperature", "continuous"),
        Column("action", "action", "continuous", min=0.0, max=10.0),
    ],
    {"action": ["temperature"], "next_temperature": ["action", "temperature", "door_open"]},
)


def _logs(*lengths: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of trajectories with `lengths` rows, next_temperature and index included."""
    rng = np.random.default_rng(seed)
    rows = sum(lengths)
    ends = np.cumsum(lengths)
    temperature = rng.normal(size=(rows, 1))
    following = np.roll(temperature, -1, axis=0)
    following[ends - 1] = 7.0
    return {
        "door_open": rng.integers(0, 2, (rows, 1)).astype(float),
        "temperature": temperature,
        "action": rng.uniform(0, 10, (rows, 1)),
        "next_temperature": following,
        "index": ends,
    }


@pytest.fixture
def refrigerator() -> DecisionGraph:
    """The graph of a refrigerator: a door that opens (exogenous), a temperature and the cooling power."""
    return _GRAPH


@pytest.fixture
def make_logs() -> Callable[..., dict[str, np.ndarray]]:
    """Makes the arrays of trajectories of the given lengths for the graph of the refrigerator."""
    return _logs
