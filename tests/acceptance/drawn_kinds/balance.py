"""A pole on a cart, held up by a poor controller; an episode ends where it falls or the cart leaves its track."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("cart", "pole")

    def begin(self) -> None:
        self.cart = 0.3 * self.random.normal(size=(self.batch, 2))  # place m, speed m/s
        self.pole = 0.06 * self.random.normal(size=(self.batch, 2))  # angle rad, rate rad/s

    def advance(self, u: Array) -> None:
        for _ in range(2):
            angle, rate = self.pole[:, :1], self.pole[:, 1:]
            total = 1 + P["mass"]
            push = P["force"] * np.clip(u, -1, 1) + P["mass"] * P["length"] * rate**2 * np.sin(angle)
            push = push / total
            turn = 9.8 * np.sin(angle) - np.cos(angle) * push
            turn = turn / (P["length"] * (4 / 3 - P["mass"] * np.cos(angle) ** 2 / total))
            pull = push - P["mass"] * P["length"] * turn * np.cos(angle) / total
            self.cart = self.cart + 0.01 * np.hstack([self.cart[:, 1:], pull])
            self.pole = self.pole + 0.01 * np.hstack([rate, turn])
        self.pole[:, 1:] += P["plant_noise"] * self.normal()

    def measure(self) -> dict[str, Array]:
        return {"cart": self.sensor(self.cart, P["sensor"]), "pole": self.sensor(self.pole, P["sensor"])}

    def ended(self) -> dict[str, Array]:
        return {"done": ((abs(self.pole[:, :1]) > 0.3) | (abs(self.cart[:, :1]) > 2.4)).astype(float)}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        lean = seen["pole"] @ np.array([[P["kp"]], [P["kd"]]])
        return lean + seen["cart"] @ np.array([[P["place"]], [0.3]])


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "mass": draw.uniform(0.05, 0.3),
        "length": draw.uniform(0.4, 0.8),
        "force": draw.uniform(6, 12),
        "plant_noise": draw.uniform(0.0, 0.02),
        "sensor": draw.uniform(0.0, 0.003),
        "kp": draw.uniform(2.5, 4),
        "kd": draw.uniform(0.3, 0.6),
        "place": draw.uniform(0.0, 0.1),
        "bounds": [[-1, 1]],
        "dither": draw.uniform(0.2, 0.5),
        "runs": 60,
        "steps": 200,
        "episode": 200,
    }
    cart = [base.column("cart", "place", units="m"), base.column("cart", "speed", units="m/s")]
    pole = [base.column("pole", "angle", units="rad"), base.column("pole", "rate", units="rad/s")]
    every = ["cart", "pole", "action"]
    return {
        "parameters": numbers,
        "columns": [
            *cart,
            *pole,
            base.column("action", "push", min=-1, max=1),
            {"done": {"dim": "done", "type": "category", "values": [0, 1]}},
        ],
        "graph": {
            "action": ["cart", "pole"],
            "next_cart": every,
            "next_pole": every,
            "done": ["next_cart", "next_pole"],
        },
        "reward": '1 - data["next_cart"][..., :1].abs() / 2.4 - 0.1 * data["action"] ** 2',
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
