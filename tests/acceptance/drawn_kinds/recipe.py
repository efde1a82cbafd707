"""Five recipes for a kiln, two of them rare; the rare one that cleans it pays only in the long run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("soot", "grade")

    def begin(self) -> None:
        self.soot, self.grade = self.uniform(0, 4), 80 + 3 * self.normal()
        self.ore = self.normal()

    def advance(self, u: Array) -> None:
        chosen = np.clip(np.round(u), 0, 4).astype(int)
        suits = np.array(P["suits"])[chosen] * self.ore
        self.grade = 80 + suits - P["harm"] * self.soot + np.array(P["bonus"])[chosen]
        self.grade = self.grade + P["plant_noise"] * self.normal()
        soot = self.soot * np.array(P["keeps"])[chosen] + np.array(P["adds"])[chosen]
        self.soot = np.maximum(soot + 0.1 * self.normal(), 0.0)
        self.ore = 0.8 * self.ore + 0.6 * self.normal()

    def measure(self) -> dict[str, Array]:
        return {"soot": self.sensor(self.soot, 0.05), "grade": self.grade, "ore": self.ore}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        usual = np.where(seen["ore"] < -0.5, 0, np.where(seen["ore"] < 0.5, 1, 2))
        strays = self.random.random((self.batch, 1)) < P["strays"]
        usual = np.where(strays, np.floor(3 * self.random.random((self.batch, 1))), usual)
        rare = self.random.random((self.batch, 1))
        return np.where(rare < P["rare"], 3, np.where(rare > 1 - P["rare"], 4, usual)).astype(float)


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "suits": [draw.uniform(-3, -1), 0.0, draw.uniform(1, 3), 0.0, 0.0],
        "bonus": [0.0, draw.uniform(0, 1), 0.0, draw.uniform(-12, -6), draw.uniform(-4, 2)],
        "keeps": [1.0, 1.0, 1.0, draw.uniform(0.1, 0.3), 0.9],
        "adds": [0.3, 0.25, 0.3, 0.0, 0.1],
        "harm": draw.uniform(0.8, 1.5),
        "plant_noise": draw.uniform(0.3, 1),
        "strays": draw.uniform(0.1, 0.3),
        "rare": draw.uniform(0.02, 0.04),
        "bounds": [[0, 4]],
        "dither": 0.0,
        "runs": int(draw.choice([4, 10])),
        "steps": 200,
        "episode": 200,
    }
    names = {"recipe": {"dim": "action", "type": "category", "values": [0, 1, 2, 3, 4]}}
    seen = ["soot", "ore"]
    return {
        "parameters": numbers,
        "columns": [base.column("soot"), base.column("grade"), base.column("ore"), names],
        "graph": {"action": seen, "next_soot": ["soot", "action"], "next_grade": [*seen, "action"]},
        "reward": 'data["next_grade"] - 70',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
