"""A boiler whose efficiency depends on its state; heat is sold at a price that moves, wear is paid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("heat", "fouling")

    def begin(self) -> None:
        self.heat, self.fouling = 5 + self.normal(), abs(0.2 * self.normal())
        self.price = 1 + 0.2 * self.normal()
        self.phase = self.uniform(0, 2 * np.pi)

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 1)
        best = np.exp(-(((u - P["best"]) / P["width"]) ** 2))
        made = 10 * u * (0.5 + 0.5 * best) * (1 - 0.5 * np.clip(self.fouling, 0, 1.5))
        self.heat = self.heat + (made - self.heat) / P["slow"] + P["plant_noise"] * self.normal()
        self.fouling = self.fouling + P["wear"] * u**2 - P["cleaning"] * self.fouling
        self.phase = self.phase + 2 * np.pi / P["period"]
        season = 0.4 * np.sin(self.phase)
        self.price = 1 + season + 0.5 * (self.price - 1 - season) + 0.05 * self.normal()

    def measure(self) -> dict[str, Array]:
        heat, fouling = self.sensor(self.heat, P["sensor"]), self.sensor(self.fouling, 0.01)
        return {"heat": heat, "fouling": fouling, "price": self.price}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (6 - seen["heat"]) + 0.1 * (seen["price"] - 1)


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    wear = draw.uniform(0.01, 0.04)
    numbers = {
        "best": draw.uniform(0.4, 0.7),
        "width": draw.uniform(0.3, 0.5),
        "slow": draw.uniform(2, 8),
        "wear": wear,
        "cleaning": draw.uniform(0.02, 0.05),
        "period": float(draw.choice([24, 48, 96])),
        "plant_noise": draw.uniform(0.02, 0.15),
        "sensor": draw.uniform(0.02, 0.1),
        "base": draw.uniform(0.35, 0.6),
        "kp": draw.uniform(-0.02, 0.08),
        "bounds": [[0, 1]],
        "dither": draw.uniform(0.08, 0.2),
        "runs": 6,
        "steps": 400,
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("heat", units="MW"),
            base.column("fouling"),
            base.column("price"),
            base.column("action", "firing", min=0, max=1),
        ],
        "graph": {
            "action": ["heat", "fouling", "price"],
            "next_heat": ["heat", "fouling", "action"],
            "next_fouling": ["fouling", "action"],
        },
        "reward": 'data["price"] * data["next_heat"] - 4 * data["action"]',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
