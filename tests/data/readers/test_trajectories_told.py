"""What tells trajectories: ids that lie anyhow, marks of an end, counters that fall back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from tests.data.readers.test_where import GRAPH


def table(folder: Path, **columns: object) -> Path:
    path = folder / "logs.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_interleaved_ids_are_put_together(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    level = np.arange(12.0)
    path = table(tmp_path, unit=[3, 1, 2] * 4, level=level, valve=level)
    with caplog.at_level(logging.INFO):
        read = read_trajectories(path, GRAPH, ReadOptions(trajectory="unit"))
    assert read.lengths.tolist() == [3, 3, 3]
    assert read.arrays["state"][:, 0].tolist() == [0, 3, 6, 1, 4, 7, 2, 5, 8]
    assert read.arrays["next_state"][:3, 0].tolist() == [3, 6, 9]
    assert read.told_by == "by 'unit'"
    assert "put together" in caplog.text


def test_an_id_that_comes_back_begins_anew_unless_times_say_that_it_went_on(tmp_path: Path) -> None:
    level, unit = np.arange(40.0), np.repeat([1, 2, 1, 2], 10)
    path = table(tmp_path, unit=unit, level=level, valve=level, t=np.arange(40))
    assert read_trajectories(path, GRAPH, ReadOptions(trajectory="unit")).lengths.tolist() == [9] * 4
    timed = read_trajectories(path, GRAPH, ReadOptions(trajectory="unit", time="t"))
    assert timed.lengths.tolist() == [19, 19]
    cut = read_trajectories(path, GRAPH, ReadOptions(trajectory="unit", time="t", gap=5))
    assert cut.lengths.tolist() == [9] * 4


def test_several_columns_tell_trajectories_together(tmp_path: Path) -> None:
    level = np.arange(24.0)
    path = table(tmp_path, machine=list("ab" * 12), run=np.repeat([1, 2, 3], 8), level=level, valve=level)
    read = read_trajectories(path, GRAPH, ReadOptions(trajectory=["machine", "run"]))
    assert read.lengths.tolist() == [3] * 6
    assert read.arrays["state"][:3, 0].tolist() == [0, 2, 4]
    assert read.told_by == "by 'machine, run'"


@pytest.mark.parametrize("name", ["terminals", "dones", "done", "timeouts", "terminated", "truncated"])
def test_marks_of_an_end_stand_in_for_an_index(name: str) -> None:
    marks = np.zeros(12)
    marks[[3, 11]] = 1
    arrays = {"state": np.arange(12.0), "action": np.arange(12.0), name: marks}
    read = from_arrays(arrays, GRAPH, "here")
    assert read.lengths.tolist() == [3, 7]
    assert name in read.told_by
    given = from_arrays({**arrays, "index": np.array([6, 12])}, GRAPH, "here")
    assert given.lengths.tolist() == [5, 5]


def test_a_table_with_done_is_cut_there_unless_told_otherwise(tmp_path: Path) -> None:
    done = np.zeros(20, dtype=bool)
    done[[9, 19]] = True
    path = table(tmp_path, level=np.arange(20.0), valve=np.arange(20.0), done=done)
    assert read_trajectories(path, GRAPH).lengths.tolist() == [9, 9]
    assert read_trajectories(path, GRAPH, ReadOptions(done=[])).lengths.tolist() == [19]


def test_marks_that_are_up_nearly_always_tell_nothing() -> None:
    arrays = {"state": np.arange(12.0), "action": np.arange(12.0), "terminals": np.ones(12)}
    with pytest.raises(UserError, match=r"'terminals' is 1 in 12 of 12 rows.*\n.*dataset.trajectory"):
        from_arrays(arrays, GRAPH, "here")
    assert from_arrays(arrays, GRAPH, "here", ReadOptions(done=[])).lengths.tolist() == [11]


def test_a_counter_that_falls_back_begins_a_trajectory(tmp_path: Path) -> None:
    path = table(tmp_path, level=np.arange(20.0), valve=np.arange(20.0), minute=[*range(8), *range(12)])
    read = read_trajectories(path, GRAPH, ReadOptions(resets="minute"))
    assert read.lengths.tolist() == [7, 11]
    assert read.told_by == "where 'minute' falls back"


def test_a_summary_among_the_files_of_a_folder_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        frame = pd.DataFrame({"level": np.arange(5.0) + number, "valve": np.arange(5.0)})
        frame.to_csv(tmp_path / f"run{number}.csv", index=False)
    pd.DataFrame({"run": [0, 1], "mean": [2, 3]}).to_csv(tmp_path / "all.csv", index=False)
    read = read_trajectories(tmp_path, GRAPH)
    assert read.lengths.tolist() == [4, 4, 4]
    assert "all.csv: left out, because its columns (mean, run)" in caplog.text


def test_a_gap_below_the_usual_step_is_refused(
    refrigerator: DecisionGraph, make_logs: Callable[..., dict[str, np.ndarray]]
) -> None:
    arrays = {**make_logs(30), "time": np.arange(30.0) * 60}
    with pytest.raises(UserError, match="'gap' is 10, less than the usual step of 'time', 60"):
        from_arrays(arrays, refrigerator, "logs", ReadOptions(time="time", gap=10))


def test_gaps_alone_are_said_to_tell_trajectories(
    refrigerator: DecisionGraph, make_logs: Callable[..., dict[str, np.ndarray]]
) -> None:
    time = np.arange(30.0)
    time[12:] += 100
    arrays = {**make_logs(30), "time": time}
    del arrays["index"]
    logs = from_arrays(arrays, refrigerator, "logs", ReadOptions(time="time", gap=10))
    assert (logs.count, logs.told_by) == (2, "by gaps in 'time'")
