"""Wood dries until it is dry; the plank is paid for at the end, less what cracked on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("moisture", "heat", "cracks")

    def begin(self) -> None:
        self.moisture, self.heat = self.uniform(30, 50), 20 + 2 * self.normal()
        self.cracks = np.zeros((self.batch, 1))

    def advance(self, u: Array) -> None:
        self.heat = self.heat + (20 + 70 * np.clip(u, 0, 1) - self.heat) / P["slow"]
        pace = P["pace"] * np.exp((self.heat - 50) / P["steep"]) * (self.moisture - 6)
        pace = np.maximum(pace * np.exp(P["plant_noise"] * self.normal()), 0.0)
        self.cracks = self.cracks + P["brittle"] * np.maximum(pace - P["bears"], 0) ** 2
        self.moisture = self.moisture - pace

    def measure(self) -> dict[str, Array]:
        return {
            "moisture": self.sensor(self.moisture, P["sensor"]),
            "heat": self.sensor(self.heat, 0.3),
            "cracks": self.cracks,
        }

    def ended(self) -> dict[str, Array]:
        return {"done": (self.seen["moisture"] < 12).astype(float)}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return np.full((self.batch, 1), P["base"]) + P["kp"] * (seen["moisture"] - 30)


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "slow": draw.uniform(2, 5),
        "pace": draw.uniform(0.02, 0.04),
        "steep": draw.uniform(18, 30),
        "plant_noise": draw.uniform(0.02, 0.1),
        "bears": draw.uniform(0.6, 0.9),
        "brittle": draw.uniform(4, 8),
        "sensor": draw.uniform(0.05, 0.4),
        "base": draw.uniform(0.35, 0.5),
        "kp": draw.uniform(0.0, 0.01),
        "bounds": [[0, 1]],
        "dither": draw.uniform(0.08, 0.2),
        "runs": int(draw.choice([20, 40])),
        "steps": 120,
        "episode": 120,
    }
    seen = ["moisture", "heat"]
    return {
        "parameters": numbers,
        "columns": [
            base.column("moisture", units="%"),
            base.column("heat", units="degC"),
            base.column("cracks"),
            base.column("action", "burner", min=0, max=1),
            {"done": {"dim": "done", "type": "category", "values": [0, 1]}},
        ],
        "graph": {
            "action": [*seen, "cracks"],
            "next_moisture": [*seen, "action"],
            "next_heat": ["heat", "action"],
            "next_cracks": ["cracks", *seen, "action"],
            "done": ["next_moisture"],
        },
        "reward": 'data["done"] * (100 - 3 * data["next_cracks"]).clamp(min=0) - 0.8',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
