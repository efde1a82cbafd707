"""A heated zone with walls that nobody measures, under day and night prices and occupied hours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("room",)

    def begin(self) -> None:
        self.room, self.wall = 20 + self.normal(), 19 + self.normal()
        self.hour, self.outside = np.floor(self.uniform(0, 24)), 4 * self.normal()

    def weather(self) -> Array:
        return P["season"] - 4 * np.cos(2 * np.pi * (self.hour - 3) / 24) + self.outside

    def advance(self, u: Array) -> None:
        heat = P["heat"] * np.clip(u, 0, 1)
        cold = self.room - self.weather()
        self.room = self.room + heat - P["leak"] * cold - P["mass"] * (self.room - self.wall)
        self.room = self.room + P["plant_noise"] * self.normal()
        self.wall = self.wall + P["slow"] * (self.room - self.wall)
        self.hour = (self.hour + 1) % 24
        self.outside = 0.97 * self.outside + 0.7 * self.normal()

    def measure(self) -> dict[str, Array]:
        day = ((self.hour >= 7) & (self.hour < 21)).astype(float)
        occupied = ((self.hour >= 8) & (self.hour < 18)).astype(float)
        return {
            "room": self.sensor(self.room, P["sensor"]),
            "outside": self.weather(),
            "hour": self.hour,
            "price": np.where(day > 0.5, P["dear"], P["cheap"]),
            "occupied": occupied,
        }

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        wanted = np.where(seen["occupied"] > 0.5, P["comfort"], P["setback"])
        return P["kp"] * (wanted - seen["room"]) + 0.03 * (12 - seen["outside"])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "season": draw.uniform(-2, 8),
        "heat": draw.uniform(2.5, 4),
        "leak": draw.uniform(0.06, 0.12),
        "mass": draw.uniform(0.1, 0.3),
        "slow": draw.uniform(0.02, 0.08),
        "plant_noise": draw.uniform(0.05, 0.2),
        "sensor": draw.uniform(0.02, 0.15),
        "dear": draw.uniform(0.3, 0.5),
        "cheap": draw.uniform(0.1, 0.2),
        "comfort": draw.uniform(20, 22),
        "setback": draw.uniform(17, 20),
        "kp": draw.uniform(0.1, 0.4),
        "bounds": [[0, 1]],
        "dither": draw.uniform(0.1, 0.2),
        "runs": 1,
        "steps": int(draw.choice([1000, 2000])),
    }
    seen = ["room", "outside", "hour", "price", "occupied"]
    return {
        "parameters": numbers,
        "columns": [
            base.column("room", units="degC"),
            base.column("outside", units="degC"),
            base.column("hour", scale="cyclic", period=24),
            base.column("price", units="EUR/kWh"),
            {"occupied": {"dim": "occupied", "type": "category", "values": [0, 1]}},
            base.column("action", "heating", min=0, max=1),
        ],
        "graph": {"action": seen, "next_room": ["room", "outside", "action"]},
        "reward": '-4 * data["price"] * data["action"] - data["occupied"] * (data["next_room"] - 21.5).abs()',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
