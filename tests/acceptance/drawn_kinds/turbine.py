"""A wind turbine below and above rated wind: blades and torque trade power against speed; too fast, and it trips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("speed",)

    def begin(self) -> None:
        self.wind = 9 + 2 * self.normal()
        self.speed = 1.2 + 0.1 * self.normal()

    def power(self, u: Array) -> Array:
        return np.clip(u[:, 1:], 0, 1) * P["torque"] * self.speed

    def advance(self, u: Array) -> None:
        pitch = np.clip(u[:, :1], 0, 25)
        ratio = P["tip"] * self.speed / np.maximum(self.wind, 1)
        share = np.maximum(1 - ((ratio - 7) / 6) ** 2, 0) * np.exp(-((pitch / P["feather"]) ** 2))
        drive = P["blow"] * share * (self.wind / 9) ** 3 / np.maximum(self.speed, 0.3)
        pull = np.clip(u[:, 1:], 0, 1) * P["torque"]
        self.speed = np.maximum(self.speed + (drive - pull) / P["inertia"], 0.2)
        self.speed = self.speed + P["plant_noise"] * self.normal()
        self.wind = np.maximum(P["mean"] + 0.98 * (self.wind - P["mean"]) + 0.4 * self.normal(), 2)

    def measure(self) -> dict[str, Array]:
        return {"speed": self.sensor(self.speed, P["sensor"]), "wind": self.sensor(self.wind, 0.2)}

    def ended(self) -> dict[str, Array]:
        return {"done": (self.speed > 2.2).astype(float)}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        pitch = P["kp"] * (seen["speed"] - 1.3) + P["forward"] * np.maximum(seen["wind"] - 9, 0)
        return np.hstack([pitch, 0.45 + P["kt"] * (seen["speed"] - 1.2)])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "tip": draw.uniform(45, 60),
        "feather": draw.uniform(8, 14),
        "blow": draw.uniform(0.7, 1.1),
        "torque": draw.uniform(1.2, 1.8),
        "inertia": draw.uniform(6, 12),
        "mean": draw.uniform(8, 11),
        "plant_noise": draw.uniform(0.002, 0.01),
        "sensor": draw.uniform(0.0, 0.02),
        "kp": draw.uniform(5, 15),
        "forward": draw.uniform(0.5, 1.5),
        "kt": draw.uniform(0.1, 0.5),
        "bounds": [[0, 25], [0, 1]],
        "dither": draw.uniform(0.05, 0.12),
        "runs": 20,
        "steps": 200,
        "episode": 200,
    }
    made = f'{numbers["torque"]:.3f} * data["action"][..., 1:] * data["next_speed"]'
    return {
        "parameters": numbers,
        "columns": [
            base.column("speed", units="rad/s"),
            base.column("wind", units="m/s"),
            base.column("action", "pitch", units="deg", min=0, max=25),
            base.column("action", "torque", min=0, max=1),
            {"done": {"dim": "done", "type": "category", "values": [0, 1]}},
        ],
        "graph": {
            "action": ["speed", "wind"],
            "next_speed": ["speed", "wind", "action"],
            "done": ["next_speed"],
        },
        "reward": made + ' - 0.02 * data["action"][..., :1]',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
