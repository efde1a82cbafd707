"""A call centre plans whole people for each half hour; callers who wait too long hang up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("waiting", "lost")

    def begin(self) -> None:
        self.waiting, self.lost = np.floor(self.uniform(0, 5)), np.zeros((self.batch, 1))
        self.slot = 0
        self.busy = np.exp(0.15 * self.normal())  # how busy the day is, which nobody knows in the morning

    def forecast(self) -> float:
        hour = self.slot / 2
        two = np.exp(-(((hour - 3) / 2) ** 2)) + 0.7 * np.exp(-(((hour - 8) / 1.8) ** 2))
        return float(P["calls"] * (0.2 + two))

    def advance(self, u: Array) -> None:
        staff = np.round(np.clip(u, 0, P["most"]))
        calls = self.random.poisson(self.forecast() * self.busy)
        served = np.minimum(self.waiting + calls, self.random.poisson(P["pace"] * staff))
        left = self.waiting + calls - served
        self.lost = self.random.binomial(left.astype(int), P["impatient"]).astype(float)
        self.waiting = left - self.lost
        self.slot += 1

    def measure(self) -> dict[str, Array]:
        whole = np.ones((self.batch, 1))
        forecast = np.round(self.forecast()) * whole
        return {"waiting": self.waiting, "lost": self.lost, "forecast": forecast, "slot": self.slot * whole}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        plan = P["slack"] * seen["forecast"] / P["pace"] + P["kp"] * seen["waiting"]
        absent = self.random.binomial(2, P["absent"], size=plan.shape)
        return np.clip(np.round(plan) - absent, 0, P["most"])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    calls, pace = draw.uniform(20, 50), draw.uniform(4, 6)
    most = int(np.ceil(1.6 * calls / pace))
    numbers = {
        "calls": calls,
        "pace": pace,
        "most": most,
        "impatient": draw.uniform(0.2, 0.5),
        "slack": draw.uniform(0.7, 0.95),
        "kp": draw.uniform(0.0, 0.08),
        "absent": draw.uniform(0.2, 0.4),
        "bounds": [[0, most]],
        "dither": 0.0,
        "runs": int(draw.choice([30, 60])),
        "steps": 22,
        "episode": 22,
    }
    seen = ["waiting", "forecast", "slot"]
    return {
        "parameters": numbers,
        "columns": [
            base.column("waiting", units="callers"),
            base.column("lost", units="callers"),
            base.column("forecast", units="calls"),
            base.column("slot"),
            {"staff": {"dim": "action", "type": "discrete", "min": 0, "max": most, "num": most + 1}},
        ],
        "graph": {
            "action": seen,
            "next_waiting": [*seen, "action"],
            "next_lost": [*seen, "action"],
        },
        "reward": f'-data["action"] - {draw.uniform(1, 2):.2f} * data["next_lost"] - 0.1 * data["next_waiting"]',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
