"""Nodes that follow from others: histories, changes and counters hold exactly the right rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revive.data.derive import with_derived
from revive.data.readers import ReadOptions, from_arrays
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import read_description

DESCRIPTION = """
metadata:
  columns:
    - x: {dim: x, type: continuous}
    - u: {dim: u, type: continuous}
    - k: {dim: gain, type: continuous, min: 0, max: 9}
  nodes:
    x: {ts: 3}
  graph:
    u: [ts_x, gain]
    next_x: [x, u, gain]
  tunable: [gain]
"""


def ramp(*lengths: int) -> dict[str, np.ndarray]:
    rows = sum(lengths)
    return {
        "x": np.arange(rows, dtype=float),
        "next_x": np.arange(rows, dtype=float) + 1,
        "u": np.arange(rows) * 10.0,
        "gain": np.arange(len(lengths), dtype=float),
        "index": np.cumsum(lengths),
    }


@pytest.fixture
def described(tmp_path: Path) -> DecisionGraph:
    (tmp_path / "description.yaml").write_text(DESCRIPTION)
    return read_description(tmp_path / "description.yaml")


def test_histories_stay_inside_their_trajectories(described: DecisionGraph) -> None:
    read = from_arrays(ramp(4, 2), described, "here")
    assert read.arrays["ts_x"].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [4, 4, 4], [4, 4, 5]]
    if "next_ts_x" in read.arrays:
        assert read.arrays["next_ts_x"][2].tolist() == [1, 2, 3]
        assert read.arrays["next_ts_x"][4].tolist() == [4, 4, 5]


def test_tunable_nodes_have_one_row_for_each_trajectory(described: DecisionGraph) -> None:
    read = from_arrays(ramp(4, 2), described, "here")
    assert read.arrays["gain"][:, 0].tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(UserError, match="'gain' has 3 rows, but there are 2 trajectories of 6 rows"):
        from_arrays(ramp(4, 2) | {"gain": np.zeros(3)}, described, "here")


def test_histories_that_a_log_brings_are_not_read(described: DecisionGraph) -> None:
    read = from_arrays(ramp(4, 2) | {"ts_x": np.full((6, 3), 99.0)}, described, "here")
    assert read.arrays["ts_x"].max() == 5


def test_masks_follow_into_histories(described: DecisionGraph) -> None:
    arrays = ramp(4, 2)
    arrays["x"][1] = arrays["next_x"][0] = np.nan
    read = from_arrays(arrays, described, "here", ReadOptions(missing="mask"))
    assert read.missing is not None
    assert read.missing["ts_x"].astype(int).tolist() == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_changes_and_counters() -> None:
    columns = [Column("x", "x", "continuous"), Column("u", "u", "continuous")]
    columns.append(Column("n", "step_node_", "continuous"))
    graph = DecisionGraph.build(
        columns,
        {
            "u": ["x", "step_node_"],
            "delta_x": ["x", "u"],
            "next_x": ["x", "delta_x"],
            "next_step_node_": ["step_node_"],
        },
    )
    arrays = ramp(3, 2)
    del arrays["next_x"], arrays["gain"]
    read = from_arrays(arrays, graph, "here")
    assert read.arrays["delta_x"][:, 0].tolist() == [1, 1, 1]
    assert read.arrays["step_node_"][:, 0].tolist() == [0, 1, 0]
    assert read.arrays["next_step_node_"][:, 0].tolist() == [1, 2, 1]


def test_a_policy_with_a_longer_memory_gets_its_history(described: DecisionGraph) -> None:
    read = from_arrays(ramp(4, 2), described, "here")
    plain = from_arrays(ramp(4, 2), described.with_inputs("u", ["x"]), "here")
    longer = described.with_inputs("u", ["x"], history=2)
    more = with_derived(plain, longer)
    assert more.hash() != plain.hash()
    assert read.rows == more.rows
