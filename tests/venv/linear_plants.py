"""Generated linear plants with logs of many trajectories, and venvs learned from them, for tests of bands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.data.codec import Codec
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import columns, train
from tests.venv.problems import multi_step, problem_of

Array = np.ndarray


class LinearPlant:
    """`x' = A x + B u + process noise`, stable, seen with sensor noise; `u = -K x + exploration`, all from a seed."""

    def __init__(self, seed: int, states: int = 2, sensor: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        drawn = rng.normal(size=(states, states))
        radius = np.abs(np.linalg.eigvals(drawn)).max()
        self.a = drawn / radius * rng.uniform(0.6, 0.9)
        self.b = rng.normal(size=(states, 1))
        self.k = 0.2 * rng.normal(size=(1, states))
        while (
            np.abs(np.linalg.eigvals(self.a - self.b @ self.k)).max() > 0.95
        ):  # the operator does not upset the plant
            self.k /= 2.0
        self.noise = rng.uniform(0.05, 0.3, size=states)
        self.sensor = sensor
        self.graph = DecisionGraph.build(columns(x=states, u=1), {"u": ["x"], "next_x": ["x", "u"]})

    def logs(self, count: int, steps: int, seed: int) -> Trajectories:
        """`count` trajectories of so many rows, begun where the plant usually is."""
        rng, warm = np.random.default_rng(seed), 40
        x = rng.normal(size=(count, len(self.a)))
        rows: dict[str, list[Array]] = {"x": [], "u": [], "next_x": []}
        seen = x + self.sensor * rng.normal(size=x.shape)
        for t in range(warm + steps):
            u = -seen @ self.k.T + 0.5 * rng.normal(size=(count, 1))
            x = x @ self.a.T + u @ self.b.T + self.noise * rng.normal(size=x.shape)
            following = x + self.sensor * rng.normal(size=x.shape)
            if t >= warm:
                for name, value in (("x", seen), ("u", u), ("next_x", following)):
                    rows[name].append(value)
            seen = following
        arrays = {name: np.stack(value, 1).reshape(count * steps, -1) for name, value in rows.items()}
        return Trajectories(arrays, np.arange(1, count + 1) * steps)

    def learned(self, logs: Trajectories, folder: Path, **changed: Any) -> tuple[VirtualEnv, Rows]:
        """A venv of both halves of the trajectories, and their rows."""
        half = logs.count // 2
        parts = logs.select(np.arange(half)), logs.select(np.arange(half, logs.count))
        codec = Codec.fit(self.graph, parts[0].arrays)
        rows = Rows.of(codec, self.graph, *parts)
        problem = problem_of(self.graph, codec, rows, members=3, keep=3)
        learner = multi_step(
            problem, **{"curriculum": [[5, 20]], "one_step_updates": 60, "lr": 3e-3, **changed}
        )
        train(learner, folder)
        return learner.result(), rows

    def fresh(self, venv: VirtualEnv, count: int, steps: int, seed: int) -> Rows:
        """Rows of new trajectories, one half of them for either half's members."""
        logs = self.logs(count, steps, seed)
        half = count // 2
        parts = logs.select(np.arange(half)), logs.select(np.arange(half, count))
        return Rows.of(venv.codec, self.graph, *parts)
