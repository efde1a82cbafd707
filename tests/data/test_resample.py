"""Trajectories on an even grid of times."""

from __future__ import annotations

import numpy as np
import pytest

from revive.data.readers import ReadOptions, from_arrays
from revive.data.resample import Grid, period_of
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

GRAPH = DecisionGraph.build(
    [
        Column("level", "state", "continuous"),
        Column("flow", "state", "continuous"),
        Column("valve", "action", "continuous"),
    ],
    {"action": ["state"], "next_state": ["state", "action"]},
)
NAN = np.nan


def test_each_column_in_its_own_way() -> None:
    grid = Grid(np.array([0.0, 5, 9, 20, 40, 41]), np.array([4, 6]), 10.0, "here")
    assert grid.times.tolist() == [0, 10, 20, 40]
    assert grid.ends.tolist() == [3, 4]
    values = np.array([1.0, 2, 4, 8, 100, 200])
    assert grid.column(values, "last").tolist() == [1, 4, 8, 100]
    assert grid.column(values, "linear").tolist() == [1, 4 + 4 / 11, 8, 100]
    assert grid.column(values, "mean").tolist() == [1, 3, 8, 100]
    gappy = np.array([NAN, 2, NAN, 8, NAN, 200])
    np.testing.assert_array_equal(grid.column(gappy, "last"), [NAN, 2, 8, NAN])
    np.testing.assert_array_equal(grid.column(gappy, "linear"), [NAN, 2 + 6 * 5 / 15, 8, NAN])


def test_random_grids_are_as_numpy_says() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        lengths = rng.integers(1, 12, 4)
        ends = np.cumsum(lengths)
        pieces = [np.cumsum(rng.uniform(0.1, 4, n)) for n in lengths]
        time, values = np.concatenate(pieces), rng.normal(size=int(ends[-1]))
        grid = Grid(time, ends, 1.3, "here")
        line, begin = grid.column(values, "linear"), 0
        for start, end, stop in zip([0, *ends[:-1]], ends, grid.ends, strict=True):
            wanted = np.interp(grid.times[begin:stop], time[start:end], values[start:end])
            np.testing.assert_allclose(line[begin:stop], wanted)
            begin = stop


def test_a_log_is_put_on_a_grid_and_its_transitions_follow() -> None:
    arrays = {
        "state": np.column_stack([np.arange(6.0), np.arange(6.0) ** 2]),
        "action": np.array([1.0, 1, 2, 2, 3, 3]),
        "clock": np.array([0.0, 30, 60, 150, 180, 240]),
        "index": np.array([6]),
    }
    options = ReadOptions(time="clock", resample=60, resample_how={"flow": "last"})
    read = from_arrays(arrays, GRAPH, "here", options)
    assert read.time is not None
    assert read.time.tolist() == [0, 60, 120, 180]
    assert read.arrays["state"].tolist() == [[0, 0], [2, 4], [2 + 60 / 90, 4], [4, 16]]
    assert read.arrays["next_state"][:3].tolist() == read.arrays["state"][1:].tolist()
    assert read.arrays["action"][:, 0].tolist() == [1, 2, 2, 3]
    with pytest.raises(UserError, match="the unit of 'clock' is not known"):
        from_arrays(arrays, GRAPH, "here", ReadOptions(time="clock", resample="1min"))
    with pytest.raises(UserError, match=r"would make .* rows of 6"):
        from_arrays(arrays, GRAPH, "here", ReadOptions(time="clock", resample=0.001))


@pytest.mark.parametrize(
    ("text", "meant"), [("60s", (60, True)), (5, (5, False)), ("1.5 h", (5400, True)), ("2min", (120, True))]
)
def test_periods(text: str | float, meant: tuple[float, bool]) -> None:
    assert period_of(text) == meant


@pytest.mark.parametrize("text", ["", "0", "-5s", "5 weeks", "soon"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no period"):
        ReadOptions(time="t", resample=text)
    with pytest.raises(UserError, match="'resample' needs times"):
        ReadOptions(resample=5)
