"""Water is cleared by a chemical; a ratio controller doses, and at times people by hand. 600 rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("turbidity",)

    def begin(self) -> None:
        self.turbidity, self.raw = self.uniform(0.5, 3), self.uniform(10, 40)
        self.by_hand, self.hand = np.zeros((self.batch, 1)), np.full((self.batch, 1), 10.0)

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 60)
        ratio = u / (P["need"] * np.sqrt(self.raw) * 4)
        left = self.raw * (0.02 + 0.5 * np.exp(-3 * ratio) + 0.1 * np.maximum(ratio - 1, 0) ** 2)
        self.turbidity = self.turbidity + (left - self.turbidity) / P["slow"]
        self.turbidity = np.maximum(self.turbidity * np.exp(P["plant_noise"] * self.normal()), 0.05)
        self.raw = np.clip(25 + 0.97 * (self.raw - 25) + 4 * self.normal(), 4, 120)
        before = self.by_hand > 0.5
        ends = self.random.random((self.batch, 1)) < np.where(before, 0.04, 0.015)
        self.by_hand = np.where(ends, 1 - self.by_hand, self.by_hand)
        self.hand = np.where(ends, np.round(self.uniform(5, 50) / 5) * 5, self.hand)

    def measure(self) -> dict[str, Array]:
        return {
            "turbidity": np.maximum(self.sensor(self.turbidity, P["sensor"]), 0.0),
            "raw": self.raw,
            "manual": self.by_hand,
        }

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        automatic = P["ratio"] * seen["raw"] + P["kp"] * (seen["turbidity"] - 2)
        return np.where(seen["manual"] > 0.5, self.hand, automatic + P["stray"] * self.normal())


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "need": draw.uniform(0.7, 1.3),
        "slow": draw.uniform(2, 6),
        "plant_noise": draw.uniform(0.01, 0.05),
        "sensor": draw.uniform(0.02, 0.1),
        "ratio": draw.uniform(0.3, 0.8),
        "kp": draw.uniform(0.5, 2),
        "stray": draw.uniform(0.3, 1),
        "bounds": [[0, 60]],
        "dither": 0.0,
        "runs": 1,
        "steps": 600,
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("turbidity", units="NTU"),
            base.column("raw", units="NTU"),
            {"manual": {"dim": "manual", "type": "category", "values": [0, 1]}},
            base.column("action", "dose", units="mg/L", min=0, max=60),
        ],
        "graph": {
            "action": ["turbidity", "raw", "manual"],
            "next_turbidity": ["turbidity", "raw", "action"],
        },
        "reward": f'-data["next_turbidity"] - {draw.uniform(0.02, 0.06):.3f} * data["action"]',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
