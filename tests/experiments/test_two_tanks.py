from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from revive.user_code import load_module
from tests.experiments.plant import (
    EXPERIMENTS,
    assert_runs,
    assert_same_logs,
    logged_returns,
    returns,
    rewards,
    simulator,
)

MODULE = simulator("two_tanks")


def pumping(voltage: float, batch: int) -> dict[str, np.ndarray]:
    return {"pump": np.full((batch, 1), voltage)}


def test_a_step_is_torricellis_law_integrated() -> None:
    plant = MODULE.Simulator(1, 0, noise=False)
    start = plant.observe()["levels"][0]

    def torricelli(_: float, level: np.ndarray) -> list[float]:
        first, second = 0.178 * np.sqrt(2 * 981.0 * level)
        return [(4.0 * 7.0 - first) / 15.5, (first - second) / 15.5]

    for _ in range(10):
        after = plant.step(pumping(7.0, 1))
    expected = solve_ivp(torricelli, (0.0, 20.0), start, rtol=1e-9, atol=1e-9).y[:, -1]
    np.testing.assert_allclose(after["next_levels"][0], expected, atol=1e-3)


def test_a_constant_voltage_holds_both_tanks_at_one_level() -> None:
    plant = MODULE.Simulator(4, 0, noise=False)
    for _ in range(300):
        after = plant.step(pumping(MODULE.holding(19.0), 4))
    np.testing.assert_allclose(after["next_levels"], 19.0, atol=1e-3)


def test_without_the_pump_the_tanks_run_empty_and_no_further() -> None:
    plant = MODULE.Simulator(4, 0, noise=False)
    for _ in range(150):
        after = plant.step(pumping(-5.0, 4))  # a pump does not suck
    assert (after["next_levels"] >= 0).all()
    assert (after["next_levels"] < 1e-2).all()


def test_noise_can_be_left_out() -> None:
    noisy, clean, again = (MODULE.Simulator(500, 3, noise=n) for n in (True, False, False))
    scatter = (noisy.observe()["levels"] - clean.observe()["levels"]).std()
    assert scatter == pytest.approx(MODULE.SENSOR_NOISE, rel=0.1)
    ends = [plant.step(pumping(7.0, 500))["next_levels"] for plant in (clean, again)]
    np.testing.assert_array_equal(*ends)


def test_the_learners_are_told_the_interlock_of_the_plant() -> None:
    tripped = load_module(EXPERIMENTS / "two_tanks" / "interlock.py").tripped
    logs = MODULE.make_data()
    told = tripped({"next_levels": torch.as_tensor(logs["next_levels"])}).numpy()
    np.testing.assert_array_equal(told, logs["done"])
    assert (told == (logs["next_levels"][:, 1:] >= MODULE.TRIP)).all()


def test_reward_falls_off_a_cliff_beyond_the_limit() -> None:
    levels = np.array([[0, 20.0], [0, 19.0], [0, 20.49], [0, 20.51], [0, 0]])
    earned = rewards("two_tanks", {"next_levels": levels})
    assert earned.tolist() == pytest.approx([1, 0.5, 1 / (1 + 0.49**2), -10, 1 / 401])


def test_logs_are_of_a_cautious_controller_some_of_whose_batches_trip() -> None:
    logs = MODULE.make_data()
    assert_same_logs(logs, MODULE.make_data())
    ends = logs["index"] - 1
    tripped = np.flatnonzero(logs["done"])
    assert len(ends) == 36
    assert len(tripped) == 5
    assert np.isin(tripped, ends).all()
    assert logged_returns("two_tanks", logs).mean() == pytest.approx(35.2, abs=0.1)

    def both_levels(seen: dict[str, np.ndarray]) -> np.ndarray:
        upper, lower = np.split(20.0 - seen["levels"], 2, axis=1)
        return np.clip(MODULE.holding(20.0) + 2.0 * upper + 4.0 * lower, 0.0, MODULE.MOST_VOLTAGE)

    earned = returns("two_tanks", MODULE.Simulator(100, 7), "pump", both_levels, MODULE.EPISODE)
    assert earned.mean() > 130


def test_it_is_checked_and_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_runs("two_tanks")
