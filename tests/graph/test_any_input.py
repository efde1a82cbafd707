"""Whatever a description holds: a graph or a message, never another end."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description, read_description

VOCABULARY = """
metadata graph columns nodes expert_functions custom_nodes metric_nodes tunable circle version
dim type min max num values fit units scale period clamp continuous discrete category cyclic log
ts ts_length step_input traj_id freeze loss_type effects history data max_slope increasing mae
s a w s0 a0 s.s0 next_s ts_s next_ts_s delta_s step_node_ next_step_node_ traj done next_done index
next_ ts_ << functions.f node_function user_module.f
"""
WORDS = VOCABULARY.split()
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from([10**30, 1e400, float("nan"), -0.0, 1e-300, "", " ", "ä\n", "\ud800"]),
    st.sampled_from(WORDS),
    st.text(max_size=5),
)
NAMES = st.sampled_from(WORDS) | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)

COMPLETE: dict[str, Any] = {
    "metadata": {
        "columns": [
            {"s0": {"dim": "s", "type": "continuous", "min": -1.0, "max": 1.0}},
            {"s1": {"dim": "s", "type": "continuous", "scale": "minmax", "clamp": True}},
            {"w0": {"dim": "w", "type": "category", "values": [0, 1, 2]}},
            {"a0": {"dim": "a", "type": "discrete", "min": 0, "max": 1, "num": 3}},
            {"d": {"dim": "done", "type": "category", "values": [0, 1]}},
        ],
        "graph": {
            "a": ["ts_s", "ts_a", "w"],
            "delta_s": ["ts_s", "a"],
            "next_s": ["s", "delta_s"],
            "next_ts_s": ["ts_s", "next_s"],
            "done": ["next_s"],
        },
        "nodes": {
            "s": {"ts": 3, "circle": [["s0", "s1"]]},
            "a": {"ts": 3, "ts_length": 2, "history": 2, "traj_id": True},
            "delta_s": {"step_input": True, "loss_type": "mae", "effects": {"a0": {"s0": "increasing"}}},
        },
        "tunable": ["w"],
        "metric_nodes": ["a", "delta_s"],
    }
}


SCRAPS = ["", "\t", "&a", "*a", "<<: *a", "!!int ''", "!!bool x", "? [a]: b", "{", "- ", "%", "\x00"]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key path in a value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [at, *(place for key in keys for place in places(value[key], (*at, key)))]


PLACES = [place for place in places(COMPLETE) if place]


def broken(changes: list[tuple[tuple[Any, ...], str, Any]]) -> Any:
    """The complete description after the changes that still find their place."""
    result = copy.deepcopy(COMPLETE)
    for place, action, value in changes:
        home: Any = result
        try:
            for key in place[:-1]:
                home = home[key]
            home[place[-1]]
        except (KeyError, IndexError, TypeError):
            continue
        if not isinstance(home, dict | list):
            continue  # an earlier change put a text or a number here
        if action == "replace" or not isinstance(home, dict):
            home[place[-1]] = value
        elif action == "drop":
            del home[place[-1]]
        else:
            home[value if isinstance(value, str) else "next_a"] = home.pop(place[-1])
    return result


def assert_says_something(error: UserError) -> None:
    assert error.problems
    assert all(problem.what.strip() for problem in error.problems)


def assert_ends_well(read: Callable[[], DecisionGraph]) -> None:
    try:
        graph = read()
    except UserError as error:
        assert_says_something(error)
        return
    assert DecisionGraph.from_json(json.loads(json.dumps(graph.to_json()))) == graph
    assert repr(graph)
    assert graph.mermaid()
    for name in graph.nodes:
        assert graph.source_of(name) in graph.nodes
        graph.data_of(name)


def test_the_complete_description_is_one() -> None:
    graph = parse_description(COMPLETE, "inline")
    assert graph.metric_nodes == ("a", "delta_s")


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(["replace", "drop", "rename"]), VALUES),
                min_size=1, max_size=4))  # fmt: skip
def test_broken_descriptions_end_well(changes: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    assert_ends_well(lambda: parse_description(broken(changes), "inline"))


NODES = ["s", "w", "a", "b"]
GIVEN = ["s", "w", "ts_s", "ts_w", "ts_a", "ts_b", "step_node_"]
LATER = ["a", "b", "delta_s", "next_s", "next_w", "next_ts_s", "next_ts_a", "next_step_node_"]


@st.composite
def wirings(draw: st.DrawFn) -> dict[str, list[str]]:
    """Graphs without loops, save for those through histories; half of the nodes follow the conventions."""
    usual = {
        "next_s": ["s", "delta_s"],
        "next_ts_s": ["ts_s", "next_s"],
        "next_ts_a": ["ts_a", "a"],
        "next_step_node_": ["step_node_"],
    }
    wiring: dict[str, list[str]] = {}
    computed = draw(st.sets(st.sampled_from(LATER), min_size=1))
    for node in sorted(computed, key=LATER.index):
        known = [*GIVEN, *wiring]
        if node in usual and draw(st.booleans()):
            wiring[node] = usual[node]
        else:
            wiring[node] = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
    return wiring


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "history": st.integers(1, 3),
        "step_input": st.booleans(),
        "traj_id": st.booleans(),
        "data": st.booleans(),
        "effects": st.dictionaries(st.sampled_from(GIVEN), st.just("increasing"), max_size=1),
    },
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    wirings(),
    st.dictionaries(st.sampled_from(LATER), OPTIONS, max_size=2),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
    st.sampled_from([[], [], ["w"]]),
)
def test_any_wiring_ends_well(
    graph: dict[str, list[str]], options: dict[str, Any], ts: list[int], tunable: list[str]
) -> None:
    nodes: dict[str, Any] = {node: {"ts": length} for node, length in zip(NODES, ts, strict=True)}
    for node, option in options.items():
        nodes[node] = {**nodes.get(node, {}), **option}
    columns = [{f"{node}{i}": {"dim": node, "type": "continuous"}} for node in NODES for i in range(2)]
    metadata = {"columns": columns, "graph": graph, "nodes": nodes, "tunable": tunable}
    assert_ends_well(lambda: parse_description({"metadata": metadata}, "inline"))


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_anything_inline_ends_well(value: Any) -> None:
    assert_ends_well(lambda: parse_description(value, "inline"))
    assert_ends_well(lambda: parse_description({"metadata": value}, "inline"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_torn_files_end_well(tmp_path: Path, data: st.DataObject) -> None:
    text = yaml.safe_dump(COMPLETE)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    inserted = data.draw(st.sampled_from(SCRAPS) | st.text(max_size=4))
    path = tmp_path / "description.yaml"
    torn = text[:start] + inserted + text[min(end, start + 20) :]
    path.write_bytes(torn.encode("utf-8", "surrogatepass"))
    assert_ends_well(lambda: read_description(path))


BOMBS = {
    "deep": "metadata: " + "[" * 5000,
    "deep maps": "metadata: " + "{a: " * 3000,
    "aliases": "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 30)),
    "merges": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40)),
    "merge into itself": "metadata: &a {<<: *a}\n",
    "merge of a list": "metadata: {<<: [1]}\n",
    "a list as a key": "metadata: {? [a, b] : 1}\n",
    "bad tags": "metadata: {columns: !!int '', graph: !!timestamp x, nodes: !!python/object:os.x {}}\n",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused(describe: Callable[[str], Path], text: str) -> None:
    started = time.monotonic()
    with pytest.raises(UserError):
        read_description(describe(text))
    assert time.monotonic() - started < 20


def test_inline_loops_are_refused() -> None:
    endless: dict[str, Any] = {}
    endless["metadata"] = endless
    with pytest.raises(UserError, match="nested"):
        parse_description(endless, "inline")


def test_inline_keys_are_names() -> None:
    mapping: dict[Any, Any] = {"metadata": {"graph": {True: ["s"]}, "columns": []}}
    with pytest.raises(UserError, match="a name is wanted, not True"):
        parse_description(mapping, "inline")


def test_ten_thousand_columns_are_read_in_seconds() -> None:
    columns = [{f"c{i}": {"dim": f"n{i // 10}", "type": "continuous"}} for i in range(10_000)]
    graph = {"a": [f"n{i}" for i in range(999)], **{f"next_n{i}": [f"n{i}", "a"] for i in range(999)}}
    columns.append({"a": {"dim": "a", "type": "continuous"}})
    started = time.monotonic()
    read = parse_description({"metadata": {"columns": columns, "graph": graph}}, "inline")
    assert len(read.states) == 999
    wrong = {**graph, **{f"next_n{i}": [f"m{i}", "b"] for i in range(999)}}
    with pytest.raises(UserError) as caught:
        parse_description({"metadata": {"columns": columns, "graph": wrong}}, "inline")
    assert len(caught.value.problems) == 51
    assert time.monotonic() - started < 30
