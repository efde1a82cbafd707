"""Generated logs whose hidden causes are known: what the causal cards must see, and what they must not.

Each generator returns arrays (N, d) and `index`, as a simulator's `make_data` does, with the description that belongs
to them. The true effects and the hidden series stay here; nothing in `revive` knows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

Arrays = dict[str, np.ndarray]
ROOM, SHUT, OPEN, SENSOR = 15.0, 0.02, 0.08, 0.1
PERIOD, OPEN_FOR = 200, 20
TANKS = Path(__file__).parents[2] / "experiments" / "two_tanks" / "simulator.py"


@dataclass(frozen=True)
class Logs:
    """arrays: of the logs. description: of their columns and graph. hidden: the cause that is not logged (N,)."""

    arrays: Arrays
    description: dict[str, Any]
    hidden: np.ndarray


def slow(rows: int, sd: float, memory: float, random: np.random.Generator) -> np.ndarray:
    """(rows,) an autoregressive series of the standard deviation `sd` that forgets over `memory` steps."""
    rho = np.exp(-1.0 / memory)
    shocks = random.normal(0.0, sd * np.sqrt(1 - rho**2), rows)
    series = np.empty(rows)
    value = random.normal(0.0, sd)
    for t in range(rows):
        series[t] = value
        value = rho * value + shocks[t]
    return series


def doors(rows: int, random: np.random.Generator) -> np.ndarray:
    """(rows,) 1 while the door stands open: once in every 200 steps, for 20 of them."""
    door = np.zeros(rows)
    for start in range(0, rows, PERIOD):
        opens = start + random.integers(0, PERIOD - OPEN_FOR + 1)
        door[opens : opens + OPEN_FOR] = 1.0
    return door


def refrigerator(
    seed: int,
    *,
    rows: int = 2000,
    noise: float = 0.1,
    exploring: bool = False,
    door_logged: bool = True,
    door_moves: float = 0.0,
    load: float = 0.0,
    load_moves: float = 0.0,
    memory: float = 50.0,
    dead_time: int = 1,
    has_door: bool = True,
    effects: bool = False,
    gain: float = 0.2,
    dither: float = 0.0,
) -> Logs:
    """The refrigerator of experiments/refrigerator under a proportional controller.

    noise: sd of the operator's own moves. door_moves, load_moves: how much power he adds while the door is open, and
    for each unit of the load, a slow warming of sd `load` degC per step. dither: of a prescribed two-level excitation.
    """
    random = np.random.default_rng([seed, 7])
    door = doors(rows, random) if has_door else np.zeros(rows)
    warming = slow(rows, load, memory, random) if load else np.zeros(rows)
    setpoint_term = 3.75 if gain == 0.2 else 0.34 / gain + 2.0
    true, pending = 10.0 if dead_time == 1 else 0.0, [0.3] * (dead_time - 1)
    seen = true + random.normal(0.0, SENSOR)
    kept = np.empty((rows, 3))
    for t in range(rows):
        usual = gain * (seen + setpoint_term) + door_moves * door[t] + load_moves * warming[t]
        if exploring:
            usual += random.uniform(-0.7, 0.7)
        power = max(0.0, usual + random.normal(0.0, noise) + dither * np.sign(random.normal()))
        pending.append(power)
        cooled = true - pending.pop(0)
        true = cooled + (OPEN if door[t] else SHUT) * (ROOM - cooled) + warming[t]
        follows = true + random.normal(0.0, SENSOR)
        kept[t] = seen, power, follows
        seen = follows
    arrays = {"temperature": kept[:, :1], "action": kept[:, 1:2], "next_temperature": kept[:, 2:]}
    columns: list[dict[str, Any]] = [
        {"temperature": {"dim": "temperature", "type": "continuous"}},
        {"power": {"dim": "action", "type": "continuous", "min": 0, "max": 10}},
    ]
    inputs = ["action", "temperature"]
    if has_door and door_logged:
        arrays["door_open"] = door[:, None]
        columns.insert(0, {"door_open": {"dim": "door_open", "type": "continuous", "min": 0, "max": 1}})
        inputs.append("door_open")
    metadata: dict[str, Any] = {
        "columns": columns,
        "graph": {"action": ["temperature"], "next_temperature": inputs},
    }
    if effects:
        metadata["nodes"] = {"next_temperature": {"effects": {"power": "decreasing"}}}
    arrays["index"] = np.array([rows])
    hidden = door if not door_logged else warming
    return Logs(arrays, {"metadata": metadata}, hidden)


def two_tanks(seed: int, *, batches: int = 36, inflow: float = 0.0, moves: float = 0.0) -> Logs:
    """The two tanks of experiments/two_tanks. inflow: sd, in volts of the pump, of a slow inflow into the upper tank
    that nobody logs; moves: volts that the operator takes off for each volt of it."""
    plant = load_module(TANKS)

    random = np.random.default_rng([seed, 8])
    tanks, pi = plant.Simulator(batches, seed), plant.Pi(batches)
    hand = np.random.default_rng([seed, 2])
    extra = np.stack([slow(plant.EPISODE, inflow, 40.0, random) for _ in range(batches)])
    logs: dict[str, list[np.ndarray]] = {}
    for t in range(plant.EPISODE):
        seen = tanks.observe()
        voltage = pi(seen) + hand.normal(0.0, plant.DITHER, (batches, 1)) - moves * extra[:, t : t + 1]
        voltage = np.clip(voltage, 0.0, plant.MOST_VOLTAGE)
        follows = tanks.step({"pump": np.clip(voltage + extra[:, t : t + 1], 0.0, plant.MOST_VOLTAGE)})
        for name, value in {**seen, "pump": voltage, **follows}.items():
            logs.setdefault(name, []).append(value)
    series = {name: np.stack(v, axis=1) for name, v in logs.items()}
    over = np.cumsum(series["done"], axis=1)[..., 0]
    logged = over - series["done"][..., 0] == 0
    arrays = {name: v[logged] for name, v in series.items() if name != "done"}
    arrays["index"] = np.cumsum(logged.sum(1))
    columns = [
        {"h1": {"dim": "levels", "type": "continuous"}},
        {"h2": {"dim": "levels", "type": "continuous"}},
        {"voltage": {"dim": "pump", "type": "continuous", "min": 0, "max": 12}},
    ]
    graph = {"pump": ["levels"], "next_levels": ["levels", "pump"]}
    return Logs(arrays, {"metadata": {"columns": columns, "graph": graph}}, extra[logged])


def arm(
    seed: int, *, trajectories: int = 12, steps: int = 250, wind: float = 0.0, moves: float = 0.0
) -> Logs:
    """An arm that hangs on a stiffening spring: angle'' = torque + wind - sin(angle) - .3 angle^3 - .4 speed.

    Midpoint rule at .1 s, noisy sensors, a PD controller with dither and setpoints that change.
    wind: sd of a slow force that nobody logs; moves: torque that the operator takes off for each unit of it.
    """
    random = np.random.default_rng([seed, 9])
    count = trajectories
    angle, speed = random.uniform(-1, 1, count), np.zeros(count)
    force = (
        np.stack([slow(steps, wind, 30.0, random) for _ in range(count)])
        if wind
        else np.zeros((count, steps))
    )
    goal = random.uniform(-1.0, 1.0, (count, steps // 50 + 1)).repeat(50, axis=1)[:, :steps]
    kept = np.empty((count, steps, 6))

    def read() -> tuple[np.ndarray, np.ndarray]:
        return angle + random.normal(0, 0.01, count), speed + random.normal(0, 0.02, count)

    seen = read()
    for t in range(steps):
        torque = 2.0 * (goal[:, t] - seen[0]) - 0.8 * seen[1] + np.sin(goal[:, t])
        torque = torque + random.normal(0, 0.25, count) - moves * force[:, t]
        for _ in range(2):
            push = torque + force[:, t]
            middle = angle + 0.025 * speed, speed + 0.025 * _turn(angle, speed, push)
            angle, speed = angle + 0.05 * middle[1], speed + 0.05 * _turn(*middle, push)
        before, seen = seen, read()
        kept[:, t] = np.column_stack([*before, goal[:, t], torque, *seen])
    flat = kept.reshape(-1, 6)
    arrays = {"arm": flat[:, :2], "goal": flat[:, 2:3], "torque": flat[:, 3:4], "next_arm": flat[:, 4:]}
    arrays["index"] = np.arange(1, count + 1) * steps
    columns = [
        {"angle": {"dim": "arm", "type": "continuous"}},
        {"speed": {"dim": "arm", "type": "continuous"}},
        {"goal": {"dim": "goal", "type": "continuous"}},
        {"torque": {"dim": "torque", "type": "continuous"}},
    ]
    graph = {"torque": ["arm", "goal"], "next_arm": ["arm", "torque"]}
    return Logs(arrays, {"metadata": {"columns": columns, "graph": graph}}, force.reshape(-1))


@dataclass(frozen=True)
class Vessel:
    """A level that a valve raises, under an operator who keeps it too low: every number of its law is known.

    What is logged obeys, whatever the strength of the hidden cause,

        a = k x + m + r,    x' = A x + B + theta a + e,    sd(r) = own, sd(e) = rest.

    A cause u, drawn anew in every step, that explains the share `strength` of r and as much of what a leaves of x'
    makes the effect look larger than it is by bias = rest / own * strength / sqrt(1 - strength): the plant itself is
    x' = A x + B + theta a - bias (a - k x - m) + kappa u + w.
    """

    memory: float = 0.85
    level: float = 0.05
    effect: float = 0.3
    own: float = 0.3
    rest: float = 0.08
    gain: float = -0.1
    usual: float = 0.2

    def bias(self, strength: float) -> float:
        return self.rest / self.own * strength / np.sqrt(1.0 - strength)

    def step(
        self, x: np.ndarray, a: np.ndarray, u: np.ndarray, strength: float, random: np.random.Generator
    ) -> np.ndarray:
        """x' for levels, valves and causes (B,)."""
        by_cause = self.rest * np.sqrt(strength / (1.0 - strength)) * u
        noise = self.rest * np.sqrt(1.0 - strength) * random.normal(size=x.shape)
        lean = self.bias(strength) * (a - self.gain * x - self.usual)
        return np.asarray(self.memory * x + self.level + self.effect * a - lean + by_cause + noise)

    def logs(self, seed: int, *, strength: float = 0.3, rows: int = 2000) -> Logs:
        """One trajectory of the operator."""
        random = np.random.default_rng([seed, 10])
        x, kept, hidden = np.array([0.5]), np.empty((rows, 3)), np.empty(rows)
        for t in range(rows):
            u = random.normal(size=1)
            own = self.own * (np.sqrt(strength) * u + np.sqrt(1.0 - strength) * random.normal(size=1))
            a = self.gain * x + self.usual + own
            follows = self.step(x, a, u, strength, random)
            kept[t], hidden[t] = (x[0], a[0], follows[0]), u[0]
            x = follows
        arrays = {
            "tank": kept[:, :1],
            "valve": kept[:, 1:2],
            "next_tank": kept[:, 2:],
            "index": np.array([rows]),
        }
        columns = [
            {"level": {"dim": "tank", "type": "continuous"}},
            {"opening": {"dim": "valve", "type": "continuous", "min": -3, "max": 3}},
        ]
        graph = {"valve": ["tank"], "next_tank": ["tank", "valve"]}
        return Logs(arrays, {"metadata": {"columns": columns, "graph": graph}}, hidden)


def _turn(angle: np.ndarray, speed: np.ndarray, push: np.ndarray) -> np.ndarray:
    return push - np.sin(angle) - 0.3 * angle**3 - 0.4 * speed


CASES: dict[str, Callable[[int], Logs]] = {
    "healthy": refrigerator,
    "exploring": lambda seed: refrigerator(seed, exploring=True),
    "narrow .01": lambda seed: refrigerator(seed, noise=0.01),
    "narrow .003": lambda seed: refrigerator(seed, noise=0.003),
    "unlogged door": lambda seed: refrigerator(seed, door_logged=False, door_moves=1.0),
    "unlogged load": lambda seed: refrigerator(seed, load=0.2, load_moves=0.8),
    "declared door": lambda seed: refrigerator(seed, door_logged=False, door_moves=1.0, effects=True),
    "ignored disturbance": lambda seed: refrigerator(seed, load=0.2),
    "sensor noise": lambda seed: refrigerator(seed, has_door=False),
    "dead time 20": lambda seed: refrigerator(seed, dead_time=20, gain=0.02),
    "tanks healthy": two_tanks,
    "tanks hidden": lambda seed: two_tanks(seed, inflow=1.0, moves=0.8),
    "arm healthy": arm,
    "tipping": lambda seed: Vessel().logs(seed),
    "arm hidden": lambda seed: arm(seed, wind=0.5, moves=0.8),
}
