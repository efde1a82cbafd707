"""The level of a boiler drum: more feed water first lowers it (bubbles collapse) and then raises it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("level", "pressure")

    def begin(self) -> None:
        self.water = 0.3 * self.normal()
        self.swell = np.zeros((self.batch, 1))
        self.steam = 5 + 0.5 * self.normal()
        self.force = 5 + 0 * self.normal()

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 10)
        self.swell = self.swell + (P["shrink"] * (self.steam - u) - self.swell) / P["quick"]
        self.water = self.water + P["fill"] * (u - self.steam) + P["plant_noise"] * self.normal()
        self.steam = 5 + 0.97 * (self.steam - 5) + P["demand_sd"] * 0.25 * self.normal()
        self.force = self.force + 0.1 * (5 - 0.2 * (self.steam - 5) - self.force) + 0.02 * self.normal()

    def measure(self) -> dict[str, Array]:
        level = self.sensor(self.water + self.swell, P["sensor"])
        return {"level": level, "pressure": self.sensor(self.force, 0.02), "steam": self.steam}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return 5 + P["kp"] * (0 - seen["level"]) + P["forward"] * (seen["steam"] - 5)


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "shrink": draw.uniform(0.1, 0.5),
        "quick": draw.uniform(2, 4),
        "fill": draw.uniform(0.03, 0.08),
        "plant_noise": draw.uniform(0.005, 0.03),
        "demand_sd": draw.uniform(0.5, 1.5),
        "sensor": draw.uniform(0.0, 0.05),
        "kp": draw.uniform(0.1, 0.5),
        "forward": draw.uniform(0.0, 0.6),
        "bounds": [[0, 10]],
        "dither": draw.uniform(0.2, 0.8),
        "runs": int(draw.choice([1, 5])),
        "steps": int(draw.choice([800, 1600])),
    }
    seen = ["ts_level", "pressure", "steam"]
    return {
        "parameters": numbers,
        "columns": [
            base.column("level", units="dm"),
            base.column("pressure", units="bar"),
            base.column("steam", units="kg/s"),
            base.column("action", "feed", units="kg/s", min=0, max=10),
        ],
        "graph": {
            "action": seen,
            "next_level": [*seen, "action"],
            "next_pressure": ["pressure", "steam", "action"],
        },
        "nodes": {"level": {"ts": 4}},
        "reward": '-data["next_level"].abs() - 0.02 * (data["action"] - 5).abs()',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
