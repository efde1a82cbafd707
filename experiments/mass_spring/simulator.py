"""Ground truth of the two masses: makes the logs of experiment `mass_spring`, and scores a policy.

    wall --k1,c1-- m1 --k2,c2-- m2        m1 v1' = force - k1 x1 - c1 v1 - k2 (x1 - x2) - c2 (v1 - v2)
                   ^ force                m2 v2' = k2 (x1 - x2) + c2 (v1 - v2)

The force is held for a step, and the step is exact (matrix exponential). Positions and speeds are measured with
noise; `Simulator(batch, seed, noise=False)` shows them as they are, on the same course. Nothing in `revive`
knows these numbers.
"""

import numpy as np
from scipy.linalg import expm

EPISODE = 500  # steps of 0.1 s
DT = 0.1
M1, M2 = 1.0, 0.5  # kg
K1, K2 = 1.0, 4.0  # N/m
C1, C2 = 0.3, 0.1  # N s/m
MOST_FORCE = 3.0  # N
NOISE = np.array([0.005, 0.02, 0.005, 0.02])  # sd of the sensors of x1, v1, x2, v2
FARTHEST, SHORTEST, LONGEST = (
    1.5,
    60,
    140,
)  # setpoints: half their range in m, and the steps that each one stays
KP, KI, KD = 0.3, 0.35, 0.6  # of the controller of the logs: N/m, N/(m s), N s/m
DITHER = 0.05  # N

DRIFT = np.array(  # of x1, v1, x2, v2
    [
        [0.0, 1.0, 0.0, 0.0],
        [-(K1 + K2) / M1, -(C1 + C2) / M1, K2 / M1, C2 / M1],
        [0.0, 0.0, 0.0, 1.0],
        [K2 / M2, C2 / M2, -K2 / M2, -C2 / M2],
    ]
)
PUSH = np.array([[0.0], [1.0 / M1], [0.0], [0.0]])


def discretised() -> tuple[np.ndarray, np.ndarray]:
    """A (4, 4) and B (4, 1) of a step: masses <- A masses + B force, the force held."""
    both = expm(DT * np.block([[DRIFT, PUSH], [np.zeros((1, 5))]]))
    return both[:4, :4], both[:4, 4:]


class Simulator:
    """A batch of independent plants; `masses` (B, 4), `setpoint` (B, 1), `force` (B, 1)."""

    def __init__(self, batch: int, seed: int, noise: bool = True) -> None:
        self.random = np.random.default_rng([seed, 0])
        self.sensors = np.random.default_rng(
            [seed, 1]
        )  # apart: the course is the same with and without noise
        self.noise = NOISE if noise else 0.0 * NOISE
        self.move, self.push = (matrix.T for matrix in discretised())
        self.setpoint, self.left = self._draw_setpoints(batch)
        rest = self.random.uniform(-FARTHEST, FARTHEST, (batch, 1)) / 2
        self.masses = rest * [1.0, 0.0, 1.0, 0.0] + self.random.normal(0.0, 0.1, (batch, 4))
        self.measured = self._measure()

    def observe(self) -> dict[str, np.ndarray]:
        """What the controller can read before it acts."""
        return {"masses": self.measured, "setpoint": self.setpoint}

    def step(self, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Apply the force for one step and return what follows: `next_masses`."""
        force = np.clip(action["force"], -MOST_FORCE, MOST_FORCE)
        self.masses = self.masses @ self.move + force @ self.push
        self.measured = self._measure()
        self._move_setpoints()
        return {"next_masses": self.measured}

    def _measure(self) -> np.ndarray:
        return self.masses + self.noise * self.sensors.normal(size=self.masses.shape)

    def _draw_setpoints(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """A setpoint (B, 1) in m and for how many steps it stays (B, 1)."""
        where = self.random.uniform(-FARTHEST, FARTHEST, (batch, 1))
        return where, self.random.integers(SHORTEST, LONGEST + 1, (batch, 1))

    def _move_setpoints(self) -> None:
        self.left = self.left - 1
        setpoint, left = self._draw_setpoints(len(self.left))
        self.setpoint = np.where(self.left == 0, setpoint, self.setpoint)
        self.left = np.where(self.left == 0, left, self.left)


class Pid:
    """The controller of the logs: on the measured x2, with its speed as the derivative; no wind-up at the limits."""

    def __init__(self, batch: int) -> None:
        self.integral = np.zeros((batch, 1))

    def __call__(self, seen: dict[str, np.ndarray]) -> np.ndarray:
        """The force (B, 1) in N, within the limits."""
        error = seen["setpoint"] - seen["masses"][:, 2:3]
        force = KP * error + KI * (self.integral + DT * error) - KD * seen["masses"][:, 3:4]
        self.integral = np.where(np.abs(force) < MOST_FORCE, self.integral + DT * error, self.integral)
        return np.clip(force, -MOST_FORCE, MOST_FORCE)


def make_data(episodes: int = 20, seed: int = 0) -> dict[str, np.ndarray]:
    """The logs: `episodes` of EPISODE steps of a PID controller with a little dither; (rows, columns)."""
    plant, pid = Simulator(episodes, seed), Pid(episodes)
    hand = np.random.default_rng([seed, 2])
    logs: dict[str, list[np.ndarray]] = {}
    for _ in range(EPISODE):
        seen = plant.observe()
        force = pid(seen) + hand.normal(0.0, DITHER, (episodes, 1))
        action = {"force": np.clip(force, -MOST_FORCE, MOST_FORCE)}
        for name, value in {**seen, **action, **plant.step(action)}.items():
            logs.setdefault(name, []).append(value)
    rows = {name: np.stack(v, axis=1).reshape(episodes * EPISODE, -1) for name, v in logs.items()}
    return {**rows, "index": EPISODE * np.arange(1, episodes + 1)}
