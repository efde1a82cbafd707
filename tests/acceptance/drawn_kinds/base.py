"""What plants that are drawn at random share; `parameters.json` beside this file holds the numbers.

drawn.py copies this file and that of the kind (as simulator.py) into an experiment folder. A kind has a class
`Simulator`, whose arrays are (B, 1) unless said otherwise, and a function `drawn`, which draws its numbers and says
what the experiment's description and reward are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
_FILE = Path(__file__).with_name("parameters.json")
P: dict[str, Any] = json.loads(_FILE.read_text()) if _FILE.is_file() else {}


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


def column(dim: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    """A continuous column of a description."""
    return {name or dim: {"dim": dim, "type": "continuous", **more}}


def make_data(kind: type[Base]) -> dict[str, Array]:
    """The logs: `runs` trajectories of `steps` rows of the operator, who moves by hand a little now and then."""
    runs, steps, dither, seed = P["runs"], P["steps"], P["dither"], P["seed"]
    plant, hand = kind(runs, seed), np.random.default_rng([seed, 1])
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
