"""A culture that grows and is harvested; harvested too much it dies, and the batch ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("biomass", "food")

    def begin(self) -> None:
        self.biomass, self.food = self.uniform(1, 4), self.uniform(3, 8)

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 1)
        growth = P["growth"] * self.food / (P["half"] + self.food) * self.biomass
        self.taken = u * P["rate"] * self.biomass
        self.food = np.maximum(self.food + P["feed"] - growth / P["yield"], 0.0)
        self.biomass = self.biomass + growth - self.taken - 0.02 * self.biomass
        self.biomass = np.maximum(self.biomass * (1 + P["plant_noise"] * self.normal()), 0.01)

    def measure(self) -> dict[str, Array]:
        return {
            "biomass": self.sensor(self.biomass, P["sensor"]),
            "food": self.sensor(self.food, P["sensor"]),
        }

    def ended(self) -> dict[str, Array]:
        return {"done": (self.seen["biomass"] < P["dead"]).astype(float)}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (seen["biomass"] - 3)


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "growth": draw.uniform(0.1, 0.2),
        "half": draw.uniform(1, 4),
        "feed": draw.uniform(0.3, 0.7),
        "yield": draw.uniform(0.6, 1.0),
        "rate": draw.uniform(0.2, 0.4),
        "dead": 0.3,
        "plant_noise": draw.uniform(0.005, 0.03),
        "sensor": draw.uniform(0.0, 0.05),
        "base": draw.uniform(0.2, 0.4),
        "kp": draw.uniform(0.0, 0.1),
        "bounds": [[0, 1]],
        "dither": draw.uniform(0.1, 0.25),
        "runs": 30,
        "steps": 120,
        "episode": 120,
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("biomass", units="g/L"),
            base.column("food", units="g/L"),
            base.column("action", "harvest", min=0, max=1),
            {"done": {"dim": "done", "type": "category", "values": [0, 1]}},
        ],
        "graph": {
            "action": ["biomass", "food"],
            "next_biomass": ["biomass", "food", "action"],
            "next_food": ["biomass", "food", "action"],
            "done": ["next_biomass"],
        },
        "reward": f'{numbers["rate"]:.3f} * data["action"] * data["biomass"]',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
