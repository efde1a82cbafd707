"""Where and when a venv is wrong: found where it is planted, not where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.venv.linear_baseline import arx_error
from revive.venv.residuals import (
    between_trajectories,
    by_trajectory,
    change_points,
    cusum,
    drift_of,
    one_step_residuals,
    residual_map,
)
from revive.venv.validation import rollout_error
from tests.venv.linear_plants import LinearPlant
from tests.venv.plants import hand_set, plant_graph, rows_of


def _shifted(jump: float) -> Rows:
    """x' = x + u + wind + .1 noise; from row 300 of the second half on there is `jump` more."""
    rng, parts = np.random.default_rng(0), []
    for half in range(2):
        x, u, wind = (rng.normal(size=(600, 1)) for _ in range(3))
        more = jump * ((np.arange(600) >= 300) & (half == 1))[:, None]
        parts.append(
            {"x": x, "u": u, "wind": wind, "next_x": x + u + wind + more + 0.1 * rng.normal(size=x.shape)}
        )
    venv = _venv()
    return rows_of(venv.graph, venv.codec, *parts)


def _venv():  # type: ignore[no-untyped-def]
    """next_x = x + u + wind, said to be right within .1."""
    linear = {"u": ([[0.0]], [0.0]), "next_x": ([[0.0], [1.0], [1.0]], [0.0])}
    return hand_set(plant_graph(), linear, members=2, std=0.1)


def test_a_change_is_found_where_it_is() -> None:
    rows, venv = _shifted(0.1), _venv()
    drift = drift_of(rows, *one_step_residuals(venv, rows))["x0"]
    assert [part["alarm"] for part in drift] == [False, True]
    assert drift[1]["changes"] == [pytest.approx(900, abs=25)]


def test_no_change_raises_no_alarm() -> None:
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(200):  # correlated residuals, as measurement noise leaves them
        noise = rng.normal(size=501)
        statistic, _, _ = cusum(noise[1:] - 0.5 * noise[:-1])
        alarms += statistic > 1.63
    assert alarms <= 6
    assert change_points(rng.normal(size=400), 0.001) == []


def test_residuals_are_in_stated_spreads() -> None:
    rows, venv = _shifted(0.0), _venv()
    where, residuals = one_step_residuals(venv, rows)
    assert len(where) == 1200
    assert residuals["x0"].std() == pytest.approx(1.0, rel=0.1)
    table = residual_map(venv, rows, where, residuals)["x0"]
    assert set(table) == {"x0", "u0", "wind0"}
    assert np.nanmax(np.abs(table["u0"]["mean"] / table["u0"]["error"])) < 4
    assert by_trajectory(rows, where, residuals)["x0"]["trajectory"].tolist() == [0, 1]


def test_the_map_shows_the_input_that_errors_depend_on() -> None:
    rng = np.random.default_rng(0)
    part = {name: rng.normal(size=(600, 1)) for name in ("x", "u", "wind")}
    part["next_x"] = part["x"] + part["u"] + part["wind"] + 0.3 * np.maximum(part["u"], 0.0)
    venv = _venv()
    rows = rows_of(venv.graph, venv.codec, part, part)
    table = residual_map(venv, rows, *one_step_residuals(venv, rows))["x0"]
    assert table["u0"]["mean"][-1] > 4 * table["wind0"]["mean"][-1]


def test_the_linear_baseline_is_as_good_as_the_plant_allows(tmp_path: Path) -> None:
    plant = LinearPlant(seed=3)
    logs = plant.logs(count=20, steps=100, seed=1)
    venv, rows = plant.learned(logs, tmp_path)
    linear = arx_error(venv, rows, 30)["next_x"]
    assert linear.shape == (2, 30, 2)
    expected = plant.noise * np.sqrt(2 / np.pi)
    assert linear[:, 0] == pytest.approx(np.tile(expected, (2, 1)), rel=0.2)
    errors = rollout_error(venv, rows, 30)
    assert linear.mean() == pytest.approx(errors.venv["next_x"].mean(), rel=0.2)


def test_short_trajectories_and_missing_rows_do_not_count() -> None:
    venv = _venv()
    part = Trajectories(
        {name: np.ones((5, 1)) for name in ("x", "u", "wind", "next_x")},
        np.array([2, 5]),
        {"next_x": np.array([[True], [False], [False], [False], [False]])},
    )
    rows = Rows.of(venv.codec, venv.graph, part, part)
    _, residuals = one_step_residuals(venv, rows)
    assert np.isnan(residuals["x0"]).sum() == 2
    assert drift_of(rows, *one_step_residuals(venv, rows))["x0"] == []


def test_trajectories_that_differ_without_order_are_no_drift() -> None:
    rng, alarms = np.random.default_rng(0), 0
    owner = np.repeat(np.arange(10), 50)
    for _ in range(100):
        series = rng.normal(size=500) + np.repeat(rng.normal(size=10), 50)
        alarms += cusum(series, between_trajectories(series, owner))[0] > 1.63
    assert alarms <= 5
    assert between_trajectories(series[:100], owner[:100]) == 0.0
