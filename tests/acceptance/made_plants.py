"""Small made-up plants whose truth is known: for what `check` proposes about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Plant:
    """One plant and how it is logged.

    dead_time: steps between the action and its first effect. hidden: a state between the action and the level
    that is not logged. disturbed: a measured disturbance is logged as if it were a state. curved: outflow with
    the square root of the level. noise: of the sensors, as a share of what they show. alone: only the level is logged.
    digits: of what is logged of the state.
    """

    rows: int = 2000
    runs: int = 2
    dead_time: int = 0
    hidden: bool = False
    disturbed: bool = False
    curved: bool = False
    noise: float = 0.02
    slow: tuple[float, float] = (8.0, 15.0)
    control: str = "feedback"
    alone: bool = False
    digits: int | None = None


def drawn(seed: int, **fixed: Any) -> Plant:
    """A plant drawn at random, but for what is fixed."""
    rng = np.random.default_rng(seed + 1000)
    plant = Plant(
        rows=int(rng.integers(1200, 4000)),
        runs=int(rng.integers(1, 9)),
        curved=bool(rng.random() < 0.5),
        noise=float(rng.choice([0.0, 0.01, 0.02, 0.04])),
        slow=(float(rng.uniform(3, 25)), float(rng.uniform(5, 40))),
        control=str(rng.choice(["feedback", "steps", "waves"])),
        digits=[None, 2, 3][int(rng.integers(0, 3))],
    )
    return replace(plant, **fixed)


@dataclass
class Logs:
    """arrays: node -> (N, d), and `index`; names of the columns of the state."""

    arrays: dict[str, np.ndarray]
    names: tuple[str, ...]
    truth: Mapping[str, Any] = field(default_factory=dict)


def logged(plant: Plant, seed: int) -> Logs:
    """The logs of a plant: two states in interaction, one action."""
    rng = np.random.default_rng(seed)
    length = plant.rows // plant.runs
    pieces = [_run(plant, length, rng) for _ in range(plant.runs)]
    state, action = (np.concatenate([piece[k] for piece in pieces]) for k in (0, 1))
    spread = state.std(axis=0)
    state = state + plant.noise * spread * rng.normal(size=state.shape)
    state = state if plant.digits is None else np.round(state, plant.digits)
    names = ("level", "temp", "feed")[: state.shape[1]]
    if plant.alone:
        state, names = state[:, :1], names[:1]
    ends = length * np.arange(1, plant.runs + 1)
    return Logs({"state": state, "action": action, "index": ends}, names)


def _run(plant: Plant, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    a, b = (1 / slow for slow in plant.slow)
    level, temp, hidden, feed = 1.0 + 0.2 * rng.normal(), 0.5, 1.0, 0.0
    pending = [0.5 + 0.2 * rng.normal()] * (plant.dead_time + 1)
    goal, dither, left = 1.0, 0.0, 0
    waves = rng.uniform(0.003, 0.03, 6), rng.uniform(0, 2 * np.pi, 6)
    total, states, actions = 0.0, [], []
    for t in range(length):
        if left == 0:
            left = int(rng.integers(5, 40))
            goal, dither = rng.uniform(0.5, 1.5), rng.normal()
        left -= 1
        seen = level * (1 + plant.noise * rng.normal())
        if plant.control == "feedback":
            total = np.clip(total + 0.02 * (goal - seen), -1, 1)
            u = 0.5 + 0.4 * (goal - seen) + total + 0.15 * rng.normal() + 0.1 * dither
        elif plant.control == "steps":
            u = 0.5 + 0.3 * dither
        else:
            u = 0.5 + 0.15 * np.sin(2 * np.pi * waves[0] * t + waves[1]).sum() + 0.02 * rng.normal()
        u = float(np.clip(u, 0.0, 1.5))
        states.append([level, temp, feed] if plant.disturbed else [level, temp])
        actions.append([u])
        pending.append(u)
        inflow = pending[-1 - plant.dead_time]
        hidden += (inflow - hidden) / 6.0
        driving = hidden if plant.hidden else inflow
        outflow = np.sqrt(max(level, 0.0)) * 0.5 if plant.curved else 0.5 * level
        level += a * (driving - outflow + 0.3 * feed) + 0.003 * rng.normal()
        temp += b * (level - temp) + 0.003 * rng.normal()
        feed = 0.95 * feed + 0.1 * rng.normal()
    return np.array(states), np.array(actions)


def shuffled(logs: Logs, seed: int) -> Logs:
    """The same rows in no order, as one trajectory."""
    rows = len(logs.arrays["state"])
    order = np.random.default_rng(seed).permutation(rows)
    arrays = {name: logs.arrays[name][order] for name in ("state", "action")}
    return Logs({**arrays, "index": np.array([rows])}, logs.names)


def stuck(logs: Logs, seed: int) -> Logs:
    """The same logs with a sensor that stands still for a while."""
    rng = np.random.default_rng(seed)
    state = logs.arrays["state"].copy()
    ends = logs.arrays["index"]
    length = int(rng.integers(40, ends[0] // 2))
    start = int(rng.integers(5, ends[0] - length)) + (int(ends[0]) * int(rng.integers(0, len(ends))))
    column = int(rng.integers(0, state.shape[1]))
    state[start : start + length, column] = state[start, column]
    return Logs({**logs.arrays, "state": state}, logs.names, {"column": logs.names[column], "start": start})
