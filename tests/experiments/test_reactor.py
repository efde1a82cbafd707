"""The reactor against its textbook, and what its logs leave to be gained."""

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

REACTOR = load("reactor")


class NearTheBound:
    """Proportional-integral, with the feed fed forward, at 374.6 K."""

    def __init__(self) -> None:
        self.moved: float | np.ndarray = 0.0

    def __call__(self, seen: Mapping[str, np.ndarray]) -> np.ndarray:
        error = 374.6 - seen["temperature"]
        self.moved = np.clip(self.moved + 0.02 * error, -20.0, 20.0)
        return 308.0 - 10 / 3 * (seen["feed_temperature"] - 298.0) + error + self.moved


@pytest.mark.parametrize(
    ("concentration", "temperature"),
    [(8.564, 311.2), (5.518, 339.1), (2.359, 368.1)],  # the three steady states of the book's case 2
)
def test_the_steady_states_are_those_of_the_book(concentration: float, temperature: float) -> None:
    state = np.array([[concentration, temperature]])
    held = np.array([[298.0]])
    assert np.abs(REACTOR.derivative(state, held, held)).max() < 0.2  # per hour: what rounding leaves
    later = state
    for _ in range(200):
        later = REACTOR.integrate(later, held, held)
    moved = np.abs(later - state).max()
    assert (moved < 0.1) == (temperature != 339.1)  # the middle one is unstable


def test_the_substeps_are_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    state = np.array([[2.0, 374.0], [4.0, 355.0], [8.5, 330.0]])
    coarse = REACTOR.integrate(state, np.full((3, 1), 320.0), np.full((3, 1), 295.0))
    monkeypatch.setattr(REACTOR, "SUBSTEPS", 100)
    fine = REACTOR.integrate(state, np.full((3, 1), 320.0), np.full((3, 1), 295.0))
    np.testing.assert_allclose(coarse, fine, atol=1e-3)


def test_the_gain_falls_where_it_is_hotter() -> None:
    """The temperature gained per kelvin of coolant, settled, at 297.5 and at 310 K of coolant."""

    def settled(coolant: float) -> float:
        plant = REACTOR.Simulator(1, 0, noise=False)
        state = plant.state
        for _ in range(300):
            state = REACTOR.integrate(state, np.array([[coolant]]), np.array([[298.0]]))
        return float(state[0, 1])

    warm, hot = ((settled(at + 0.5) - settled(at - 0.5)) for at in (297.5, 310.0))
    assert 0.7 < warm < 1.2
    assert 0.3 < hot < 0.75 * warm


def test_noise_can_be_switched_off_and_the_seed_counts() -> None:
    exact = REACTOR.Simulator(3, 5, noise=False)
    seen = exact.observe()
    np.testing.assert_array_equal(np.hstack([seen["concentration"], seen["temperature"]]), exact.state)
    noisy = REACTOR.Simulator(3, 5).observe()
    assert 0 < np.abs(noisy["temperature"] - seen["temperature"]).max() < 2
    assert np.abs(REACTOR.Simulator(3, 6).observe()["temperature"] - noisy["temperature"]).min() > 0


def test_the_logs_are_as_the_readme_says() -> None:
    assert_same_on_every_call(REACTOR.make_data)
    logs = REACTOR.make_data()
    assert logs["index"].tolist() == [1000, 2000, 3000, 4000, 5000, 6000]
    assert rewards("reactor", logs).mean() == pytest.approx(75.02, abs=0.05)


def test_there_is_something_to_gain() -> None:
    plant = REACTOR.Simulator(10, 7)
    assert rewards("reactor", control(plant, NearTheBound(), 1000)).mean() > 80.7


def test_too_cold_a_coolant_quenches_the_reaction() -> None:
    rows = control(REACTOR.Simulator(4, 0), lambda seen: np.full((4, 1), 280.0), 300)
    assert rows["next_temperature"][-4:].max() < 330
    assert rewards("reactor", rows)[-4:].max() < 40


def test_check_is_content_and_a_run_goes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_is_checked_and_runs("reactor", tmp_path, monkeypatch, capsys)
