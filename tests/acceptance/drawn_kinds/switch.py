"""A room with a heater of three stages; the operator's thermostat is coarse."""

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
        self.room = 19 + 2 * self.normal()
        self.outside = 5 + 4 * self.normal()

    def advance(self, u: Array) -> None:
        change = P["gain"] * np.round(u) - P["loss"] * (self.room - self.outside)
        self.room = self.room + change + P["plant_noise"] * self.normal()
        self.outside = 5 + 0.99 * (self.outside - 5) + 0.5 * self.normal()

    def measure(self) -> dict[str, Array]:
        return {"room": self.sensor(self.room, P["sensor"]), "outside": self.outside}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        stage = np.where(seen["room"] < P["low"], 2.0, np.where(seen["room"] < P["high"], 1.0, 0.0))
        any_stage = np.floor(3 * self.random.random((self.batch, 1)))
        return np.where(self.random.random((self.batch, 1)) < P["mistakes"], any_stage, stage)


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "gain": draw.uniform(0.6, 1.2),
        "loss": draw.uniform(0.04, 0.08),
        "plant_noise": draw.uniform(0.02, 0.1),
        "sensor": draw.uniform(0.0, 0.15),
        "low": draw.uniform(17, 19),
        "high": draw.uniform(20, 22),
        "mistakes": draw.uniform(0.05, 0.3),
        "bounds": [[0, 2]],
        "dither": 0.0,
        "runs": 8,
        "steps": 300,
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("room", units="degC"),
            base.column("outside", units="degC"),
            {"stage": {"dim": "action", "type": "category", "values": [0, 1, 2]}},
        ],
        "graph": {"action": ["room", "outside"], "next_room": ["room", "outside", "action"]},
        "reward": 'torch.where((data["next_room"] - 21).abs() < 0.7, 1.0, -0.2) - 0.1 * data["action"]',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
