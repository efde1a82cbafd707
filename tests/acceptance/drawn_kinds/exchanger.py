"""First order with a dead time that nobody declared; a measured inlet temperature disturbs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("outlet",)

    def begin(self) -> None:
        self.inlet = P["inlet_sd"] * self.normal()
        self.rise = 20 + 3 * self.normal()
        self.pending = [np.full((self.batch, 1), 5.0)] * (P["dead_time"] + 1)

    def advance(self, u: Array) -> None:
        self.pending = [*self.pending[1:], np.clip(u, 0, 10)]
        goal = P["gain"] * self.pending[0] ** P["power"]
        self.rise = self.rise + (goal - self.rise) / P["slow"] + P["plant_noise"] * self.normal()
        self.inlet = P["memory"] * self.inlet + P["inlet_sd"] * (1 - P["memory"] ** 2) ** 0.5 * self.normal()

    def measure(self) -> dict[str, Array]:
        return {"outlet": self.sensor(40 + self.inlet + self.rise, P["sensor"]), "inlet": 40 + self.inlet}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        error = P["setpoint"] - seen["outlet"]
        memory["sum"] = np.clip(memory.get("sum", 0.0) + P["ki"] * error, -10, 10)
        return 5 + P["kp"] * error + memory["sum"]


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    gain = draw.uniform(3, 6)
    numbers = {
        "dead_time": int(draw.integers(0, 7)),
        "gain": gain,
        "power": draw.uniform(0.7, 1.0),
        "slow": draw.uniform(4, 20),
        "plant_noise": draw.uniform(0.02, 0.15),
        "sensor": draw.uniform(0.02, 0.4),
        "inlet_sd": draw.uniform(1, 3),
        "memory": draw.uniform(0.97, 0.995),
        "setpoint": 40 + gain * 4,
        "kp": draw.uniform(0.02, 0.12),
        "ki": draw.uniform(0.001, 0.01),
        "bounds": [[0, 10]],
        "dither": draw.uniform(0.2, 0.8),
        "runs": int(draw.choice([1, 4])),
        "steps": int(draw.choice([800, 1500])),
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("outlet", units="degC"),
            base.column("inlet", units="degC"),
            base.column("action", "steam", min=0, max=10),
        ],
        "graph": {"action": ["outlet", "inlet"], "next_outlet": ["outlet", "inlet", "action"]},
        "reward": f'-abs(data["next_outlet"] - {numbers["setpoint"]:.2f})',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
