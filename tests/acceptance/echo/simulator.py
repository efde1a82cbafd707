"""Ground truth: `level' = 0.8 level + valve + 2 signal_{-10}^2 + noise of 0.2`, the signal uniform on [-1, 1].

`THEORY` are the best mean rewards per step. Who knows the signal of ten steps ago leaves only the noise; who sees level
and signal of the present alone learns nothing about it, because the signal is independent from step to step:

    with a memory  -0.2^2,    without  -(0.2^2 + 4 Var s^2),    Var s^2 = 1/5 - 1/9 = 4/45.
"""

import numpy as np

KEEPS, GAIN, NOISE, LATE = 0.8, 2.0, 0.2, 10
THEORY = {"gru": -(NOISE**2), "mlp": -(NOISE**2 + GAIN**2 * 4 / 45)}


class Simulator:
    """A batch of independent plants; observations and actions are dicts of arrays (B, 1)."""

    def __init__(self, batch: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.level = np.zeros((batch, 1))
        self.signals = [self._signal() for _ in range(LATE + 1)]

    def _signal(self) -> np.ndarray:
        return self.random.uniform(-1.0, 1.0, self.level.shape)

    def observe(self) -> dict[str, np.ndarray]:
        return {"level": self.level, "signal": self.signals[-1]}

    def step(self, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        pushed = KEEPS * self.level + action["action"] + GAIN * self.signals[0] ** 2
        self.level = pushed + self.random.normal(0.0, NOISE, self.level.shape)
        self.signals = [*self.signals[1:], self._signal()]
        return {"next_level": self.level}


def make_data(rows: int = 6000, seed: int = 0) -> dict[str, np.ndarray]:
    """The logs of a memoryless controller with a restless hand, one trajectory, arrays (rows, 1)."""
    plant, hand = Simulator(1, seed), np.random.default_rng([seed, 1])
    found: dict[str, list[np.ndarray]] = {}
    for _ in range(rows):
        seen = plant.observe()
        action = {"action": -0.6 * seen["level"] - 0.6 + hand.normal(0.0, 0.4, (1, 1))}
        plant.step(action)
        for name, value in {**seen, **action}.items():
            found.setdefault(name, []).append(value[0])
    return {**{name: np.stack(values) for name, values in found.items()}, "index": np.array([rows])}
