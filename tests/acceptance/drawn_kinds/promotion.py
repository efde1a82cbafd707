"""A shop's discount: it sells now, and customers wait for the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("demand", "patience")

    def begin(self) -> None:
        self.demand, self.patience = 10 + 2 * self.normal(), abs(0.3 * self.normal())

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 0.5)
        wish = 10 * (1 + P["lift"] * u / (u + P["half"])) * np.exp(-P["wait"] * self.patience)
        self.demand = self.demand + (wish - self.demand) / 2 + P["plant_noise"] * self.normal()
        self.patience = P["memory"] * self.patience + (1 - P["memory"]) * 2 * u

    def measure(self) -> dict[str, Array]:
        return {"demand": self.sensor(self.demand, P["sensor"]), "patience": self.sensor(self.patience, 0.01)}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (9 - seen["demand"])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "lift": draw.uniform(0.8, 2.0),
        "half": draw.uniform(0.1, 0.3),
        "wait": draw.uniform(0.2, 1.2),
        "memory": draw.uniform(0.85, 0.97),
        "plant_noise": draw.uniform(0.2, 0.8),
        "sensor": 0.0,
        "base": draw.uniform(0.1, 0.3),
        "kp": draw.uniform(0.0, 0.04),
        "bounds": [[0, 0.5]],
        "dither": draw.uniform(0.05, 0.12),
        "runs": 40,
        "steps": 60,
        "episode": 60,
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("demand"),
            base.column("patience"),
            base.column("action", "discount", min=0, max=0.5),
        ],
        "graph": {
            "action": ["demand", "patience"],
            "next_demand": ["demand", "patience", "action"],
            "next_patience": ["patience", "action"],
        },
        "reward": 'data["next_demand"] * (0.6 - data["action"])',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
