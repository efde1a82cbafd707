"""A cart on a stiffening spring, pushed towards a place; episodes from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("x", "v")

    def begin(self) -> None:
        self.x, self.v = self.uniform(-2, 2), self.uniform(-1, 1)

    def advance(self, u: Array) -> None:
        for _ in range(5):
            force = (
                np.clip(u, -2, 2) * P["gain"]
                - P["soft"] * self.x
                - P["stiff"] * self.x**3
                - P["damping"] * self.v
            )
            self.v = self.v + P["dt"] / 5 * force
            self.x = self.x + P["dt"] / 5 * self.v
        self.v = self.v + P["plant_noise"] * self.normal()

    def measure(self) -> dict[str, Array]:
        return {"x": self.sensor(self.x, P["sensor"]), "v": self.sensor(self.v, P["sensor"])}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["kp"] * (P["goal"] - seen["x"]) - P["kd"] * seen["v"]


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "gain": draw.uniform(0.6, 2),
        "soft": draw.uniform(0, 1),
        "stiff": draw.uniform(0, 0.8),
        "damping": draw.uniform(0.05, 0.4),
        "dt": draw.uniform(0.05, 0.15),
        "plant_noise": draw.uniform(0.0, 0.02),
        "sensor": draw.uniform(0.0, 0.02),
        "goal": draw.uniform(-0.5, 0.8),
        "kp": draw.uniform(0.2, 0.6),
        "kd": draw.uniform(0.0, 0.3),
        "bounds": [[-2, 2]],
        "dither": draw.uniform(0.2, 0.7),
        "runs": 40,
        "steps": 100,
        "episode": 100,
    }
    goal = f"{numbers['goal']:.3f}"
    reward = f'torch.exp(-4 * (data["next_x"] - {goal}) ** 2) - 0.05 * data["action"] ** 2'
    return {
        "parameters": numbers,
        "columns": [
            base.column("x", units="m"),
            base.column("v", units="m/s"),
            base.column("action", "force", min=-2, max=2),
        ],
        "graph": {"action": ["x", "v"], "next_x": ["x", "v", "action"], "next_v": ["x", "v", "action"]},
        "reward": reward,
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
