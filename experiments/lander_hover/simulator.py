"""Ground truth of the lander: makes the logs of experiment `lander_hover`, and scores a policy.

The translation of gymnasium's LunarLander (`gymnasium/envs/box2d/lunar_lander.py`: units of the observation, 50
steps per second, gravity, dispersion of the engines) with its rotation locked, so that the four numbers observed
are the whole state. The strength of the engines was fitted to published logs of such a lander. Nothing in
`revive` knows these numbers.
"""

import numpy as np

EPISODE = 400  # steps of 0.02 s
GRAVITY = 10.0 * 0.02 / 7.5  # of vy per step: 10 m/s² for 0.02 s, in units of 7.5 m/s
X_PER_STEP, Y_PER_STEP = 0.01, 0.0225  # how far a speed of one carries in a step
MAIN, MAIN_SPREAD, MAIN_SIDEWAYS = 0.1123, 0.0562, 0.0421  # kick on vy, half its range, half the range on vx
SIDE, SIDE_SPREAD, SIDE_UPWARDS = 0.0233, 0.0058, 0.0013  # kick on vx, half its range, half the range on vy
START_HEIGHT, START_VX, START_VY = 1.417, 2.0, 1.3  # speeds: half their ranges
FIELD, GROUND = 1.0, 0.0  # the lander is lost where abs(x) or y gets there
NONE, LEFT, UP, RIGHT = 0, 1, 2, 3
DITHER = 0.05  # share of steps in which the logs' controller fires any engine


class Simulator:
    """A batch of independent landers; `obs` (B, 4): x, y, vx, vy; `action` (B, 1): 0, 1, 2 or 3."""

    def __init__(self, batch: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        vx, vy = self._spread(batch, START_VX), self._spread(batch, START_VY)
        self.obs = np.hstack([X_PER_STEP * vx, START_HEIGHT + Y_PER_STEP * vy, vx, vy])

    def observe(self) -> dict[str, np.ndarray]:
        """What the controller can read before it acts."""
        return {"obs": self.obs}

    def step(self, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Fire one engine for one step and return what follows: `next_obs` and `done`."""
        x, y, vx, vy = np.split(self.obs, 4, axis=1)
        push_x, push_y = self._kick(action["action"])
        vx, vy = vx + push_x, vy + push_y - GRAVITY
        x, y = x + X_PER_STEP * vx, y + Y_PER_STEP * vy
        self.obs = np.hstack([x, y, vx, vy])
        lost = (np.abs(x) >= FIELD) | (y <= GROUND)
        return {"next_obs": self.obs, "done": lost.astype(float)}

    def _kick(self, engine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the engine adds to vx and to vy in this step, (B, 1) each; no two firings are alike."""
        along, across = self._spread(len(engine), 1.0), self._spread(len(engine), 1.0)
        up = engine == UP
        direction = np.where(engine == RIGHT, 1.0, -1.0)
        sideways = (engine == LEFT) | (engine == RIGHT)
        push_x = up * MAIN_SIDEWAYS * across + sideways * direction * (SIDE + SIDE_SPREAD * across)
        push_y = up * (MAIN + MAIN_SPREAD * along) + sideways * SIDE_UPWARDS * along
        return push_x, push_y

    def _spread(self, batch: int, half: float) -> np.ndarray:
        return self.random.uniform(-half, half, (batch, 1))


def largest_error_first(obs: np.ndarray) -> np.ndarray:
    """The controller of the logs: push against the larger of the two distances, whatever the speed; (B, 1)."""
    x, y = obs[:, 0:1], obs[:, 1:2] - 1.0
    sideways = np.where(x > 0, LEFT, RIGHT)
    vertical = np.where(y < 0, UP, NONE)
    return np.where(np.abs(x) > np.abs(y), sideways, vertical)


def make_data(episodes: int = 100, seed: int = 0) -> dict[str, np.ndarray]:
    """The logs: `episodes` of at most EPISODE steps of `largest_error_first` with dither; (rows, columns)."""
    plant = Simulator(episodes, seed)
    hand = np.random.default_rng([seed, 1])
    logs: dict[str, list[np.ndarray]] = {}
    for _ in range(EPISODE):
        seen = plant.observe()
        astray = hand.random((episodes, 1)) < DITHER
        any_engine = hand.integers(0, 4, (episodes, 1))
        action = {"action": np.where(astray, any_engine, largest_error_first(seen["obs"]))}
        for name, value in {**seen, **action, **plant.step(action)}.items():
            logs.setdefault(name, []).append(value)
    series = {name: np.stack(v, axis=1) for name, v in logs.items()}  # (episodes, EPISODE, d)
    over = np.cumsum(series["done"], axis=1)[..., 0]
    logged = over - series["done"][..., 0] == 0  # up to the first row that is done, and with it
    return {**{name: v[logged] for name, v in series.items()}, "index": np.cumsum(logged.sum(1))}
