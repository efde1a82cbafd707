"""A battery that buys and sells power at a price that moves over the day; its charge is limited and it loses some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("charge",)

    def begin(self) -> None:
        self.charge = self.uniform(0.2, 0.8) * P["size"]
        self.hour = np.floor(self.uniform(0, 24))
        self.extra = 5 * self.normal()

    def advance(self, u: Array) -> None:
        u = np.clip(u, -1, 1)  # MW, charging is positive
        change = np.where(u > 0, u * P["efficiency"], u / P["efficiency"])
        self.charge = np.clip(0.999 * self.charge + change, 0, P["size"])
        self.hour = (self.hour + 1) % 24
        self.extra = 0.9 * self.extra + 2 * self.normal()

    def measure(self) -> dict[str, Array]:
        price = 50 + P["swing"] * np.sin(2 * np.pi * (self.hour - P["peak"] + 6) / 24) + self.extra
        return {"charge": self.sensor(self.charge, P["sensor"]), "price": price, "hour": self.hour}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return np.clip(P["kp"] * (50 - seen["price"]), -1, 1) + P["hold"] * (0.5 * P["size"] - seen["charge"])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    size = draw.uniform(3, 6)
    numbers = {
        "size": size,
        "efficiency": draw.uniform(0.85, 0.97),
        "swing": draw.uniform(10, 25),
        "peak": draw.uniform(15, 20),
        "sensor": draw.uniform(0.0, 0.05),
        "kp": draw.uniform(0.005, 0.03),
        "hold": draw.uniform(0.05, 0.2),
        "bounds": [[-1, 1]],
        "dither": draw.uniform(0.1, 0.4),
        "runs": 1,
        "steps": int(draw.choice([2000, 4000])),
    }
    over = f'torch.relu(data["next_charge"] - {0.97 * size:.3f}) + torch.relu({0.03 * size:.3f} - data["next_charge"])'
    return {
        "parameters": numbers,
        "columns": [
            base.column("charge", units="MWh"),
            base.column("price", units="EUR/MWh"),
            base.column("hour", units="h"),
            base.column("action", "power", units="MW", min=-1, max=1),
        ],
        "graph": {"action": ["charge", "price", "hour"], "next_charge": ["charge", "action"]},
        "reward": f'-data["price"] * data["action"] - 100 * ({over})',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
