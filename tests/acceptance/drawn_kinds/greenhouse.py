"""A greenhouse under weather that is read: heating and venting move temperature and humidity together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("climate",)

    def begin(self) -> None:
        self.warm, self.damp = 19 + self.normal(), 12 + self.normal()
        self.hour = self.uniform(0, 24)
        self.outside = 4 * self.normal()

    def weather(self) -> tuple[Array, Array]:
        sun = np.maximum(np.sin(2 * np.pi * (self.hour - 6) / 24), 0)
        return P["season"] + 5 * sun + self.outside, 400 * sun

    def advance(self, u: Array) -> None:
        heat, vent = np.clip(u[:, :1], 0, 1), np.clip(u[:, 1:], 0, 1)
        outside, sun = self.weather()
        air = P["leak"] + P["vent"] * vent
        self.warm = self.warm + P["heat"] * heat + P["glass"] * sun / 400 - air * (self.warm - outside)
        self.damp = self.damp + P["plants"] * (0.5 + sun / 400) - air * (self.damp - 6)
        self.warm = self.warm + P["plant_noise"] * self.normal()
        self.damp = self.damp + P["plant_noise"] * self.normal()
        self.hour = (self.hour + 0.5) % 24
        self.outside = 0.99 * self.outside + 0.4 * self.normal()

    def measure(self) -> dict[str, Array]:
        outside, sun = self.weather()
        climate = self.sensor(np.hstack([self.warm, self.damp]), P["sensor"])
        return {"climate": climate, "outside": outside, "sun": sun}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        warm, damp = seen["climate"][:, :1], seen["climate"][:, 1:]
        heat = 0.3 + P["kp"] * (P["target"] - warm)
        vent = 0.2 + P["kp"] * (warm - P["target"] - 2) + 0.5 * P["kp"] * (damp - 13)
        return np.hstack([heat, vent])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "season": draw.uniform(0, 10),
        "leak": draw.uniform(0.02, 0.05),
        "vent": draw.uniform(0.1, 0.3),
        "heat": draw.uniform(1.2, 2.5),
        "glass": draw.uniform(0.5, 1.5),
        "plants": draw.uniform(0.2, 0.5),
        "plant_noise": draw.uniform(0.05, 0.2),
        "sensor": draw.uniform(0.02, 0.2),
        "kp": draw.uniform(0.05, 0.3),
        "target": draw.uniform(17, 20),
        "bounds": [[0, 1], [0, 1]],
        "dither": draw.uniform(0.1, 0.25),
        "runs": int(draw.choice([1, 8])),
        "steps": int(draw.choice([480, 1440])),
    }
    climate = [
        base.column("climate", "temperature", units="degC"),
        base.column("climate", "humidity", units="g/m3"),
    ]
    weather = [base.column("outside", units="degC"), base.column("sun", units="W/m2")]
    actions = [base.column("action", name, min=0, max=1) for name in ("heating", "vents")]
    seen = ["climate", "outside", "sun"]
    reward = """-(data["next_climate"][..., :1] - 21).abs() - (data["next_climate"][..., 1:] - 12).relu() \\
        - 2 * data["action"][..., :1]"""
    return {
        "parameters": numbers,
        "columns": [*climate, *weather, *actions],
        "graph": {"action": seen, "next_climate": [*seen, "action"]},
        "reward": reward,
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
