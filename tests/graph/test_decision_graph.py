from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph


def columns(*nodes: str) -> list[Column]:
    return [Column(f"{node}_0", node, "continuous") for node in nodes]


@st.composite
def graphs(draw: st.DrawFn) -> DecisionGraph:
    """Random graphs over five nodes, their written order shuffled."""
    nodes = [f"n{i}" for i in range(5)]
    inputs: dict[str, list[str]] = {}
    for i, node in enumerate(nodes):
        below = draw(st.lists(st.sampled_from(nodes[:i]), unique=True)) if i else []
        if below:
            inputs[node] = below
    for node in draw(
        st.lists(st.sampled_from([n for n in nodes if n not in inputs]), unique=True, min_size=1)
    ):
        inputs[f"next_{node}"] = draw(st.lists(st.sampled_from(nodes), unique=True, min_size=1))
    written = draw(st.permutations(list(inputs)))
    return DecisionGraph.build(columns(*nodes), {node: inputs[node] for node in written})


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_every_graph_is_ordered_and_survives_json_and_pickle(graph: DecisionGraph) -> None:
    known = set(graph.leaves)
    for node in graph.order:
        assert set(graph[node].inputs) <= known
        known.add(node)
    assert list(graph.nodes) == [*graph.leaves, *graph.order]
    assert set(graph.leaves) == {*graph.states, *graph.exogenous}
    assert {graph.next_of(state) for state in graph.states} == set(graph.transitions)
    assert DecisionGraph.from_json(json.loads(json.dumps(graph.to_json()))) == graph
    copy = pickle.loads(pickle.dumps(graph))
    assert copy == graph
    assert hash(copy) == hash(graph)


def test_ties_keep_the_written_order() -> None:
    graph = DecisionGraph.build(columns("s", "b", "a"), {"next_s": ["a", "b"], "b": ["s"], "a": ["s"]})
    assert graph.order == ("b", "a", "next_s")
    assert graph.default_target == "b"
    assert graph["next_s"].inputs == ("a", "b")


def test_a_graph_without_a_decision_has_no_target() -> None:
    graph = DecisionGraph.build(columns("s", "u"), {"next_s": ["s", "u"]})
    assert graph.exogenous == ("u",)
    with pytest.raises(UserError, match="no decision node"):
        _ = graph.default_target


def test_each_loop_is_shown_once() -> None:
    inputs = {"a": ["b"], "b": ["a"], "c": ["d"], "d": ["e"], "e": ["c"], "f": ["a", "s"]}
    with pytest.raises(UserError) as caught:
        DecisionGraph.build(columns("s", *inputs), inputs)
    shown = [problem.what for problem in caught.value.problems]
    assert len(shown) == 2
    assert "a -> b -> a" in shown[0]
    assert "c -> e -> d -> c" in shown[1]


def test_unknown_names_are_answered_with_the_nearest() -> None:
    graph = DecisionGraph.build(columns("speed", "u"), {"next_speed": ["speed", "u"]})
    for ask in (lambda: graph["sped"], lambda: graph.next_of("sped"), lambda: graph.columns("sped")):
        with pytest.raises(UserError, match="did you mean 'speed'"):
            ask()
    with pytest.raises(UserError, match="'speed' is no transition"):
        graph.state_of("speed")


def test_pictures() -> None:
    graph = DecisionGraph.build(columns("s", "a"), {"a": ["s"], "next_s": ["s", "a"]})
    assert "decision   a[1] <- s" in repr(graph)
    drawn = graph.mermaid()
    assert drawn.startswith("flowchart LR")
    assert "n2 -. next step .-> n0" in drawn


def test_another_json_version_is_refused() -> None:
    with pytest.raises(UserError, match="version 99"):
        DecisionGraph.from_json({"version": 99, "nodes": []})


def test_the_graph_package_imports_no_torch() -> None:
    code = "import sys, revive.graph.description; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
