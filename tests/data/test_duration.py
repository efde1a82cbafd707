"""Steps as time, where the logs tell it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from revive.data.duration import duration, in_time, seconds_per_step, steps_of, steps_told
from revive.data.readers import ReadOptions, read_trajectories
from revive.data.scaffold import guess
from revive.graph.description import parse_description

ENDS = np.array([4, 8])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.05, "50 ms"),
        (90, "90 s"),
        (1200, "20 min"),
        (129600, "36 h"),
        (362880, "4.2 days"),
        (1e7, "116 days"),
        (1.09e8, "3.45 years"),
        (5e7, "579 days"),
        (1e12, "31688 years"),
    ],
)
def test_time_is_told_in_the_unit_that_one_would_use(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_steps_are_told_with_their_time_only_where_it_is_known() -> None:
    assert steps_told(20, 60.0) == "20 steps (20 min)"
    assert steps_told(1, None) == "1 step"
    assert in_time(3, None) == ""
    assert [steps_of("steps ahead", step) for step in (None, 60)] == [
        "steps ahead",
        "steps ahead, 1 min each",
    ]


def test_a_step_is_what_most_rows_take_inside_trajectories() -> None:
    time = np.array([0.0, 5, 10, 15, 1000, 1005, 1010, 1015])
    assert seconds_per_step(time, ENDS, 60.0) == 300.0
    assert seconds_per_step(time, ENDS, None) is None
    assert seconds_per_step(np.array([0.0, 1, 5, 6, 20, 21, 40, 41]), ENDS, 1.0) is None


@pytest.mark.parametrize(("freq", "step"), [("min", 60.0), ("h", 3600.0)])
def test_logs_with_dates_know_how_long_a_step_takes(tmp_path: Path, freq: str, step: float) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 2))
    frame = pd.DataFrame(rows, columns=["level", "valve"])
    frame.insert(0, "time", pd.date_range("2024-01-01", periods=40, freq=freq))
    frame.to_csv(tmp_path / "logs.csv", index=False)
    found = guess(tmp_path / "logs.csv")
    graph = parse_description(yaml.safe_load(found.description), "description", tmp_path)
    assert read_trajectories(tmp_path / "logs.csv", graph, ReadOptions(**found.dataset)).step_seconds == step
