"""Ground truth of the two tanks: makes the logs of experiment `two_tanks`, and scores a policy.

A pump fills the upper tank, which runs out into the lower one, which runs out. Both flow out as Torricelli has it:

    area h1' = PUMP voltage - OUTLET sqrt(2 g h1)        area h2' = OUTLET sqrt(2 g h1) - OUTLET sqrt(2 g h2)

The pump delivers a little more or less in every step, and the levels are measured with noise;
`Simulator(batch, seed, noise=False)` has neither. The interlock reads the measured level. Nothing in `revive` knows
these numbers.
"""

import numpy as np

EPISODE = 150  # steps of 2 s, unless the interlock ends the batch before
DT, SUBSTEPS = 2.0, 10
AREA, OUTLET, GRAVITY = 15.5, 0.178, 981.0  # cm², cm², cm/s²
PUMP, MOST_VOLTAGE = 4.0, 12.0  # cm³/(s V), V
PUMP_NOISE, SENSOR_NOISE = 0.1, 0.05  # sd: share of the delivery, cm
FULLEST_START = 15.0  # cm
TRIP = 21.5  # cm, measured in the lower tank; interlock.py tells it to the learners
SETPOINT, KP, KI = 18.5, 0.8, 0.045  # of the controller of the logs: cm, V/cm, V/(cm s)
DITHER = 0.5  # V


class Simulator:
    """A batch of independent plants; `levels` (B, 2): h1, h2; `pump` (B, 1): voltage."""

    def __init__(self, batch: int, seed: int, noise: bool = True) -> None:
        self.levels = np.random.default_rng([seed, 0]).uniform(0.0, FULLEST_START, (batch, 2))
        self.random = np.random.default_rng([seed, 1])
        self.noise = float(noise)
        self.measured = self._measure()

    def observe(self) -> dict[str, np.ndarray]:
        """What the controller can read before it acts."""
        return {"levels": self.measured}

    def step(self, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the pump for one step and return what follows: `next_levels` and `done`."""
        voltage = np.clip(action["pump"], 0.0, MOST_VOLTAGE)
        share = 1.0 + self.noise * PUMP_NOISE * self.random.normal(size=voltage.shape)
        for _ in range(SUBSTEPS):  # midpoint rule
            middle = self.levels + 0.5 * DT / SUBSTEPS * rates(self.levels, share * voltage)
            self.levels = self.levels + DT / SUBSTEPS * rates(middle, share * voltage)
            self.levels = np.maximum(self.levels, 0.0)
        self.measured = self._measure()
        return {"next_levels": self.measured, "done": (self.measured[:, 1:] >= TRIP).astype(float)}

    def _measure(self) -> np.ndarray:
        return self.levels + self.noise * SENSOR_NOISE * self.random.normal(size=self.levels.shape)


def rates(levels: np.ndarray, voltage: np.ndarray) -> np.ndarray:
    """How fast the levels (B, 2) rise, in cm/s, while the pump runs at `voltage` (B, 1)."""
    out = OUTLET * np.sqrt(2.0 * GRAVITY * np.maximum(levels, 0.0))  # of each tank, cm³/s
    return np.hstack([PUMP * voltage - out[:, :1], out[:, :1] - out[:, 1:]]) / AREA


def holding(level: float) -> float:
    """The voltage that holds both tanks at a level in cm."""
    return float(OUTLET * np.sqrt(2.0 * GRAVITY * level) / PUMP)


class Pi:
    """The controller of the logs: on the lower level, with a setpoint well below the target; it winds up."""

    def __init__(self, batch: int) -> None:
        self.integral = np.zeros((batch, 1))

    def __call__(self, seen: dict[str, np.ndarray]) -> np.ndarray:
        """The voltage (B, 1), unclipped."""
        error = SETPOINT - seen["levels"][:, 1:]
        self.integral = self.integral + DT * error
        return KP * error + KI * self.integral


def make_data(batches: int = 36, seed: int = 0) -> dict[str, np.ndarray]:
    """The logs: batches of at most EPISODE steps of a PI controller with dither; (rows, columns)."""
    plant, pi = Simulator(batches, seed), Pi(batches)
    hand = np.random.default_rng([seed, 2])
    logs: dict[str, list[np.ndarray]] = {}
    for _ in range(EPISODE):
        seen = plant.observe()
        voltage = pi(seen) + hand.normal(0.0, DITHER, (batches, 1))
        action = {"pump": np.clip(voltage, 0.0, MOST_VOLTAGE)}
        for name, value in {**seen, **action, **plant.step(action)}.items():
            logs.setdefault(name, []).append(value)
    series = {name: np.stack(v, axis=1) for name, v in logs.items()}  # (batches, EPISODE, d)
    over = np.cumsum(series["done"], axis=1)[..., 0]
    logged = over - series["done"][..., 0] == 0  # up to the first row that is done, and with it
    return {**{name: v[logged] for name, v in series.items()}, "index": np.cumsum(logged.sum(1))}
