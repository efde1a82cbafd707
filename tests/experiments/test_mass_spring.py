from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import solve_discrete_are

from tests.experiments.plant import (
    Controller,
    assert_runs,
    assert_same_logs,
    logged_returns,
    returns,
    rewards,
    simulator,
)

MODULE = simulator("mass_spring")


def regulator(weight: float) -> Controller:
    """The linear-quadratic regulator around the setpoint, which knows the plant; `weight` on the error of x2."""
    a, b = MODULE.discretised()
    cost = np.diag([0.0, 0.0, weight, 0.0])
    p = solve_discrete_are(a, b, cost, np.eye(1))
    gain = np.linalg.solve(np.eye(1) + b.T @ p @ b, b.T @ p @ a)

    def force(seen: dict[str, np.ndarray]) -> np.ndarray:
        away = seen["masses"] - seen["setpoint"] * [1.0, 0.0, 1.0, 0.0]
        return np.clip(MODULE.K1 * seen["setpoint"] - away @ gain.T, -3.0, 3.0)

    return force


def test_a_step_is_newtons_law_integrated() -> None:
    plant = MODULE.Simulator(1, 0, noise=False)
    start, force = plant.observe()["masses"][0], 1.7

    def newton(_: float, state: np.ndarray) -> list[float]:
        x1, v1, x2, v2 = state
        spring = MODULE.K2 * (x1 - x2) + MODULE.C2 * (v1 - v2)
        return [v1, (force - MODULE.K1 * x1 - MODULE.C1 * v1 - spring) / MODULE.M1, v2, spring / MODULE.M2]

    for _ in range(10):
        after = plant.step({"force": np.full((1, 1), force)})
    expected = solve_ivp(newton, (0.0, 10 * MODULE.DT), start, rtol=1e-9, atol=1e-9).y[:, -1]
    np.testing.assert_allclose(after["next_masses"][0], expected, atol=1e-6)


def test_under_a_constant_force_both_masses_come_to_rest_where_the_spring_holds_it() -> None:
    plant = MODULE.Simulator(4, 0, noise=False)
    for _ in range(2000):
        after = plant.step({"force": np.full((4, 1), 0.8)})
    rest = 0.8 / MODULE.K1 * np.array([1.0, 0.0, 1.0, 0.0])
    np.testing.assert_allclose(after["next_masses"], np.tile(rest, (4, 1)), atol=1e-6)


def test_a_force_beyond_the_limits_is_cut() -> None:
    ends = [MODULE.Simulator(2, 0).step({"force": np.full((2, 1), f)})["next_masses"] for f in (3.0, 30.0)]
    np.testing.assert_array_equal(*ends)


def test_noise_is_on_the_sensors_alone() -> None:
    noisy, clean = MODULE.Simulator(400, 3), MODULE.Simulator(400, 3, noise=False)
    for _ in range(100):
        force = {"force": np.sin(noisy.setpoint)}
        seen, true = noisy.step(force)["next_masses"], clean.step(force)["next_masses"]
    np.testing.assert_array_equal(noisy.observe()["setpoint"], clean.observe()["setpoint"])
    np.testing.assert_allclose((seen - true).std(0), MODULE.NOISE, rtol=0.15)


def test_setpoints_stay_for_a_while() -> None:
    logs = MODULE.make_data()
    changes = np.flatnonzero(np.diff(logs["setpoint"][:500, 0]))
    assert len(changes) >= 3
    assert np.diff(changes).min() >= MODULE.SHORTEST
    assert np.diff(changes).max() <= MODULE.LONGEST


def test_reward_is_steep() -> None:
    data = {
        "next_masses": np.array([[9, 9, 1.0, 9], [9, 9, 1.05, 9], [9, 9, 1.5, 9]]),
        "setpoint": np.ones((3, 1)),
    }
    assert rewards("mass_spring", data).tolist() == pytest.approx([1, 0.5, 1 / 101])


def test_logs_are_of_a_controller_that_leaves_much_to_gain() -> None:
    logs = MODULE.make_data()
    assert_same_logs(logs, MODULE.make_data())
    assert logs["index"].tolist() == list(range(500, 10001, 500))
    assert np.abs(logs["force"]).max() < MODULE.MOST_FORCE
    assert logged_returns("mass_spring", logs).mean() / 500 == pytest.approx(0.275, abs=0.001)
    plant = MODULE.Simulator(50, 5)
    assert returns("mass_spring", plant, "force", regulator(1000.0), 500).mean() / 500 > 0.75


def test_it_is_checked_and_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_runs("mass_spring")
