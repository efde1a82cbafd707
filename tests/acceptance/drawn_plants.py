"""Ground truths of plants that are drawn at random: eight kinds; `parameters.json` beside this file holds the numbers.

drawn.py copies this file into an experiment folder as its simulator.py. All arrays are (B, 1) unless said otherwise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
_FILE = Path(__file__).with_name("parameters.json")
P: dict[str, Any] = json.loads(_FILE.read_text()) if _FILE.is_file() else {}
if "episode" in P:
    EPISODE = P["episode"]


class Base:
    """What the kinds share: a batch, a generator, sensor noise."""

    def __init__(self, batch: int, seed: int, noise: bool = True) -> None:
        self.random = np.random.default_rng(seed)
        self.batch, self.noise = batch, float(noise)
        self.begin()
        self.seen = self.measure()

    def normal(self) -> Array:
        return self.random.normal(size=(self.batch, 1))

    def uniform(self, low: float, high: float) -> Array:
        return self.random.uniform(low, high, (self.batch, 1))

    def sensor(self, value: Array, sd: float) -> Array:
        return value + self.noise * sd * self.random.normal(size=value.shape)

    def observe(self) -> dict[str, Array]:
        """What a controller can read before it acts."""
        return self.seen

    def step(self, action: dict[str, Array]) -> dict[str, Array]:
        """Hold the action for one step; what follows."""
        self.advance(np.asarray(action["action"], float))
        self.seen = self.measure()
        after = {f"next_{name}": self.seen[name] for name in self.states}
        return {**after, **self.ended()}

    states: tuple[str, ...] = ()

    def ended(self) -> dict[str, Array]:
        return {}

    def begin(self) -> None:
        raise NotImplementedError

    def advance(self, u: Array) -> None:
        raise NotImplementedError

    def measure(self) -> dict[str, Array]:
        raise NotImplementedError


class Exchanger(Base):
    """First order with a dead time that nobody declared; a measured inlet temperature disturbs it."""

    states = ("outlet",)

    def begin(self) -> None:
        self.inlet = P["inlet_sd"] * self.normal()
        self.rise = 20 + 3 * self.normal()
        self.pending = [np.full((self.batch, 1), 5.0)] * (P["dead_time"] + 1)

    def advance(self, u: Array) -> None:
        self.pending = [*self.pending[1:], np.clip(u, 0, 10)]
        goal = P["gain"] * self.pending[0] ** P["power"]
        self.rise = self.rise + (goal - self.rise) / P["slow"] + P["plant_noise"] * self.normal()
        self.inlet = P["memory"] * self.inlet + P["inlet_sd"] * (1 - P["memory"] ** 2) ** 0.5 * self.normal()

    def measure(self) -> dict[str, Array]:
        return {"outlet": self.sensor(40 + self.inlet + self.rise, P["sensor"]), "inlet": 40 + self.inlet}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        error = P["setpoint"] - seen["outlet"]
        memory["sum"] = np.clip(memory.get("sum", 0.0) + P["ki"] * error, -10, 10)
        return 5 + P["kp"] * error + memory["sum"]


class Insulin(Base):
    """Glucose under insulin that works late, and meals that are announced; too low is far worse than too high."""

    states = ("glucose",)

    def begin(self) -> None:
        self.glucose = 130 + 25 * self.normal()
        self.gut = 5 * abs(self.normal())
        self.depot, self.active = np.full((2, self.batch, 1), P["basal"])
        self.meal = np.zeros((self.batch, 1))
        self.t = 0

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 10)
        self.depot = self.depot + (u - self.depot) / P["depot"]
        self.active = self.active + (self.depot - self.active) / P["onset"]
        self.gut = self.gut * (1 - 1 / P["gut"]) + self.meal
        flow = self.gut / P["gut"] * P["carb"] - P["sensitivity"] * (self.active - P["basal"])
        self.glucose = self.glucose + flow - 0.02 * (self.glucose - 120) + P["plant_noise"] * self.normal()
        self.glucose = np.clip(self.glucose, 30, 450)
        self.t += 1
        eats = self.random.random((self.batch, 1)) < P["meals"]
        self.meal = np.where(eats, self.uniform(20, 70), 0.0)

    def measure(self) -> dict[str, Array]:
        return {"glucose": self.sensor(self.glucose, P["sensor"]), "meal": self.meal}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["basal"] + P["bolus"] * seen["meal"] + P["kp"] * (seen["glucose"] - 130)


class Spring(Base):
    """A cart on a stiffening spring, pushed towards a place; episodes from anywhere."""

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


class Economy(Base):
    """A boiler whose efficiency depends on its state; heat is sold at a price that moves, wear is paid."""

    states = ("heat", "fouling")

    def begin(self) -> None:
        self.heat, self.fouling = 5 + self.normal(), abs(0.2 * self.normal())
        self.price = 1 + 0.2 * self.normal()
        self.phase = self.uniform(0, 2 * np.pi)

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 1)
        best = np.exp(-(((u - P["best"]) / P["width"]) ** 2))
        made = 10 * u * (0.5 + 0.5 * best) * (1 - 0.5 * np.clip(self.fouling, 0, 1.5))
        self.heat = self.heat + (made - self.heat) / P["slow"] + P["plant_noise"] * self.normal()
        self.fouling = self.fouling + P["wear"] * u**2 - P["cleaning"] * self.fouling
        self.phase = self.phase + 2 * np.pi / P["period"]
        season = 0.4 * np.sin(self.phase)
        self.price = 1 + season + 0.5 * (self.price - 1 - season) + 0.05 * self.normal()

    def measure(self) -> dict[str, Array]:
        heat, fouling = self.sensor(self.heat, P["sensor"]), self.sensor(self.fouling, 0.01)
        return {"heat": heat, "fouling": fouling, "price": self.price}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (6 - seen["heat"]) + 0.1 * (seen["price"] - 1)


class Switch(Base):
    """A room with a heater of three stages; the operator's thermostat is coarse."""

    states = ("room",)

    def begin(self) -> None:
        self.room = 19 + 2 * self.normal()
        self.outside = 5 + 4 * self.normal()

    def advance(self, u: Array) -> None:
        change = P["gain"] * np.round(u) - P["loss"] * (self.room - self.outside)
        self.room = self.room + change + P["plant_noise"] * self.normal()
        self.outside = 5 + 0.99 * (self.outside - 5) + 0.5 * self.normal()

    def measure(self) -> dict[str, Array]:
        return {"room": self.sensor(self.room, P["sensor"]), "outside": self.outside}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        stage = np.where(seen["room"] < P["low"], 2.0, np.where(seen["room"] < P["high"], 1.0, 0.0))
        any_stage = np.floor(3 * self.random.random((self.batch, 1)))
        return np.where(self.random.random((self.batch, 1)) < P["mistakes"], any_stage, stage)


class Coupled(Base):
    """Two levels, two valves, each valve moves both; the logged loops are detuned and know nothing of each other."""

    states = ("levels",)

    def begin(self) -> None:
        self.levels = 1.0 + 0.3 * self.random.normal(size=(self.batch, 2))

    def advance(self, u: Array) -> None:
        mixed = np.clip(u, 0, 2) @ np.array(P["mix"])
        out = P["outflow"] * np.sqrt(np.maximum(self.levels, 0))
        self.levels = self.levels + (mixed - out) / P["slow"]
        self.levels = np.maximum(self.levels + P["plant_noise"] * self.random.normal(size=(self.batch, 2)), 0)

    def measure(self) -> dict[str, Array]:
        return {"levels": self.sensor(self.levels, P["sensor"])}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (np.array([1.0, 1.0]) - seen["levels"])


class Harvest(Base):
    """A culture that grows and is harvested; harvested too much it dies, and the batch ends."""

    states = ("biomass", "food")

    def begin(self) -> None:
        self.biomass, self.food = self.uniform(1, 4), self.uniform(3, 8)

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 1)
        growth = P["growth"] * self.food / (P["half"] + self.food) * self.biomass
        self.taken = u * P["rate"] * self.biomass
        self.food = np.maximum(self.food + P["feed"] - growth / P["yield"], 0.0)
        self.biomass = self.biomass + growth - self.taken - 0.02 * self.biomass
        self.biomass = np.maximum(self.biomass * (1 + P["plant_noise"] * self.normal()), 0.01)

    def measure(self) -> dict[str, Array]:
        return {
            "biomass": self.sensor(self.biomass, P["sensor"]),
            "food": self.sensor(self.food, P["sensor"]),
        }

    def ended(self) -> dict[str, Array]:
        return {"done": (self.seen["biomass"] < P["dead"]).astype(float)}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (seen["biomass"] - 3)


class Promotion(Base):
    """A shop's discount: it sells now, and customers wait for the next one."""

    states = ("demand", "patience")

    def begin(self) -> None:
        self.demand, self.patience = 10 + 2 * self.normal(), abs(0.3 * self.normal())

    def advance(self, u: Array) -> None:
        u = np.clip(u, 0, 0.5)
        wish = 10 * (1 + P["lift"] * u / (u + P["half"])) * np.exp(-P["wait"] * self.patience)
        self.demand = self.demand + (wish - self.demand) / 2 + P["plant_noise"] * self.normal()
        self.patience = P["memory"] * self.patience + (1 - P["memory"]) * 2 * u

    def measure(self) -> dict[str, Array]:
        return {"demand": self.sensor(self.demand, P["sensor"]), "patience": self.sensor(self.patience, 0.01)}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        return P["base"] + P["kp"] * (9 - seen["demand"])


KINDS: dict[str, type[Base]] = {
    kind.__name__.lower(): kind
    for kind in (Exchanger, Insulin, Spring, Economy, Switch, Coupled, Harvest, Promotion)
}
Simulator = KINDS[P["kind"]] if P else Base


def make_data() -> dict[str, Array]:
    """The logs: `runs` trajectories of `steps` rows of the operator, who moves by hand a little now and then."""
    runs, steps, dither, seed = P["runs"], P["steps"], P["dither"], P["seed"]
    plant, hand = Simulator(runs, seed), np.random.default_rng([seed, 1])
    low, high = np.array(P["bounds"]).T
    width, by_hand, memory = len(np.atleast_1d(low)), 0.0, {}
    record: list[dict[str, Array]] = []
    for t in range(steps):
        seen = plant.observe()
        moved = hand.random((runs, width)) < 0.15
        by_hand = np.where(moved, dither * hand.normal(size=(runs, width)), by_hand)
        action = np.clip(plant.operator(seen, memory, t) + by_hand, low, high)
        record.append({**seen, "action": action, **plant.step({"action": action})})
    lengths = np.full(runs, steps)
    if "done" in record[0]:
        over = np.hstack([row["done"] for row in record]) > 0.5  # (runs, steps)
        lengths = np.where(over.any(1), over.argmax(1) + 1, steps)
    rows = {
        name: np.concatenate([np.stack([row[name][k] for row in record[: lengths[k]]]) for k in range(runs)])
        for name in record[0]
    }
    return {**rows, "index": np.cumsum(lengths)}
