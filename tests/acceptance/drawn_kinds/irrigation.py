"""A field that is watered on some days; rain is announced for tomorrow, and sometimes it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("top", "deep")

    def begin(self) -> None:
        self.top, self.deep = self.uniform(15, 40), self.uniform(60, 110)
        self.day = 0
        self.weather()

    def weather(self) -> None:
        comes = self.random.random((self.batch, 1)) < P["rainy"]
        self.rain = np.where(comes, self.random.gamma(1.2, P["shower"], (self.batch, 1)), 0.0)
        told = np.where(self.random.random((self.batch, 1)) < P["trust"], comes, ~comes)
        self.announced = told.astype(float)
        season = 1 + 0.5 * np.sin(np.pi * self.day / P["steps"])
        self.thirst = np.maximum(P["thirst"] * season * (1 + 0.25 * self.normal()) - 2 * comes, 0.3)

    def advance(self, u: Array) -> None:
        top = self.top + np.clip(u, 0, 40) * 0.9 + self.rain
        drain = np.maximum(top - 45, 0)
        drawn_up = self.thirst * np.clip(self.top / 20, 0, 1)
        self.top = np.maximum(top - drain - 0.7 * drawn_up, 0.0)
        from_below = self.thirst - 0.7 * drawn_up
        deep = self.deep + drain - np.clip(self.deep / 60, 0, 1) * from_below * 0.5
        self.deep = np.clip(deep, 0.0, 130)
        self.day += 1
        self.weather()

    def measure(self) -> dict[str, Array]:
        return {
            "top": np.maximum(self.sensor(self.top, P["sensor"]), 0),
            "deep": np.maximum(self.sensor(self.deep, P["sensor"]), 0),
            "announced": self.announced,
            "thirst": self.thirst,
        }

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        waters = seen["top"] < P["trigger"] + 4 * self.normal()
        return np.where(waters, P["gift"] + 3 * self.normal(), 0.0)


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "rainy": draw.uniform(0.1, 0.3),
        "shower": draw.uniform(4, 8),
        "trust": draw.uniform(0.75, 0.95),
        "thirst": draw.uniform(3, 5),
        "sensor": draw.uniform(0.2, 1.5),
        "trigger": draw.uniform(18, 30),
        "gift": draw.uniform(12, 25),
        "bounds": [[0, 40]],
        "dither": 0.0,
        "runs": int(draw.choice([8, 16])),
        "steps": 110,
        "episode": 110,
    }
    seen = ["top", "deep", "announced", "thirst"]
    reward = f"""-((20 - data["next_top"]).relu() / 10) ** 2 - ((40 - data["next_deep"]).relu() / 20) ** 2 \\
        - {draw.uniform(0.05, 0.12):.3f} * data["action"]"""
    return {
        "parameters": numbers,
        "columns": [
            base.column("top", units="mm"),
            base.column("deep", units="mm"),
            {"announced": {"dim": "announced", "type": "category", "values": [0, 1]}},
            base.column("thirst", units="mm"),
            base.column("action", "water", units="mm", min=0, max=40),
        ],
        "graph": {
            "action": seen,
            "next_top": [*seen, "action"],
            "next_deep": [*seen, "action"],
        },
        "reward": reward,
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
