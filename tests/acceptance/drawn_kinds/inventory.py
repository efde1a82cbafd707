"""A store that orders goods which arrive some days later; demand is random and has a week, what lacks is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("stock",)

    def begin(self) -> None:
        self.stock = np.floor(self.uniform(10, 40))
        self.coming = [np.full((self.batch, 1), float(round(P["demand"])))] * P["lead"]
        self.day = np.floor(self.uniform(0, 7))
        self.sold = np.zeros((self.batch, 1))

    def advance(self, u: Array) -> None:
        self.coming = [*self.coming, np.round(np.clip(u, 0, P["most"]))]
        week = 1 + P["week"] * np.sin(2 * np.pi * self.day / 7)
        wanted = self.random.poisson(P["demand"] * week)
        self.stock = self.stock + self.coming.pop(0)
        self.sold = np.minimum(wanted, self.stock)
        self.stock = self.stock - self.sold
        self.day = (self.day + 1) % 7

    def measure(self) -> dict[str, Array]:
        return {"stock": self.stock, "sold": self.sold.astype(float), "day": self.day}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (P["level"] - seen["stock"])

    def step(self, action: dict[str, Array]) -> dict[str, Array]:
        after = super().step(action)
        return {**after, "next_sold": self.seen["sold"]}


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    demand = draw.uniform(4, 12)
    lead = int(draw.integers(1, 4))
    numbers = {
        "demand": demand,
        "lead": lead,
        "week": draw.uniform(0, 0.5),
        "most": round(4 * demand),
        "base": draw.uniform(0.6, 1.2) * demand,
        "kp": draw.uniform(0.05, 0.4),
        "level": draw.uniform(1.5, 5) * demand,
        "bounds": [[0, round(4 * demand)]],
        "dither": draw.uniform(0.2, 0.6) * demand,
        "runs": 4,
        "steps": 365,
    }
    seen = ["stock", "day", "ts_action"]
    return {
        "parameters": numbers,
        "columns": [
            base.column("stock"),
            base.column("sold"),
            base.column("day"),
            base.column("action", "order", min=0, max=round(4 * demand)),
        ],
        "graph": {
            "action": seen,
            "next_stock": [*seen, "action"],
            "next_sold": [*seen, "action"],
        },
        "nodes": {"action": {"ts": lead + 1}},
        "reward": f'10 * data["next_sold"] - 4 * data["action"] - {draw.uniform(0.1, 0.5):.2f} * data["next_stock"]',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
