"""Ground truth of the industrial benchmark: makes the logs of experiment `industrial_benchmark`, and scores a policy.

D. Hein, S. Depeweg, M. Tokic, S. Udluft, A. Hentschel, T. A. Runkler, V. Sterzing: A Benchmark Environment Motivated
by Industrial Control Problems, IEEE SSCI 2017, arXiv:1709.09480. These are its equations for a whole batch at once;
`tests/experiments/test_industrial_benchmark.py` holds them against the authors' package industrial-benchmark-python,
step by step. That package is not needed here. Nothing in `revive` knows these numbers.
"""

import numpy as np

EPISODE = 200
SETPOINTS = 10.0 * np.arange(1, 11)  # one plant after the other gets one of them

QUARTER = 6  # of the turn that the direction of the mis-calibration makes in 24 steps
OPTIMUM = np.sin(np.pi / 12)  # the least distance from zero that the best effective shift has
SAFE = OPTIMUM / 2  # an effective shift up to here cools the system down
BIAS = 8 * np.sqrt(2 / 27)

LARGEST_SHIFT = 1.5  # of the effective one
SHIFT_SCALE, SHIFT_OF_SETPOINT = 5.0, 0.02
MOVES = np.array(
    [1.0, 10.0, 100 * OPTIMUM / 0.9 / SHIFT_SCALE]
)  # of velocity, gain, shift where the action is 1
COST_OF = np.array([4.0, 2.5])  # a unit of velocity, of gain
COST_OF_SETPOINT = 2.0
DELAYS = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) * 0.11111  # of the cost, 9 to 5 steps ago
MISCALIBRATION_COST, FATIGUE_COST = 25.0, 3.0
TIRED_FROM, TIRED_MOST, TIRES_BY = 1.2, 5.0, 1.1  # of hidden velocity and gain
TOLERATED = 0.05  # an effective velocity or gain up to here lets the hidden one recover at once


def _lowest_radius(sine: float) -> float:
    """Where r^4 - 2 r^2 - BIAS sine r is lowest: the outermost root of its slope on the side of `sine`."""
    roots = np.roots([4.0, 0.0, -4.0, -BIAS * sine])
    real = roots.real[np.abs(roots.imag) < 1e-6]
    return float(real.max() if sine >= 0 else real.min())


SINES = np.sin(np.arange(-QUARTER, QUARTER + 1) * np.pi / 12)  # of every direction
LOWEST = np.abs([_lowest_radius(sine) for sine in SINES])
WANTED = np.maximum(np.abs(SINES), OPTIMUM)  # where the lowest point is moved to
DEPTH = 2 * LOWEST[-1] ** 2 - LOWEST[-1] ** 4 + BIAS * LOWEST[-1]  # of the deepest one, which is made -1


def penalty(direction: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """How much worse than the best place: 0 or more; both inputs (B,), `direction` from -6 to 6."""
    sine, lowest, wanted = (table[direction + QUARTER] for table in (SINES, LOWEST, WANTED))
    size = np.abs(shift)
    power = (2 - wanted) / (2 - lowest)
    beyond = lowest + (2 - lowest) * (np.maximum(size - wanted, 0.0) / (2 - wanted)) ** power
    radius = np.sign(shift) * np.where(size <= wanted, size * lowest / wanted, beyond)
    return 1 + (radius**4 - 2 * radius**2 - BIAS * sine * radius) / DEPTH


class Miscalibration:
    """Its hidden state for a batch: side of the shift (+1, -1), direction (-6 to 6), response (+1, -1)."""

    def __init__(self, batch: int) -> None:
        self.side, self.direction, self.response = (
            np.ones(batch, int),
            np.zeros(batch, int),
            np.ones(batch, int),
        )

    def step(self, shift: np.ndarray) -> np.ndarray:
        """Turn under an effective shift (B,) and return the penalty (B,) that follows."""
        safe, sign = np.abs(shift) <= SAFE, np.sign(shift).astype(int)
        side = np.where(safe, self.side, sign)
        response = np.where(side != self.side, 1, self.response)
        at_the_end = self.direction == -side * QUARTER
        turn = np.where(at_the_end, 0, response * sign)
        direction = self.direction + np.where(safe, -np.sign(self.direction), turn)
        response = np.where(np.abs(direction) >= QUARTER, -1, response)
        mirrored = 2 * QUARTER - direction % (4 * QUARTER)
        direction = np.where(np.abs(direction) >= QUARTER, mirrored, direction)
        rest = safe & (direction == 0)
        self.side, self.response = np.where(rest, 1, side), np.where(rest, 1, response)
        self.direction = direction
        return penalty(direction, shift)


def effective(steering: np.ndarray, setpoint: np.ndarray) -> np.ndarray:
    """Effective velocity and gain (B, 2), each 0 to 1, of velocity, gain and shift (B, 3) and setpoints (B,)."""
    velocity, gain = steering[:, 0], steering[:, 1]

    def of_velocity(v: np.ndarray | float, g: np.ndarray | float) -> np.ndarray:
        return (g + 2 + setpoint) / (v + 101 - setpoint)

    def of_gain(g: np.ndarray | float) -> np.ndarray:
        return 1 / (g + 1 + setpoint)

    least, most = of_velocity(100.0, 0.0), of_velocity(0.0, 100.0)
    low, high = of_gain(100.0), of_gain(0.0)
    return np.stack(
        [(of_velocity(velocity, gain) - least) / (most - least), (of_gain(gain) - low) / (high - low)], 1
    )


class Simulator:
    """A batch of independent plants, each with a setpoint of its own that stays; arrays (B, columns)."""

    def __init__(self, batch: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.batch = batch
        self.setpoint = np.resize(SETPOINTS, batch)
        self.steering = np.full((batch, 3), 50.0)  # velocity, gain, shift
        self.tired = np.zeros((batch, 2))  # hidden velocity, hidden gain
        self.miscalibration = Miscalibration(batch)
        self.costs = np.repeat(self._cost()[:, None], 10, axis=1)  # (B, 10), oldest first
        self._advance(np.zeros((batch, 3)))

    def observe(self) -> dict[str, np.ndarray]:
        """What the controller can read before it acts."""
        return {
            "setpoint": self.setpoint[:, None],
            "steering": self.steering,
            "fatigue": self.fatigue,
            "consumption": self.consumption,
        }

    def step(self, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Move velocity, gain and shift by `action` (B, 3), each from -1 to 1; return what is measured then."""
        self._advance(action["action"])
        return {
            "next_steering": self.steering,
            "next_fatigue": self.fatigue,
            "next_consumption": self.consumption,
        }

    def draw(self) -> dict[str, np.ndarray]:
        """All that is random in a step: arrays (B, 2) for velocity and gain, (B,) for the rest."""
        pair = (self.batch, 2)
        return {
            "exponential": self.random.exponential(0.1, pair),
            "size": self.random.random(pair),
            "chance": self.random.random(pair),
            "exhausted": self.random.normal(2.4, 0.4, self.batch),
            "sensor": self.random.normal(size=self.batch),
        }

    def _advance(self, action: np.ndarray) -> None:
        random = self.draw()
        self.steering = np.clip(self.steering + MOVES * np.clip(action, -1.0, 1.0), 0.0, 100.0)
        self.fatigue = self._fatigue(random)[:, None]
        self.costs = np.hstack([self.costs[:, 1:], self._cost()[:, None]])
        centred = SHIFT_SCALE * self.steering[:, 2] / 100 - SHIFT_OF_SETPOINT * self.setpoint - LARGEST_SHIFT
        shift = np.clip(centred, -LARGEST_SHIFT, LARGEST_SHIFT)
        hidden = self.costs[:, :5] @ DELAYS + MISCALIBRATION_COST * self.miscalibration.step(shift)
        self.consumption = (hidden - random["sensor"] * (1 + 0.005 * hidden))[:, None]

    def _cost(self) -> np.ndarray:
        return np.exp((COST_OF_SETPOINT * self.setpoint + self.steering[:, :2] @ COST_OF) / 100)

    def _fatigue(self, random: dict[str, np.ndarray]) -> np.ndarray:
        """(B,): the basic fatigue, up to threefold by noise and by how tired the plant is; updates `tired`."""
        size = effective(self.steering, self.setpoint)  # (B, 2)
        noise = np.tanh(random["exponential"] / 2)
        strikes = random["chance"] < np.clip(size, 0.001, 0.999)
        noise = noise + (1 - noise) * random["size"] * strikes * size
        worse = np.minimum(TIRED_MOST, TIRES_BY * self.tired)
        tired = np.where(self.tired >= TIRED_FROM, worse, 0.9 * self.tired + noise / 3)
        self.tired = np.where(size <= TOLERATED, size, tired)
        exhausted = 1 / (1 + np.exp(-random["exhausted"]))
        factor = np.where(self.tired.max(1) == TIRED_MOST, exhausted, noise.max(1))
        basic = 30000 / (5 * self.steering[:, 0] + 100) - 0.01 * self.steering[:, 1] ** 2
        return np.maximum(0.0, basic) * (1 + 2 * factor) / 3


def make_data(trajectories: int = 60, seed: int = 0) -> dict[str, np.ndarray]:
    """The logs: an operator who chooses settings around the middle now and then, goes there, and dithers."""
    plant = Simulator(trajectories, seed)
    hand = np.random.default_rng([seed, 1])
    aim = np.full((trajectories, 3), 50.0)
    record: dict[str, list[np.ndarray]] = {}
    for _ in range(EPISODE):
        seen = plant.observe()
        chosen = hand.normal(50.0, 15.0, (trajectories, 3))
        aim = np.where(hand.random((trajectories, 3)) < 1 / 25, chosen, aim)
        dither = hand.normal(0.0, 0.3, (trajectories, 3))
        action = np.clip((aim - seen["steering"]) / (5 * MOVES) + dither, -1.0, 1.0)
        for name, value in {**seen, "action": action, **plant.step({"action": action})}.items():
            record.setdefault(name, []).append(value)
    logs = {name: np.stack(values, 1).reshape(trajectories * EPISODE, -1) for name, values in record.items()}
    return {**logs, "index": EPISODE * np.arange(1, trajectories + 1)}
