"""Ground truth of the pipeline: makes the logs of experiment `pipeline`, and scores a policy.

An aqueduct between an inlet valve and a consumer. A wave travels through it for 20 steps and is flattened on its
way: the lag-and-route model of hydrology, a linear channel followed by a linear reservoir (J. C. I. Dooge, A general
theory of the unit hydrograph, Journal of Geophysical Research 64, 1959). With u the opening of the valve (0 to 1), q
the flow at the outlet and w the share of the water that a leak takes on its way:

    inflow(u) = FULL * u * (1.4 - 0.4 u)
    q[t+1]    = q[t] + (1 - w[t]) inflow(u[t - 20]) / K  -  q[t] / K  +  disturbance

The leak comes and goes and is not logged. Nothing in `revive` knows these numbers.
"""

import numpy as np

EPISODE = 1000
DEAD_TIME = 20  # steps: u[t] appears in q[t + 21] first; without dead time it would in q[t + 1]
FULL = 10.0  # m3/s, through the open valve
RESERVOIR = 4.0  # K, steps
DISTURBANCE, SENSOR_NOISE = 0.02, 0.05  # m3/s
DEMAND = (3.0, 7.0)  # m3/s
DEMAND_HOLDS = 100  # steps in the mean, between half and one and a half of it
LEAK_COMES, LEAK_GOES = 1 / 300, 1 / 150  # per step
LEAK_LARGEST, LEAK_RAMP = 0.2, 40.0  # share of the water; steps in which a leak opens or closes by 63 %


def inflow(opening: np.ndarray) -> np.ndarray:
    """m3/s through the valve: its first half opens more than its second."""
    return FULL * opening * (1.4 - 0.4 * opening)


def opening_for(flow: np.ndarray) -> np.ndarray:
    """The inverse of `inflow`."""
    return (1.4 - np.sqrt(1.96 - 1.6 * np.clip(flow / FULL, 0.0, 1.0))) / 0.8


class Simulator:
    """A batch of independent pipelines; observations and actions are dicts of arrays (B, 1).

    Each starts in balance, at a flow of its own, without a leak. noise=False switches the sensor's noise and the
    disturbance off, leaks=False the leaks.
    """

    def __init__(self, batch: int, seed: int, noise: bool = True, leaks: bool = True) -> None:
        self.random = np.random.default_rng(seed)
        self.batch, self.noise, self.leaks = batch, noise, leaks
        self.demand = self.random.uniform(*DEMAND, (batch, 1))
        self.flow = self.demand.copy()
        self.pipe = np.tile(opening_for(self.flow), (1, DEAD_TIME))  # (B, DEAD_TIME), oldest first
        self.holds = self._draw_hold()
        self.aim, self.leak = np.zeros((batch, 1)), np.zeros((batch, 1))
        self.measured = self._measure()

    def observe(self) -> dict[str, np.ndarray]:
        """What the controller can read before it acts."""
        return {"flow": self.measured, "demand": self.demand}

    def step(self, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Set the valve to `action` (opening, 0 to 1) for one step; return the measured flow that follows."""
        opening = np.clip(action["action"], 0.0, 1.0)
        arrives, self.pipe = self.pipe[:, :1], np.hstack([self.pipe[:, 1:], opening])
        disturbance = DISTURBANCE * self.random.normal(size=(self.batch, 1)) * self.noise
        self.flow = self.flow + ((1 - self.leak) * inflow(arrives) - self.flow) / RESERVOIR + disturbance
        self._move_leak()
        self._move_demand()
        self.measured = self._measure()
        return {"next_flow": self.measured}

    def _move_leak(self) -> None:
        change, size = self.random.random((2, self.batch, 1))
        comes, goes = (self.aim == 0) & (change < LEAK_COMES), (self.aim > 0) & (change < LEAK_GOES)
        opened = np.where(comes, LEAK_LARGEST * (0.5 + 0.5 * size) * self.leaks, self.aim)
        self.aim = np.where(goes, 0.0, opened)
        self.leak = self.leak + (self.aim - self.leak) / LEAK_RAMP

    def _move_demand(self) -> None:
        self.holds = self.holds - 1
        over, wanted = self.holds <= 0, self.random.uniform(*DEMAND, (self.batch, 1))
        self.demand = np.where(over, wanted, self.demand)
        self.holds = np.where(over, self._draw_hold(), self.holds)

    def _draw_hold(self) -> np.ndarray:
        return self.random.integers(DEMAND_HOLDS // 2, 3 * DEMAND_HOLDS // 2 + 1, (self.batch, 1))

    def _measure(self) -> np.ndarray:
        return self.flow + SENSOR_NOISE * self.random.normal(size=(self.batch, 1)) * self.noise


def make_data(trajectories: int = 16, seed: int = 0) -> dict[str, np.ndarray]:
    """The logs: a proportional-integral controller, detuned because of the dead time, that dithers."""
    plant = Simulator(trajectories, seed)
    hand = np.random.default_rng([seed, 1])
    integral, dither = plant.pipe[:, :1].copy(), np.zeros((trajectories, 1))
    record: dict[str, list[np.ndarray]] = {}
    for step in range(EPISODE):
        seen = plant.observe()
        error = seen["demand"] - seen["flow"]
        integral = np.clip(integral + 0.002 * error, 0.0, 1.0)
        if step % 10 == 0:
            dither = hand.normal(0.0, 0.03, (trajectories, 1))
        opening = np.clip(integral + 0.03 * error + dither, 0.0, 1.0)
        for name, value in {**seen, "action": opening, **plant.step({"action": opening})}.items():
            record.setdefault(name, []).append(value)
    logs = {name: np.stack(values, 1).reshape(-1, 1) for name, values in record.items()}
    return {**logs, "index": EPISODE * np.arange(1, trajectories + 1)}
