"""The industrial benchmark against its authors' package, and what its logs leave to be gained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.experiments.ground_truth import (
    assert_is_checked_and_runs,
    assert_same_on_every_call,
    control,
    load,
    rewards,
)

BENCHMARK = load("industrial_benchmark")
SAME = {"rtol": 1e-9, "atol": 1e-9}
VELOCITY = np.array([40, 40, 35, 30, 30, 40, 40, 40, 35, 35])  # the best constant ones on a grid, by setpoint
GAIN = np.array([100, 100, 100, 100, 100, 50, 40, 40, 40, 40])


def towards(seen: Mapping[str, np.ndarray], effective_shift: np.ndarray | float) -> np.ndarray:
    """The action that goes to the best velocity and gain of the setpoint, and to this effective shift."""
    which = (seen["setpoint"][:, 0] / 10).astype(int) - 1
    centre = BENCHMARK.LARGEST_SHIFT + BENCHMARK.SHIFT_OF_SETPOINT * seen["setpoint"][:, 0]
    shift = 100 * (centre + effective_shift) / BENCHMARK.SHIFT_SCALE
    wanted = np.stack([VELOCITY[which], GAIN[which], shift], 1)
    return np.clip((wanted - seen["steering"]) / BENCHMARK.MOVES, -1, 1)


class Following:
    """Sees the hidden direction of the mis-calibration and keeps the shift at its best place, to and fro."""

    def __init__(self, plant: object) -> None:
        self.hidden = plant.miscalibration  # type: ignore[attr-defined]

    def __call__(self, seen: Mapping[str, np.ndarray]) -> np.ndarray:
        hidden, quarter = self.hidden, BENCHMARK.QUARTER
        home = (hidden.response < 0) & (hidden.direction * hidden.side <= 0)
        side = np.where(home, -hidden.side, hidden.side)
        turn = np.where(home, 1, hidden.response) * side
        ahead = np.clip(hidden.direction + turn, -quarter, quarter)
        return towards(seen, side * BENCHMARK.WANTED[ahead + quarter])


class Noise:
    """In the place of `numpy.random` in the package: gives out what the batch drew for one plant, in its order."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[float]] = {}

    def put(self, draw: Mapping[str, np.ndarray], plant: int) -> None:
        pairs = {name: draw[name][plant, ::-1].tolist() for name in ("exponential", "size", "chance")}
        single = {name: [float(draw[name][plant])] for name in ("exhausted", "sensor")}
        self.waiting = {**pairs, **single}  # the package asks for gain before velocity

    def put_first(self, draw: Mapping[str, np.ndarray], plant: int) -> None:
        """As `put`, for a new plant, which first draws how a moving setpoint would go on."""
        self.put(draw, plant)
        self.waiting["size"][:0] = [0.5, 0.5]

    def exponential(self, scale: float) -> float:
        return self.waiting["exponential"].pop(0)

    def rand(self) -> float:
        return self.waiting["size"].pop(0)

    def binomial(self, n: int, p: float) -> float:
        return float(self.waiting["chance"].pop(0) < p)

    def normal(self, mean: float, sd: float) -> float:
        return self.waiting["exhausted"].pop(0)

    def randn(self) -> float:
        return self.waiting["sensor"].pop(0)

    def randint(self, low: int, high: int) -> int:
        return low

    def seed(self, seed: int | None) -> None:
        pass


class Numpy:
    """numpy for the package, which wants `np.float`, with the noise of a batch."""

    float = float

    def __init__(self, random: Noise) -> None:
        self.random = random

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)


class Recorded(BENCHMARK.Simulator):  # type: ignore[misc,name-defined]
    """The batch of plants, which keeps what it drew last."""

    def draw(self) -> dict[str, np.ndarray]:
        self.drawn = super().draw()
        return self.drawn


def wandering(step: int, hand: np.random.Generator, batch: int) -> np.ndarray:
    """Each plant drives its settings its own way through the whole range."""
    way = np.sin(step / 40 * np.linspace(0.3, 3, batch))[:, None] * [1, -1, 1]
    return np.clip(way + hand.normal(0, 0.7, (batch, 3)), -1.2, 1.2)


def test_every_step_is_that_of_the_authors_package(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = pytest.importorskip("industrial_benchmark_python.IDS")
    noise, hand, batch = Noise(), np.random.default_rng(5), 20
    monkeypatch.setattr(reference, "np", Numpy(noise))
    plants = Recorded(batch, 3)
    theirs = []
    for number, setpoint in enumerate(plants.setpoint):
        noise.put_first(plants.drawn, number)
        theirs.append(reference.IDS(p=setpoint))
    exhausted = 0
    for step in range(500):
        action = wandering(step, hand, batch)
        plants.step({"action": action})
        for number, plant in enumerate(theirs):
            noise.put(plants.drawn, number)
            plant.step(action[number])
        state = {key: np.array([plant.state[key] for plant in theirs]) for key in theirs[0].state}
        np.testing.assert_allclose(plants.steering, np.stack([state[k] for k in "vgh"], 1), **SAME)
        np.testing.assert_allclose(plants.tired, np.stack([state["hv"], state["hg"]], 1), **SAME)
        np.testing.assert_allclose(plants.miscalibration.direction, state["gs_phi_idx"])
        np.testing.assert_allclose(plants.fatigue[:, 0], state["f"], **SAME)
        np.testing.assert_allclose(plants.consumption[:, 0], state["c"], **SAME)
        rows = {"next_fatigue": plants.fatigue, "next_consumption": plants.consumption}
        np.testing.assert_allclose(rewards("industrial_benchmark", rows), state["reward"], **SAME)
        exhausted += int((plants.tired.max(1) == BENCHMARK.TIRED_MOST).sum())
    assert exhausted > 50  # rare branches were reached, too


def test_setpoints_are_shared_out_evenly_and_stay() -> None:
    plants = BENCHMARK.Simulator(40, 0)
    seen = plants.observe()["setpoint"]
    plants.step({"action": np.ones((40, 3))})
    np.testing.assert_array_equal(plants.observe()["setpoint"], seen)
    assert np.unique(seen, return_counts=True)[1].tolist() == [4] * 10


def test_the_logs_are_as_the_readme_says() -> None:
    assert_same_on_every_call(BENCHMARK.make_data)
    logs = BENCHMARK.make_data()
    assert logs["index"][-1] == len(logs["action"]) == 12000
    assert logs["steering"].shape == (12000, 3)
    assert 10 < logs["steering"].std() < 20
    assert rewards("industrial_benchmark", logs).mean() == pytest.approx(-221.7, abs=0.5)


def test_there_is_something_to_gain_at_rest_and_more_by_following_what_is_hidden() -> None:
    plants = [BENCHMARK.Simulator(40, 7) for _ in range(2)]
    resting = control(plants[0], lambda seen: towards(seen, 0.12), BENCHMARK.EPISODE)
    following = control(plants[1], Following(plants[1]), BENCHMARK.EPISODE)
    rest, follow = (rewards("industrial_benchmark", rows).mean() for rows in (resting, following))
    assert -170 < rest < -155
    assert follow > rest + 10


def test_check_is_content_and_a_run_goes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_is_checked_and_runs("industrial_benchmark", tmp_path, monkeypatch, capsys)
