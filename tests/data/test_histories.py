"""Histories gathered from rows: integer ramps tell which row every frame came from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.data.derive import with_derived
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description


def graph_of(ts: int, ages: str) -> DecisionGraph:
    """x is a state of two columns, u is decided from a history: of x up to now, or of u up to the step before."""
    seen = {"now": "ts_x", "before": "ts_u"}[ages]
    columns = [{name: {"dim": name[0], "type": "continuous"}} for name in ("x0", "x1", "u")]
    nodes = {seen[-1]: {"ts": ts}}
    graph = {"u": ["x", seen] if ages == "before" else [seen], "next_x": ["x", "u"]}
    return parse_description({"metadata": {"columns": columns, "nodes": nodes, "graph": graph}}, "test")


def ramp(graph: DecisionGraph, *parts: Sequence[int]) -> tuple[Rows, list[Trajectories]]:
    """x is (row, 1000 + row) and u is -row, over all parts; model space is physical."""
    made, first = [], 0
    for lengths in parts:
        ends = np.cumsum(lengths)
        row = np.arange(first, first + ends[-1], dtype=float)[:, None]
        x = np.hstack([row, 1000 + row])
        made.append(Trajectories({"x": x, "u": -row, "next_x": x + 1}, ends))
        first += int(ends[-1])
    return Rows.of(Codec.empty(graph), graph, *made), made


def frames(rows: Rows, row: int, ages: Sequence[int]) -> list[int]:
    """The rows that many steps ago, none before the trajectory of `row`."""
    start = max(s for s in rows.starts.tolist() if s <= row)
    return [max(row - age, start) for age in ages]


LENGTHS = ([5, 1, 7], [2, 6])


@pytest.mark.parametrize("ts", [2, 3, 10])
def test_with_delay_zero_the_present_row_is_the_newest_frame(ts: int) -> None:
    graph = graph_of(ts, "now")
    spec = graph["ts_x"].history
    assert spec is not None
    assert (spec.length, spec.delay) == (ts, 0)
    rows, _ = ramp(graph, *LENGTHS)
    for row in range(rows.count):
        found = rows.at(torch.tensor(row), ("ts_x",))["ts_x"].view(ts, 2)
        wanted = frames(rows, row, range(ts - 1, -1, -1))
        assert found[:, 0].tolist() == wanted
        assert found[:, 1].tolist() == [1000 + w for w in wanted]
        past = rows.past(torch.tensor(row))["ts_x"].view(ts - 1, 2)
        assert torch.equal(past, found[:-1])


@pytest.mark.parametrize("ts", [2, 3, 10])
def test_with_delay_one_the_row_before_is_the_newest_frame(ts: int) -> None:
    graph = graph_of(ts, "before")
    spec = graph["ts_u"].history
    assert spec is not None
    assert (spec.length, spec.delay) == (ts, 1)
    rows, _ = ramp(graph, *LENGTHS)
    for row in range(rows.count):
        found = rows.at(torch.tensor(row), ("ts_u",))["ts_u"]
        assert found.tolist() == [-w for w in frames(rows, row, range(ts, 0, -1))]
        assert torch.equal(rows.past(torch.tensor(row))["ts_u"], found)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 3, 4)])
def test_indices_of_any_shape_give_frames_of_that_shape(shape: tuple[int, ...]) -> None:
    rows, _ = ramp(graph_of(3, "now"), *LENGTHS)
    index = torch.randint(rows.count, shape, generator=torch.Generator().manual_seed(0))
    found = rows.at(index)
    assert found.keys() == {"x", "u", "next_x", "ts_x"}
    assert found["ts_x"].shape == (*shape, 6)
    assert rows.past(index)["ts_x"].shape == (*shape, 4)
    assert torch.equal(found["ts_x"][..., -2:], found["x"])
    assert torch.equal(found["ts_x"][..., :4], rows.past(index)["ts_x"])


@pytest.mark.parametrize("ages", ["now", "before"])
def test_frames_are_those_that_the_reader_stacks(ages: str) -> None:
    graph = graph_of(4, ages)
    name = "ts_x" if ages == "now" else "ts_u"
    rows, parts = ramp(graph, *LENGTHS)
    stacked = np.concatenate([with_derived(part, graph).arrays[name] for part in parts])
    found = rows.at(torch.arange(rows.count), (name,))[name]
    np.testing.assert_array_equal(found, stacked)


def test_a_history_without_data_of_its_source_has_none() -> None:
    graph = graph_of(2, "now")
    arrays = {"u": np.zeros((3, 1))}
    rows = Rows.of(Codec.empty(graph), graph, Trajectories(arrays, np.array([3])))
    assert rows.at(torch.tensor([0, 1])).keys() == {"u"}
    assert rows.past(torch.tensor([0, 1])) == {}
