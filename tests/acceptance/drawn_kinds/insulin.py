"""Glucose under insulin that works late, and meals that are announced; too low is far worse than too high."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("glucose",)

    def begin(self) -> None:
        self.glucose = 130 + 25 * self.normal()
        self.gut = 5 * abs(self.normal())
        self.depot, self.active = np.full((2, self.batch, 1), P["basal"])
        self.meal = np.zeros((self.batch, 1))
        self.t = 0

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 10)
        self.depot = self.depot + (u - self.depot) / P["depot"]
        self.active = self.active + (self.depot - self.active) / P["onset"]
        self.gut = self.gut * (1 - 1 / P["gut"]) + self.meal
        flow = self.gut / P["gut"] * P["carb"] - P["sensitivity"] * (self.active - P["basal"])
        self.glucose = self.glucose + flow - 0.02 * (self.glucose - 120) + P["plant_noise"] * self.normal()
        self.glucose = np.clip(self.glucose, 30, 450)
        self.t += 1
        eats = self.random.random((self.batch, 1)) < P["meals"]
        self.meal = np.where(eats, self.uniform(20, 70), 0.0)

    def measure(self) -> dict[str, Array]:
        return {"glucose": self.sensor(self.glucose, P["sensor"]), "meal": self.meal}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["basal"] + P["bolus"] * seen["meal"] + P["kp"] * (seen["glucose"] - 130)


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "basal": draw.uniform(0.8, 1.5),
        "depot": draw.uniform(2, 4),
        "onset": draw.uniform(2, 5),
        "gut": draw.uniform(4, 8),
        "carb": draw.uniform(2.5, 4),
        "sensitivity": draw.uniform(5, 10),
        "meals": draw.uniform(0.03, 0.06),
        "plant_noise": draw.uniform(0.5, 2),
        "sensor": draw.uniform(1, 6),
        "bolus": draw.uniform(0.02, 0.06),
        "kp": draw.uniform(0.002, 0.01),
        "bounds": [[0, 10]],
        "dither": draw.uniform(0.2, 0.6),
        "runs": 20,
        "steps": 144,
        "episode": 144,
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("glucose", units="mg/dL"),
            base.column("meal", units="g"),
            base.column("action", "insulin", min=0, max=10),
        ],
        "graph": {
            "action": ["ts_glucose", "ts_meal", "ts_action"],
            "next_glucose": ["ts_glucose", "ts_meal", "ts_action", "action"],
        },
        "nodes": {"glucose": {"ts": 6}, "meal": {"ts": 6}, "action": {"ts": 8}},
        "reward": '-((data["next_glucose"] - 110) / 50) ** 2 * (1 + 4 * (data["next_glucose"] < 80).float())',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
