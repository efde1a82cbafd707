"""Logs of the plant of these tests, and what a bundle carries of them."""

from __future__ import annotations

import numpy as np

from revive.data.scenario import Scenario, Source, logged_ranges, sampled
from revive.data.trajectories import Trajectories
from tests.venv.plants import plant_graph

REWARD = b"def get_reward(data):\n    return -abs(data['next_x'])\n"


def logs(rows: int = 40, trajectories: int = 2, seed: int = 0) -> Trajectories:
    rng = np.random.default_rng(seed)
    arrays = {name: rng.normal(size=(rows, 1)) + 20.0 for name in ("x", "wind", "u")}
    return Trajectories(arrays, np.arange(1, trajectories + 1) * (rows // trajectories))


def scenario(reward: bytes | None = REWARD, file: str = "reward.py") -> Scenario:
    found = sampled([plant_graph()], [logs(), logs(seed=1)])
    assert found is not None
    arrays, ends, begins = found
    source = None if reward is None else Source(file, reward)
    ranges = logged_ranges(plant_graph(), [logs()])
    return Scenario(arrays, ends, begins, 20, 7, ("u",), ("x", "wind"), 2, ranges, source)
