"""The pH of a stirred vessel: the gain of the base flow changes a hundredfold around the neutral point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("ph",)

    def begin(self) -> None:
        self.acid = P["acid"] * (1 + 0.1 * self.normal())
        self.free = 0.2 * P["acid"] * self.normal()  # excess of base, mmol/L

    def advance(self, u: Array) -> None:
        self.free = self.free + (np.clip(u, 0, 10) * P["strength"] - self.acid - self.free) / P["slow"]
        self.free = self.free + P["plant_noise"] * self.normal()
        self.acid = P["acid"] + 0.98 * (self.acid - P["acid"]) + 0.02 * P["acid"] * self.normal()

    def measure(self) -> dict[str, Array]:
        ph = 7 + P["steep"] * np.arcsinh(self.free / P["buffer"])
        return {"ph": self.sensor(ph, P["sensor"]), "acid": self.acid}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        memory["sum"] = np.clip(memory.get("sum", 0.0) + P["ki"] * (7 - seen["ph"]), -5, 5)
        return P["base"] + P["kp"] * (7 - seen["ph"]) + memory["sum"]


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    strength = draw.uniform(0.8, 1.2)
    numbers = {
        "acid": 5 * strength,
        "strength": strength,
        "slow": draw.uniform(5, 15),
        "buffer": draw.uniform(0.1, 0.4),
        "steep": draw.uniform(0.6, 1.0),
        "plant_noise": draw.uniform(0.0, 0.03),
        "sensor": draw.uniform(0.01, 0.08),
        "kp": draw.uniform(0.02, 0.15),
        "ki": draw.uniform(0.001, 0.01),
        "base": draw.uniform(4.5, 5.5),
        "bounds": [[0, 10]],
        "dither": draw.uniform(0.1, 0.5),
        "runs": int(draw.choice([1, 3])),
        "steps": int(draw.choice([1000, 2000])),
    }
    return {
        "parameters": numbers,
        "columns": [
            base.column("ph"),
            base.column("acid", units="mmol/L"),
            base.column("action", "base_flow", units="L/min", min=0, max=10),
        ],
        "graph": {"action": ["ph", "acid"], "next_ph": ["ph", "acid", "action"]},
        "reward": '-(data["next_ph"] - 8).abs().clamp(max=3)',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
