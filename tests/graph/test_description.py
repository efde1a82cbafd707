from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph, NodeKind
from revive.graph.description import read_description

Describe = Callable[[str], Path]

COLUMNS = """\
metadata:
  columns:
    - x: {dim: state, type: continuous}
    - u: {dim: action, type: continuous}
"""
ACTION = """\
metadata:
  columns:
    - x: {{dim: state, type: continuous}}
    - u: {{dim: action, type: {}}}
"""
GRAPH = """\
  graph:
    action: [state]
    next_state: [state, action]
"""


def complaint(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_description(path)
    return str(caught.value)


def test_refrigerator(refrigerator: Path) -> None:
    graph = read_description(refrigerator)
    assert graph.states == ("temperature",)
    assert graph.exogenous == ("door_open",)
    assert graph.order == ("action", "next_temperature")
    assert graph["next_temperature"].inputs == ("action", "temperature", "door_open")
    assert graph["next_temperature"].kind is NodeKind.TRANSITION
    assert graph.columns("action") == (Column("action", "action", "continuous", min=0.0, max=10.0),)
    assert graph.columns("next_temperature") == graph.columns("temperature")
    assert graph.default_target == "action"
    assert DecisionGraph.from_json(graph.to_json()) == graph


def test_every_column_attribute_arrives(describe: Describe) -> None:
    text = """\
metadata:
  version: "1.0"
  columns:
    - x: {dim: state, type: continuous, min: -1e-3, fit: false, units: m, description: along the track}
    - gear:
        dim: state
        type: category
        values: [3, 1]
    - u: {dim: action, type: discrete, min: 0, max: 1, num: 3}
"""
    graph = read_description(describe(text + GRAPH))
    x, gear = graph.columns("state")
    assert (x.min, x.max, x.fit, x.units, x.description) == (-0.001, None, False, "m", "along the track")
    assert gear.choices == (3.0, 1.0)
    assert graph.columns("action")[0].choices == (0.0, 0.5, 1.0)


def test_merged_maps_and_byte_order_marks_are_read(describe: Describe) -> None:
    text = """\
\ufeffmetadata:
  columns:
    - x: &bounded {dim: state, type: continuous, min: 0, max: 1}
    - u: {<<: *bounded, dim: action, max: 2}
"""
    graph = read_description(describe(text + GRAPH))
    assert [(c.node, c.min, c.max) for c in graph.columns("action")] == [("action", 0.0, 2.0)]


def test_described_nodes_outside_the_graph_are_named(
    describe: Describe, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "revive"):
        graph = read_description(describe(COLUMNS + "    - r: {dim: rew, type: continuous}\n" + GRAPH))
    assert "rew" not in graph
    assert "rew" in caplog.text


BAD = {
    "empty": ("", ["is empty", "metadata"]),
    "comment alone": ("# nothing\n", ["is empty"]),
    "a list": ("- 1\n", ["line 1", "metadata"]),
    "no YAML": ("metadata: {columns: [\n", ["line 2", "not YAML"]),
    "tab": ("metadata:\n\tcolumns: []\n", ["line 2", "tab"]),
    "unknown top-level key": (COLUMNS + GRAPH + "mode: 1\n", ["line 8", "'mode'", "metadata"]),
    "unknown key": (
        COLUMNS + GRAPH + "  tunables: [a]\n",
        ["line 8", "'tunables'", "did you mean 'tunable'"],
    ),
    "no graph": (COLUMNS, ["line 1", "'graph' is missing"]),
    "empty graph": (COLUMNS + "  graph: {}\n", ["line 5", "computes nothing"]),
    "no columns": ("metadata:\n" + GRAPH, ["'columns' is missing"]),
    "columns as a map": (
        "metadata:\n  columns: {x: {dim: a}}\n" + GRAPH,
        ["line 2", "must be a list", "'- '"],
    ),
    "duplicate key": (COLUMNS + GRAPH + "    action: [state]\n", ["line 8", "second time", "line 6"]),
    "unknown attribute": (
        COLUMNS.replace("type: continuous}", "type: continuous, mni: 0}", 1) + GRAPH,
        ["line 3", "columns.0.x.mni", "did you mean 'min'"],
    ),
    "wrong type": (
        COLUMNS.replace("continuous", "continous", 1) + GRAPH,
        ["line 3", "did you mean 'continuous'"],
    ),
    "no number": (COLUMNS.replace("u: {", "u: {min: low, ") + GRAPH, ["line 4", "'min'", "'low'"]),
    "not finite": (COLUMNS.replace("u: {", "u: {min: .inf, ") + GRAPH, ["line 4", "'min'"]),
    "min above max": (
        COLUMNS.replace("u: {", "u: {min: 1, max: 0, ") + GRAPH,
        ["line 4", "'min' 1", "'max' 0"],
    ),
    "category without values": (ACTION.format("category") + GRAPH, ["line 4", "'values'"]),
    "discrete without num": (ACTION.format("discrete") + GRAPH, ["line 4", "'num'"]),
    "num of a continuous column": (
        COLUMNS.replace("u: {", "u: {num: 3, ") + GRAPH,
        ["line 4", "'num'", "discrete"],
    ),
    "attributes beside the name": (
        COLUMNS + "    - r:\n      dim: state\n      type: continuous\n" + GRAPH,
        ["line 5", "beside its name", "indent"],
    ),
    "two columns in one entry": (
        COLUMNS + "    - r: {dim: state}\n      s: {dim: state}\n" + GRAPH,
        ["line 5", "several columns: r, s"],
    ),
    "name that YAML reads as a bool": (
        COLUMNS.replace("dim: state", "dim: on") + GRAPH,
        ["line 3", "quotes"],
    ),
    "inputs as text": (COLUMNS + GRAPH.replace("[state]", "state"), ["line 6", "'action: [state]'"]),
    "no inputs": (COLUMNS + GRAPH.replace("[state]", ""), ["line 6", "'action' has no inputs"]),
    "input twice": (COLUMNS + GRAPH.replace("[state]", "[state, state]"), ["line 6", "twice"]),
    "unknown input": (
        COLUMNS + GRAPH.replace("[state]", "[stat]"),
        ["line 6", "'stat'", "did you mean 'state'"],
    ),
    "uncomputed transition": (
        COLUMNS + "  graph:\n    action: [next_state]\n",
        ["line 6", "'next_state'", "nothing computes"],
    ),
    "node without columns": (
        COLUMNS + GRAPH + "    force: [action]\n",
        ["line 8", "no column", "'force'", "dim: force"],
    ),
    "state without columns": (
        COLUMNS + GRAPH.replace("next_state", "next_stat"),
        ["line 7", "did you mean 'state'"],
    ),
    "described transition": (
        COLUMNS + "    - n: {dim: next_state, type: category, values: [1, 2]}\n" + GRAPH,
        ["line 5", "describe 'state' alone"],
    ),
    "computed state": (COLUMNS + GRAPH + "    next_action: [action]\n", ["line 8", "within the step"]),
    "loop": (
        COLUMNS + "    - f: {dim: force, type: continuous}\n"
        "  graph:\n    action: [force]\n    force: [action]\n    next_state: [action]\n",
        ["line 7", "action -> force -> action"],
    ),
    "loop of one": (
        COLUMNS + GRAPH.replace("action: [state]", "action: [state, action]"),
        ["action -> action"],
    ),
    "reserved name": (
        COLUMNS.replace("dim: action", "dim: index") + GRAPH,
        ["line 4", "'index' is reserved"],
    ),
    "tunable state": (COLUMNS + GRAPH + "  tunable: [state]\n", ["line 8", "'state' cannot be tunable"]),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD.keys())
def test_mistakes_are_explained(describe: Describe, text: str, said: list[str]) -> None:
    path = describe(text)
    message = complaint(path)
    for words in [str(path), *said]:
        assert words in message


def test_a_name_that_its_node_has_already_gets_a_number(
    describe: Describe, caplog: pytest.LogCaptureFixture
) -> None:
    twice = "    - x: {dim: state, type: continuous}\n"
    graph = read_description(describe(COLUMNS + twice + twice + GRAPH))
    assert [column.name for column in graph.columns("state")] == ["x", "x_2", "x_3"]
    assert [column.name for column in graph.columns("next_state")] == ["x", "x_2", "x_3"]
    assert "line 5" in caplog.text
    assert "this one is 'x_2'" in caplog.text


def test_columns_of_a_transition_that_repeat_those_of_its_state_are_not_read(
    describe: Describe, caplog: pytest.LogCaptureFixture
) -> None:
    again = "    - n: {dim: next_state, type: continuous, min: 0}\n"
    graph = read_description(describe(COLUMNS + again + GRAPH))
    assert graph.columns("next_state") == read_description(describe(COLUMNS + GRAPH)).columns("state")
    assert "the columns of 'next_state' are not read: it has those of 'state'" in caplog.text


def test_all_mistakes_are_told_at_once(describe: Describe) -> None:
    text = COLUMNS.replace("continuous", "continous", 1).replace("u: {", "u: {mni: 0, ")
    text += "    - v: {dim: action, type: discrete}\n    - w: {dim: action, type: category}\n"
    with pytest.raises(UserError) as caught:
        read_description(describe(text + GRAPH.replace("[state]", "[stat]") + "extra: 1\n"))
    message = str(caught.value)
    assert len(caught.value.problems) == 6, message
    for words in ("continous", "mni", "stat'", "extra", "'v'", "'w'"):
        assert words in message


def test_a_malformed_column_causes_no_second_complaint(describe: Describe) -> None:
    with pytest.raises(UserError) as caught:
        read_description(describe(COLUMNS.replace("{dim: action, type", "{type") + GRAPH))
    assert len(caught.value.problems) == 1


def test_missing_file_names_the_nearest(refrigerator: Path) -> None:
    message = complaint(refrigerator.with_name("descripton.yaml"))
    assert "does not exist" in message
    assert "did you mean 'description.yaml'" in message


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in complaint(path)


def test_an_alias_of_itself_is_refused(describe: Describe) -> None:
    assert "contains itself" in complaint(describe("metadata: &a\n  graph: *a\n"))


@pytest.mark.parametrize(("text", "read"), [("010", "8"), ("0100", "64"), ("1:40", "100")])
def test_numbers_that_yaml_reads_to_another_base_are_refused(
    describe: Describe, text: str, read: str
) -> None:
    columns = COLUMNS.replace("type: continuous}\n    - u", f"type: continuous, max: {text}}}\n    - u")
    said = complaint(describe(columns + GRAPH))
    assert f"YAML reads {text} as {read}" in said
    assert "columns.0.x.max" in said


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("00", 0), ("07", 7), ("1_000", 1000), ("0.5", 0.5), ("-0", 0)]
)
def test_numbers_that_mean_the_same_to_the_base_of_ten_are_not(
    describe: Describe, text: str, value: float
) -> None:
    columns = COLUMNS.replace("type: continuous}\n    - u", f"type: continuous, max: {text}}}\n    - u")
    assert read_description(describe(columns + GRAPH)).columns("state")[0].max == value
