"""Two purities of a distillation column that both valves move almost alike: the gain is nearly singular."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("purity",)

    def begin(self) -> None:
        self.purity = 0.3 * self.random.normal(size=(self.batch, 2))
        self.feed = 0.3 * self.normal()

    def advance(self, u: Array) -> None:
        settled = np.clip(u, -1, 1) @ np.array(P["gain"]) + self.feed * np.array(P["upset"])
        self.purity = self.purity + (settled - self.purity) / P["slow"]
        self.purity = self.purity + P["plant_noise"] * self.random.normal(size=(self.batch, 2))
        self.feed = 0.98 * self.feed + 0.06 * self.normal()

    def measure(self) -> dict[str, Array]:
        return {"purity": self.sensor(self.purity, P["sensor"]), "feed": self.feed}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["kp"] * seen["purity"] * np.array([-1.0, 1.0])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    size, alike = draw.uniform(3, 6), draw.uniform(0.85, 0.95)
    gain = size * np.array([[1.0, alike], [-alike, -1.0]])
    goal = np.array([draw.uniform(0.3, 0.6), draw.uniform(0.3, 0.6)]) @ gain
    numbers = {
        "gain": gain.tolist(),
        "upset": [draw.uniform(0.2, 0.6), draw.uniform(-0.6, 0.6)],
        "slow": draw.uniform(4, 12),
        "plant_noise": draw.uniform(0.005, 0.03),
        "sensor": draw.uniform(0.005, 0.03),
        "kp": draw.uniform(0.1, 0.4),
        "bounds": [[-1, 1], [-1, 1]],
        "dither": draw.uniform(0.1, 0.3),
        "runs": int(draw.choice([1, 6])),
        "steps": int(draw.choice([500, 1000])),
    }
    purity = [base.column("purity", name, units="%") for name in ("top", "bottom")]
    valves = [base.column("action", name, min=-1, max=1) for name in ("reflux", "boilup")]
    seen = ["purity", "feed"]
    return {
        "parameters": numbers,
        "columns": [*purity, base.column("feed"), *valves],
        "graph": {"action": seen, "next_purity": [*seen, "action"]},
        "reward": f'-(data["next_purity"] - torch.tensor([{goal[0]:.3f}, {goal[1]:.3f}])).abs().sum(-1, keepdim=True)',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
