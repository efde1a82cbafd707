"""Germs in a cooling loop: their number is log-normal, and a biocide that decays keeps it down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("germs", "residue")

    def begin(self) -> None:
        self.germs, self.residue = np.exp(6 + 0.8 * self.normal()), self.uniform(0.2, 1)
        self.warm = 22 + 3 * self.normal()

    def advance(self, u: Array) -> None:
        self.residue = self.residue * (1 - P["decay"]) + np.clip(u, 0, 3)
        grows = P["growth"] + 0.02 * (self.warm - 22) - P["kill"] * self.residue
        self.germs = self.germs * np.exp(grows + P["plant_noise"] * self.normal()) + 5
        self.germs = np.minimum(self.germs, 1e6)
        self.warm = 22 + 0.95 * (self.warm - 22) + self.normal()

    def measure(self) -> dict[str, Array]:
        counted = self.germs * np.exp(self.noise * P["sensor"] * self.normal())
        return {"germs": counted, "residue": self.sensor(self.residue, 0.02), "warm": self.warm}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (np.log(seen["germs"]) - 6)


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    kill, growth, decay = draw.uniform(0.3, 0.6), draw.uniform(0.3, 0.6), draw.uniform(0.2, 0.5)
    numbers = {
        "decay": decay,
        "growth": growth,
        "kill": kill,
        "plant_noise": draw.uniform(0.1, 0.3),
        "sensor": draw.uniform(0.05, 0.3),
        "base": growth / kill * decay,
        "kp": draw.uniform(0.05, 0.15),
        "bounds": [[0, 3]],
        "dither": draw.uniform(0.1, 0.3),
        "runs": int(draw.choice([1, 4])),
        "steps": int(draw.choice([600, 1200])),
    }
    seen = ["germs", "residue", "warm"]
    return {
        "parameters": numbers,
        "columns": [
            base.column("germs", units="1/mL"),
            base.column("residue", units="mg/L"),
            base.column("warm", units="degC"),
            base.column("action", "biocide", units="mg/L", min=0, max=3),
        ],
        "graph": {
            "action": seen,
            "next_germs": [*seen, "action"],
            "next_residue": ["residue", "action"],
        },
        "reward": f'-data["next_germs"] / 500 - {draw.uniform(0.5, 2):.2f} * data["action"]',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
