"""A flow behind a valve that sticks: it moves only when it is told to move far enough, and nobody logs where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("flow",)

    def begin(self) -> None:
        self.stem = 50 + 5 * self.normal()
        self.flow = P["gain"] * self.stem

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 100)
        self.stem = np.where(abs(u - self.stem) > P["band"], u, self.stem)
        self.flow = (
            self.flow + (P["gain"] * self.stem - self.flow) / P["slow"] + P["plant_noise"] * self.normal()
        )

    def measure(self) -> dict[str, Array]:
        return {"flow": self.sensor(self.flow, P["sensor"])}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        error = P["setpoint"] - seen["flow"]
        memory["sum"] = np.clip(memory.get("sum", 0.0) + P["ki"] * error, -50, 50)
        return 45 + P["kp"] * error + memory["sum"]


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    gain = draw.uniform(0.5, 2)
    numbers = {
        "gain": gain,
        "band": draw.uniform(0.5, 4),
        "slow": draw.uniform(2, 6),
        "setpoint": gain * 50,
        "plant_noise": draw.uniform(0.1, 0.6) * gain,
        "sensor": draw.uniform(0.1, 0.5) * gain,
        "kp": draw.uniform(0.1, 0.5) / gain,
        "ki": draw.uniform(0.02, 0.1) / gain,
        "bounds": [[0, 100]],
        "dither": draw.uniform(1, 5),
        "runs": 1,
        "steps": int(draw.choice([1000, 3000])),
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("flow", units="m3/h"),
            base.column("action", "valve", units="%", min=0, max=100),
        ],
        "graph": {"action": ["flow"], "next_flow": ["flow", "action"]},
        "reward": f'-(data["next_flow"] - {numbers["setpoint"]:.3f}).abs()',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
