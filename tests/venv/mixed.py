"""Logs of columns of all types, with values that are missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from revive.data.trajectories import Trajectories
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from tests.venv.plants import columns

MIXED = [
    *columns(x=2),
    Column("mode", "x", "category", values=(0.0, 1.0, 2.0)),
    Column("level", "x", "discrete", min=0.0, max=4.0, num=5),
    Column("u", "u", "continuous"),
]
MIXED_GRAPH = DecisionGraph.build(MIXED, {"u": ["x"], "next_x": ["x", "u"]})


def mixed_logs(seed: int, filler: float, gaps: bool = True, ends: Sequence[int] = (300,)) -> Trajectories:
    """Logs of 300 rows; every sixth value of next_x is missing, and filled with `filler`."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(300, 1))
    x = np.zeros((301, 4))
    for t in range(300):
        x[t + 1, :2] = 0.8 * x[t, :2] + 0.3 * u[t] + 0.1 * rng.normal(size=2)
        x[t + 1, 2], x[t + 1, 3] = rng.integers(3), np.clip(np.round(x[t + 1, 0] + 2), 0, 4)
    arrays = {"x": x[:-1], "u": u, "next_x": x[1:].copy()}
    mask = np.random.default_rng(99).random((300, 4)) < 1 / 6
    if not gaps:
        return Trajectories(arrays, np.array(ends))
    arrays["next_x"][mask] = filler
    return Trajectories(arrays, np.array(ends), {"next_x": mask})
