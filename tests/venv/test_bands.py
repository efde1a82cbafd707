"""Bands: that they hold on paths that nobody has seen, and that none is promised where too little was seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revive.venv.bands import bands_of, calibrate, effective_blocks, quantile, why_none
from revive.venv.unseen import Unseen, roll_unseen
from tests.venv.linear_plants import LinearPlant


def covered(bands_from: Unseen, fresh: Unseen, steps: int) -> float:
    """The share of fresh windows that stay within the band of whole paths throughout, in all columns."""
    bands = bands_of(bands_from)
    inside = [(np.abs(c.error[:steps]) <= bands.path_width(c, steps)).all(0) for c in fresh.columns]
    return float(np.logical_and.reduce(inside).mean())


@pytest.mark.parametrize("sensor", [0.0, 0.2])
def test_whole_path_bands_hold_on_fresh_paths(sensor: float, tmp_path: Path) -> None:
    plant = LinearPlant(seed=1, sensor=sensor)
    venv, rows = plant.learned(plant.logs(count=60, steps=120, seed=2), tmp_path)
    seen = roll_unseen(venv, rows, 25, windows=200)
    fresh = roll_unseen(venv, plant.fresh(venv, 2000, 60, seed=3), 25, windows=1000, seed=1)
    assert fresh.first.size == 2000
    assert 0.85 <= covered(seen, fresh, 25) <= 0.95
    bands = bands_of(seen)
    for column in fresh.columns:
        per_step = (np.abs(column.error) <= bands.step_width(column)).mean((1, 2))
        assert per_step.min() >= 0.84
        assert per_step.max() <= 0.96


def test_a_single_short_log_promises_no_whole_path(tmp_path: Path) -> None:
    plant = LinearPlant(seed=1)
    venv, rows = plant.learned(plant.logs(count=2, steps=100, seed=2), tmp_path)
    bands = bands_of(roll_unseen(venv, rows, 50))
    whole = bands.paths["next_x"][50]
    assert whole.q is None
    assert "needs 9" in why_none(whole)
    assert bands.steps["x0"][0].q is not None


def test_windows_that_repeat_each_other_are_worth_few() -> None:
    rng = np.random.default_rng(0)
    alone = rng.normal(size=400)
    one = np.zeros(400, dtype=np.int64)
    assert effective_blocks(alone, one) == pytest.approx(400, rel=0.2)
    slow = np.repeat(rng.normal(size=40), 10)
    assert effective_blocks(slow, one) == pytest.approx(40, rel=0.5)
    owner = np.repeat(np.arange(40), 10)
    by_trajectory = np.repeat(rng.normal(size=40), 10) + 0.1 * rng.normal(size=400)
    assert effective_blocks(by_trajectory, owner) == pytest.approx(40, rel=0.5)


def test_the_quantile_is_that_of_split_conformal_prediction() -> None:
    score = np.arange(1.0, 20.0)  # 19 scores: the 18th of 19 covers 18/20
    assert quantile(score, 19) == pytest.approx(18.0, abs=0.3)
    assert quantile(score, 8.0) is None
    assert quantile(np.full(20, np.inf), 20) is None


def test_coverage_of_independent_scores_is_as_promised() -> None:
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(200):
        found = calibrate(np.abs(rng.normal(size=(2, 30))), np.arange(60).reshape(2, 30))
        assert found.q is not None
        shares.append(float((np.abs(rng.normal(size=500)) <= found.q).mean()))
    assert np.mean(shares) == pytest.approx(0.9, abs=0.015)
    assert found.between is not None
    low, high = np.quantile(shares, [0.05, 0.95])
    assert found.between == pytest.approx((low, high), abs=0.04)
