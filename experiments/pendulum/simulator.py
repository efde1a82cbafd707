"""Ground truth of the pendulum: makes the logs of experiment `pendulum`, and scores a policy.

The equations, limits, time step and starts are those of gymnasium's Pendulum-v1
(`gymnasium/envs/classic_control/pendulum.py`), stepped for a whole batch at once; gymnasium itself is not
needed. The angle is measured from upright. Nothing in `revive` knows these numbers.
"""

import numpy as np

EPISODE = 200  # steps of 0.05 s
GRAVITY, MASS, LENGTH = 10.0, 1.0, 1.0
DT = 0.05
MOST_SPEED, MOST_TORQUE = 8.0, 2.0
UPRIGHT_ENERGY = MASS * GRAVITY * LENGTH / 2  # potential energy of the rod when it stands upright
CATCH = 0.4  # rad from upright, below which the controller of the logs stops pumping
STIFFNESS, DAMPING = (
    4.5,
    0.5,
)  # of the controller of the logs, too weak to balance: N m per rad, N m per rad/s
DITHER = 1.2  # N m


class Simulator:
    """A batch of pendulums; `states` (B, 3): cos, sin, speed; `actions` (B, 1): torque.

    Returns differ by the start far more than by the policy. So the starts are a Latin hypercube (McKay, Beckman and
    Conover, Technometrics 21, 1979): each is uniform, and together they are spread evenly over angles and speeds.
    """

    def __init__(self, batch: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.angle = evenly(random, batch) * np.pi
        self.speed = evenly(random, batch)

    def observe(self) -> dict[str, np.ndarray]:
        """What the controller can read before it acts."""
        return {"states": np.hstack([np.cos(self.angle), np.sin(self.angle), self.speed])}

    def step(self, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Apply the torque for one step and return what follows: `next_states`."""
        torque = np.clip(action["actions"], -MOST_TORQUE, MOST_TORQUE)
        falling = 3.0 * GRAVITY / (2.0 * LENGTH) * np.sin(self.angle)
        acceleration = falling + 3.0 / (MASS * LENGTH**2) * torque
        self.speed = np.clip(self.speed + acceleration * DT, -MOST_SPEED, MOST_SPEED)
        self.angle = self.angle + self.speed * DT
        return {"next_states": self.observe()["states"]}


def evenly(random: np.random.Generator, count: int) -> np.ndarray:
    """Uniform on [-1, 1), one in each of `count` equal parts, in any order: (count, 1)."""
    return 2.0 * ((random.permutation(count) + random.uniform(size=count)) / count)[:, None] - 1.0


def energy(states: np.ndarray) -> np.ndarray:
    """Kinetic and potential energy (B, 1) in J of the rod; its pivot is the zero of the potential."""
    inertia = MASS * LENGTH**2 / 3.0
    return 0.5 * inertia * states[:, 2:] ** 2 + UPRIGHT_ENERGY * states[:, :1]


def swing_up(states: np.ndarray, stiffness: float, damping: float) -> np.ndarray:
    """Pump energy until the rod can reach the top, then hold it there: torque (B, 1), unclipped.

    Energy pumping after Astrom and Furuta, "Swinging up a pendulum by energy control", Automatica 36 (2000).
    """
    angle = np.arctan2(states[:, 1:2], states[:, :1])
    missing = UPRIGHT_ENERGY - energy(states)
    pump = 2.0 * missing * np.where(states[:, 2:] < 0, -1.0, 1.0)
    hold = -stiffness * angle - damping * states[:, 2:]
    return np.where(np.abs(angle) < CATCH, hold, pump)


def make_data(episodes: int = 100, seed: int = 0) -> dict[str, np.ndarray]:
    """The logs: `episodes` of EPISODE steps of a limp swing-up controller with dither; (rows, columns)."""
    plant, starts = Simulator(episodes, seed), np.random.default_rng(seed)
    plant.angle = starts.uniform(-np.pi, np.pi, (episodes, 1))  # logs start anywhere
    plant.speed = starts.uniform(-1.0, 1.0, (episodes, 1))
    hand = np.random.default_rng([seed, 1])
    logs: dict[str, list[np.ndarray]] = {}
    for _ in range(EPISODE):
        seen = plant.observe()
        torque = swing_up(seen["states"], STIFFNESS, DAMPING) + hand.normal(0.0, DITHER, (episodes, 1))
        action = {"actions": np.clip(torque, -MOST_TORQUE, MOST_TORQUE)}
        for name, value in {**seen, **action, **plant.step(action)}.items():
            logs.setdefault(name, []).append(value)
    rows = {name: np.stack(v, axis=1).reshape(episodes * EPISODE, -1) for name, v in logs.items()}
    return {**rows, "index": EPISODE * np.arange(1, episodes + 1)}
