"""Ground truth of the reactor: makes the logs of experiment `reactor`, and scores a policy.

The continuous stirred tank reactor with the exothermic reaction A -> B and a cooling jacket of Bequette,
Process Control: Modeling, Design and Simulation (Prentice Hall, 2003), module 8, case 2; with c the
concentration of A in the tank, T its temperature, r the rate of the reaction:

    r     = k0 exp(-E / (R T)) c
    dc/dt = (F/V) (c_feed - c) - r
    dT/dt = (F/V) (T_feed - T) + (-dH / rho cp) r - (UA / V rho cp) (T - T_coolant)

Nothing in `revive` knows these numbers.
"""

import numpy as np

STEP, SUBSTEPS = 0.1, 4  # hours between two rows; Runge-Kutta steps in between
FLOW = 1.0  # F/V, 1/h
RATE = 9703.0 * 3600.0  # k0, 1/h
ACTIVATION = 11843.0 / 1.987  # E/R, K
HEAT = 5960.0 / 500.0  # -dH / rho cp, K m3/kmol
COOLING = 150.0 / 500.0  # UA / V rho cp, 1/h
FEED_CONCENTRATION = 10.0  # kmol/m3
FEED, FEED_SPREAD, FEED_MEMORY = 298.0, 2.0, 0.995  # K, K, per step: an AR(1) process of 20 h
SENSOR_NOISE = np.array([0.03, 0.3])  # kmol/m3, K
COLDEST, HOTTEST = 275.0, 330.0  # K, of the coolant
START, START_SPREAD = (2.50, 366.5), (0.2, 2.0)  # kmol/m3, K: the upper steady state


def derivative(state: np.ndarray, coolant: np.ndarray, feed: np.ndarray) -> np.ndarray:
    """Per hour, for `state` (B, 2) of concentration and temperature; coolant and feed (B, 1) in K."""
    c, temperature = state[:, :1], state[:, 1:]
    reaction = RATE * np.exp(-ACTIVATION / temperature) * c
    change_of_c = FLOW * (FEED_CONCENTRATION - c) - reaction
    change_of_t = FLOW * (feed - temperature) + HEAT * reaction - COOLING * (temperature - coolant)
    return np.hstack([change_of_c, change_of_t])


def integrate(state: np.ndarray, coolant: np.ndarray, feed: np.ndarray) -> np.ndarray:
    """The state (B, 2) one step later, by the classical Runge-Kutta method; inputs are held."""
    h = STEP / SUBSTEPS
    for _ in range(SUBSTEPS):
        one = derivative(state, coolant, feed)
        two = derivative(state + h / 2 * one, coolant, feed)
        three = derivative(state + h / 2 * two, coolant, feed)
        four = derivative(state + h * three, coolant, feed)
        state = state + h / 6 * (one + 2 * two + 2 * three + four)
    return state


class Simulator:
    """A batch of independent reactors; observations and actions are dicts of arrays (B, 1).

    noise=False makes the sensors exact; the feed drifts all the same.
    """

    def __init__(self, batch: int, seed: int, noise: bool = True) -> None:
        self.random = np.random.default_rng(seed)
        self.batch, self.noise = batch, noise
        self.state = np.array(START) + np.array(START_SPREAD) * self.random.normal(size=(batch, 2))  # (B, 2)
        self.feed = FEED + FEED_SPREAD * self.random.normal(size=(batch, 1))
        self.measured = self._measure()

    def observe(self) -> dict[str, np.ndarray]:
        """What the controller can read before it acts."""
        return {
            "concentration": self.measured[:, :1],
            "temperature": self.measured[:, 1:],
            "feed_temperature": self.feed,
        }

    def step(self, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Hold `action` (coolant temperature, K) for one step; return the measured state that follows."""
        coolant = np.clip(action["action"], COLDEST, HOTTEST)
        self.state = integrate(self.state, coolant, self.feed)
        drift = FEED_SPREAD * (1 - FEED_MEMORY**2) ** 0.5 * self.random.normal(size=(self.batch, 1))
        self.feed = FEED + FEED_MEMORY * (self.feed - FEED) + drift
        self.measured = self._measure()
        return {"next_concentration": self.measured[:, :1], "next_temperature": self.measured[:, 1:]}

    def _measure(self) -> np.ndarray:
        noise = SENSOR_NOISE * self.random.normal(size=(self.batch, 2))
        return self.state + self.noise * noise


def make_data(campaigns: int = 6, steps: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
    """The logs: a proportional controller that keeps far from the bound, one trajectory per campaign.

    The operators move the coolant by hand a little now and then, every ten steps in the mean.
    """
    plant = Simulator(campaigns, seed)
    hand = np.random.default_rng([seed, 1])
    by_hand = np.zeros((campaigns, 1))
    record: dict[str, list[np.ndarray]] = {}
    for _ in range(steps):
        seen = plant.observe()
        moved = hand.random((campaigns, 1)) < 0.1
        by_hand = np.where(moved, hand.normal(0.0, 3.0, (campaigns, 1)), by_hand)
        coolant = np.clip(297.5 - 1.0 * (seen["temperature"] - 366.5) + by_hand, COLDEST, HOTTEST)
        for name, value in {**seen, "action": coolant, **plant.step({"action": coolant})}.items():
            record.setdefault(name, []).append(value)
    logs = {name: np.stack(values, 1).reshape(-1, 1) for name, values in record.items()}
    return {**logs, "index": steps * np.arange(1, campaigns + 1)}
