"""Ground truth of the refrigerator: makes the logs of experiment `refrigerator`, and scores a policy.

Per step the temperature falls by `power`; then it moves towards the room's 15 degrees by 2 % of the
difference with the door shut and by 8 % with it open; the sensor adds noise of sd 0.1. In every 200 steps
the door stands open once, for 20 steps, from a random moment on. Nothing in `revive` knows these numbers.
"""

import numpy as np

ROOM, SHUT, OPEN = 15.0, 0.02, 0.08
SENSOR_NOISE = 0.1
MOST_POWER = 10.0
START = 10.0
PERIOD, OPEN_FOR = 200, 20


class Simulator:
    """A batch of independent refrigerators; observations and actions are dicts of arrays (B, 1)."""

    def __init__(self, batch: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.batch = batch
        self.true_temperature = np.full((batch, 1), START)
        self.measured = self._measure()
        self.time = 0
        self.opens_at = self._draw_opening()

    def observe(self) -> dict[str, np.ndarray]:
        """What the controller can read before it acts."""
        return {"temperature": self.measured, "door_open": self._door()}

    def step(self, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Apply `action` and return what follows: `next_temperature`."""
        power = np.clip(action["action"], 0.0, MOST_POWER)
        cooled = self.true_temperature - power
        warming = np.where(self._door() > 0.5, OPEN, SHUT)
        self.true_temperature = cooled + warming * (ROOM - cooled)
        self.measured = self._measure()
        self.time += 1
        if self.time % PERIOD == 0:
            self.opens_at = self._draw_opening()
        return {"next_temperature": self.measured}

    def _measure(self) -> np.ndarray:
        return self.true_temperature + self.random.normal(0.0, SENSOR_NOISE, self.true_temperature.shape)

    def _draw_opening(self) -> np.ndarray:
        return self.random.integers(0, PERIOD - OPEN_FOR + 1, (self.batch, 1))

    def _door(self) -> np.ndarray:
        moment = self.time % PERIOD
        return ((moment >= self.opens_at) & (moment < self.opens_at + OPEN_FOR)).astype(float)


def make_data(rows: int = 2000, seed: int = 0) -> dict[str, np.ndarray]:
    """The logs: a proportional controller with a little noise, one trajectory, arrays (rows, 1)."""
    plant = Simulator(1, seed)
    hand = np.random.default_rng([seed, 1])
    rows_of: dict[str, list[np.ndarray]] = {}
    for _ in range(rows):
        seen = plant.observe()
        power = np.maximum(0.0, 0.2 * (seen["temperature"] + 3.75) + hand.normal(0.0, 0.1, (1, 1)))
        step = {**seen, "action": power, **plant.step({"action": power})}
        for name, value in step.items():
            rows_of.setdefault(name, []).append(value[0])
    return {**{name: np.stack(values) for name, values in rows_of.items()}, "index": np.array([rows])}
