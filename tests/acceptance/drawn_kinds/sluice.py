"""A basin behind a slow gate: what is logged is where the gate stands, not where it was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("level",)

    def begin(self) -> None:
        self.level, self.inflow = 2 + 0.3 * self.normal(), 5 + self.normal()
        self.gate = self.uniform(0.3, 0.6)

    def advance(self, u: Array) -> None:
        self.gate = self.moved(u)
        out = P["width"] * self.gate * np.sqrt(np.maximum(self.level, 0))
        self.level = self.level + (self.inflow - out) / P["area"] + P["plant_noise"] * self.normal()
        self.level = np.maximum(self.level, 0.0)
        self.inflow = np.maximum(5 + 0.95 * (self.inflow - 5) + P["gusts"] * self.normal(), 0.5)

    def moved(self, wanted: Array) -> Array:
        return self.gate + np.clip(np.clip(wanted, 0, 1) - self.gate, -P["pace"], P["pace"])

    def measure(self) -> dict[str, Array]:
        return {"level": self.sensor(self.level, P["sensor"]), "inflow": self.inflow}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        stray = memory.get("stray", np.zeros((self.batch, 1)))
        fresh = self.random.random((self.batch, 1)) < 0.15
        memory["stray"] = np.where(fresh, P["hand"] * self.normal(), stray)
        return self.moved(0.45 + P["kp"] * (seen["level"] - P["goal"]) + memory["stray"])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "width": draw.uniform(7, 9),
        "area": draw.uniform(8, 20),
        "pace": draw.uniform(0.02, 0.06),
        "plant_noise": draw.uniform(0.005, 0.03),
        "gusts": draw.uniform(0.4, 0.8),
        "sensor": draw.uniform(0.005, 0.05),
        "kp": draw.uniform(0.1, 0.4),
        "hand": draw.uniform(0.08, 0.2),
        "goal": draw.uniform(1.8, 2.3),
        "bounds": [[0, 1]],
        "dither": 0.0,
        "runs": int(draw.choice([1, 5])),
        "steps": int(draw.choice([800, 1600])),
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("level", units="m"),
            base.column("inflow", units="m3/s"),
            base.column("action", "gate_position", min=0, max=1),
        ],
        "graph": {"action": ["level", "inflow"], "next_level": ["level", "inflow", "action"]},
        "reward": '-(data["next_level"] - 2).abs() - 2 * (data["next_level"] - 2.5).relu()',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
