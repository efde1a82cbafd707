"""`where` keeps rows by a condition, cuts trajectories there, and runs no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from revive.data.readers import ReadOptions, from_arrays, read_trajectories
from revive.data.readers.where import Where
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

GRAPH = DecisionGraph.build(
    [Column("level", "state", "continuous"), Column("valve", "action", "continuous")],
    {"action": ["state"], "next_state": ["state", "action"]},
)
COLUMNS: dict[str, Any] = {
    "a": np.arange(6.0),
    "b c": np.array([1.0, np.nan, 3.0, 4.0, 5.0, 6.0]),
    "mode": np.array(["AUTO", "AUTO", "MAN", "AUTO", "OFF", "AUTO"], dtype=object),
}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("mode == 'AUTO'", [0, 1, 3, 5]),
        ("mode in ('MAN', 'OFF')", [2, 4]),
        ("mode not in ['MAN'] and not a >= 4", [0, 1, 3]),
        ("1 <= a < 4", [1, 2, 3]),
        ("`b c` > 3 or row == 0", [0, 3, 4, 5]),
        ("`b c` != 3 and `b c` == `b c`", [0, 3, 4, 5]),
        ("a * 2 + 1 > 4 - (-4) * 1 and a / 2 - 1 < 9", [4, 5]),
        ("mode == 3", []),
        ("mode != 3", [0, 1, 2, 3, 4, 5]),
        ("a", [1, 2, 3, 4, 5]),
    ],
)
def test_conditions(text: str, rows: list[int]) -> None:
    assert np.flatnonzero(Where(text).rows(COLUMNS, 6)).tolist() == rows


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a ==",
        "__import__('os').system('touch here')",
        "a.b > 1",
        "a[0] > 1",
        "(lambda: 1)()",
        "[x for x in a]",
        "a ** 9999999",
        "a if a else a",
        "f'{a}' == 1",
        "a := 3",
        "a is 3",
        "a in b",
        "~a == 3",
        "b'x' == a",
        "None == a",
        "not " * 500 + "a",
        "(" * 300 + "a" + ")" * 300,
        "a > 1; a < 2",
    ],
)
def test_whatever_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="where"):
        Where(text)
    with pytest.raises(UserError, match="where"):
        ReadOptions(where=text)


def test_words_and_numbers_have_no_order() -> None:
    with pytest.raises(UserError, match="have no order"):
        Where("mode > 3").rows(COLUMNS, 6)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_are_left_out_and_trajectories_cut_there(tmp_path: Path, suffix: str) -> None:
    mode = ["AUTO"] * 4 + ["MAN"] * 2 + ["AUTO"] * 5 + [None] + ["AUTO"]
    frame = pd.DataFrame({"level": np.arange(13.0), "valve": np.arange(13.0) * 2, "mode": mode})
    path = tmp_path / f"logs.{suffix}"
    getattr(frame, f"to_{suffix}")(path, index=False)
    read = read_trajectories(path, GRAPH, ReadOptions(where="mode == 'AUTO'"))
    assert read.lengths.tolist() == [3, 4]  # the row after the gap is alone: it has no successor
    assert read.arrays["state"][:, 0].tolist() == [0, 1, 2, 6, 7, 8, 9]
    assert read.arrays["next_state"][:, 0].tolist() == [1, 2, 3, 7, 8, 9, 10]
    with pytest.raises(UserError, match=r"no row fulfils.*\n.*mode holds AUTO, MAN"):
        read_trajectories(path, GRAPH, ReadOptions(where="mode == 'auto'"))
    with pytest.raises(UserError, match=r"asks for 'mood'.*\n.*did you mean 'mode'"):
        read_trajectories(path, GRAPH, ReadOptions(where="mood == 'AUTO'"))


def test_arrays_are_chosen_from_as_well_and_index_is_that_of_the_file() -> None:
    arrays = {
        "state": np.arange(10.0),
        "action": np.arange(10.0),
        "mode": np.array(["x"] * 5 + ["y"] * 5),
        "index": np.array([4, 10]),
    }
    read = from_arrays(arrays, GRAPH, "here", ReadOptions(where="mode == 'x' or row >= 7"))
    assert read.arrays["state"][:, 0].tolist() == [0, 1, 2, 7, 8]
    assert read.lengths.tolist() == [3, 2]
