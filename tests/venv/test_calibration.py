"""Calibration and distributions per step: right for a right spread, telling for a wrong one."""

from __future__ import annotations

import numpy as np
import pytest

from revive.venv.calibration import calibration_of, crps, distributions_of, pit_of
from revive.venv.unseen import ColumnPaths, Unseen


def _unseen(stated: float, draws: int = 30, windows: int = 300) -> Unseen:
    """The plant's values are normal; the venv states `stated` times the right spread. Two halves, twelve steps."""
    rng = np.random.default_rng(0)
    shape = (12, 2, windows)
    column = ColumnPaths(
        "next_x",
        "x",
        "m",
        truth=rng.normal(size=shape),
        mean=np.zeros(shape),
        drawn=stated * rng.normal(size=(*shape, draws)),
        known=np.ones(shape, dtype=bool),
    )
    first = np.arange(2 * windows).reshape(2, windows)
    return Unseen([column], first, np.zeros_like(first), np.array([windows, windows]))


def test_a_right_spread_is_told_from_a_wrong_one() -> None:
    right, narrow, wide = (calibration_of(_unseen(stated))["x"] for stated in (1.0, 0.4, 2.5))
    assert right["p"]["1"] > 0.05
    assert narrow["p"]["1"] < 0.001
    assert wide["p"]["1"] < 0.001
    assert narrow["pit"]["1"][0] > 0.15 > 0.05 > wide["pit"]["1"][0]
    assert right["cover"]["90"]["10"] == pytest.approx(0.9, abs=0.05)
    assert right["cover"]["50"]["10"] == pytest.approx(0.5, abs=0.06)
    assert right["crps"]["1"]["venv"] < min(narrow["crps"]["1"]["venv"], wide["crps"]["1"]["venv"])


def test_crps_is_that_of_a_normal() -> None:
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(4000, 50))
    assert crps(np.zeros(4000), drawn).mean() == pytest.approx((np.sqrt(2) - 1) / np.sqrt(np.pi), rel=0.02)


def test_pit_of_equal_draws_is_spread_out() -> None:
    pit = pit_of(np.zeros(1000), np.zeros((1000, 9)))
    assert 0.0 < pit.min() < pit.max() < 1.0


def test_distributions_are_compared_step_by_step() -> None:
    same, wide = (distributions_of(_unseen(stated))["x"]["10"] for stated in (1.0, 3.0))
    assert same["distance"] < 3 * same["chance"]
    assert wide["distance"] > 10 * wide["chance"]
