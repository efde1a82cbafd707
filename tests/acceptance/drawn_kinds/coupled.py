"""Two levels, two valves, each valve moves both; the logged loops are detuned and know nothing of each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("levels",)

    def begin(self) -> None:
        self.levels = 1.0 + 0.3 * self.random.normal(size=(self.batch, 2))

    def advance(self, u: Array) -> None:
        mixed = np.clip(u, 0, 2) @ np.array(P["mix"])
        out = P["outflow"] * np.sqrt(np.maximum(self.levels, 0))
        self.levels = self.levels + (mixed - out) / P["slow"]
        self.levels = np.maximum(self.levels + P["plant_noise"] * self.random.normal(size=(self.batch, 2)), 0)

    def measure(self) -> dict[str, Array]:
        return {"levels": self.sensor(self.levels, P["sensor"])}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (np.array([1.0, 1.0]) - seen["levels"])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "mix": [[1.0, draw.uniform(0.2, 0.7)], [draw.uniform(-0.4, 0.5), 1.0]],
        "outflow": draw.uniform(0.8, 1.2),
        "slow": draw.uniform(4, 12),
        "plant_noise": draw.uniform(0.003, 0.02),
        "sensor": draw.uniform(0.003, 0.03),
        "base": draw.uniform(0.4, 0.7),
        "kp": draw.uniform(0.2, 0.8),
        "bounds": [[0, 2], [0, 2]],
        "dither": draw.uniform(0.05, 0.3),
        "runs": 10,
        "steps": 200,
    }
    levels = [base.column("levels", name, units="m") for name in ("left", "right")]
    valves = [base.column("action", name, min=0, max=2) for name in ("valve_left", "valve_right")]
    return {
        "parameters": numbers,
        "columns": [*levels, *valves],
        "graph": {"action": ["levels"], "next_levels": ["levels", "action"]},
        "reward": '-((data["next_levels"] - torch.tensor([1.3, 0.9])) ** 2).sum(-1, keepdim=True)',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
