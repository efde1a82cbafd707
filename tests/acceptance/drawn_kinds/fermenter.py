"""A fed-batch fermenter: sugar feeds the cells, too much of it inhibits them; product counts when a batch ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("steps")
PARTS = 8  # Euler steps within a logged step


class Simulator(base.Base):
    """Haldane growth with maintenance, product by Luedeking and Piret (1959), dilution by the feed."""

    states = ("biomass", "sugar", "product", "volume")

    def begin(self) -> None:
        self.biomass, self.sugar = self.uniform(0.6, 1.6), self.uniform(6, 16)
        self.product, self.volume = np.zeros((self.batch, 1)), self.uniform(4.5, 5.5)
        self.left = P["steps"]

    def advance(self, u: Array) -> None:
        flow, hours = np.clip(u, 0, P["most"]), P["hours"] / PARTS
        vigour = np.exp(P["plant_noise"] * self.normal())
        for _ in range(PARTS):
            limited = self.sugar / (P["half"] + self.sugar + self.sugar**2 / P["inhibition"])
            growth = vigour * P["growth"] * limited * (1 - self.biomass / P["crowded"])
            made = P["growth_bound"] * growth + P["rate"] * limited
            used = growth / P["yield"] + P["keep"] * limited + made / 0.8
            thinned = flow / self.volume
            change = growth * self.biomass - thinned * self.biomass
            eaten = used * self.biomass - thinned * (P["strong"] - self.sugar)
            self.product = self.product + hours * (made * self.biomass - thinned * self.product)
            self.sugar = np.maximum(self.sugar - hours * eaten, 0.0)
            self.biomass = self.biomass + hours * change
            self.volume = self.volume + hours * flow
        self.left -= 1

    def measure(self) -> dict[str, Array]:
        read = {
            name: np.maximum(self.sensor(value, P["sensor"] * (0.1 * size + value)), 0.0)
            for name, value, size in (
                ("biomass", self.biomass, 10),
                ("sugar", self.sugar, 10),
                ("product", self.product, 2),
            )
        }
        return {**read, "volume": self.volume, "left": np.full((self.batch, 1), float(self.left))}

    def sensor(self, value: Array, sd: Array) -> Array:
        return value + self.noise * sd * self.random.normal(size=value.shape)

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        recipe = P["base"] * np.minimum(np.exp(P["ramp"] * P["hours"] * t), P["cap"])
        return recipe * (1 + P["kp"] * (P["wanted"] - seen["sugar"]))


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "hours": draw.uniform(1.5, 3),
        "growth": draw.uniform(0.08, 0.15),
        "crowded": draw.uniform(40, 90),
        "half": draw.uniform(0.4, 1.5),
        "inhibition": draw.uniform(8, 25),
        "yield": draw.uniform(0.4, 0.5),
        "keep": draw.uniform(0.01, 0.03),
        "growth_bound": draw.uniform(0.0, 0.1),
        "rate": draw.uniform(0.008, 0.02),
        "strong": draw.uniform(200, 350),
        "plant_noise": draw.uniform(0.02, 0.1),
        "sensor": draw.uniform(0.01, 0.05),
        "base": draw.uniform(0.003, 0.006),
        "ramp": draw.uniform(0.03, 0.06),
        "cap": draw.uniform(6, 12),
        "kp": draw.uniform(0.02, 0.08),
        "wanted": draw.uniform(6, 15),
        "most": 0.2,
        "bounds": [[0, 0.2]],
        "dither": draw.uniform(0.003, 0.01),
        "runs": int(draw.choice([25, 40])),
        "steps": int(draw.integers(30, 61)),
    }
    seen = ["biomass", "sugar", "product", "volume"]
    price, cost = 1.0, draw.uniform(4, 10)
    return {
        "parameters": numbers,
        "columns": [
            base.column("biomass", units="g/L"),
            base.column("sugar", units="g/L"),
            base.column("product", units="g/L"),
            base.column("volume", units="L"),
            base.column("left", "steps_left"),
            base.column("action", "feed", units="L/h", min=0, max=0.2),
        ],
        "graph": {
            "action": [*seen, "left"],
            **{f"next_{name}": [*seen, "action"] for name in seen},
        },
        "reward": f"""torch.where(data["left"] < 1.5, {price} * data["next_product"] * data["next_volume"], 0.0) \\
        - {cost:.2f} * data["action"]""",
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
