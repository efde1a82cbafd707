"""A decision node that sees other inputs."""

from __future__ import annotations

import pytest

from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.declaration import Declaration, NodeOptions
from revive.graph.nodes import HistorySpec

COLUMNS = [Column(name, name, "continuous") for name in ("s", "w", "a")]
INPUTS = {"a": ["s"], "next_s": ["s", "a", "w"]}


@pytest.fixture
def graph() -> DecisionGraph:
    return DecisionGraph.build(COLUMNS, INPUTS)


def test_other_inputs_leave_everything_else_as_it_was(graph: DecisionGraph) -> None:
    other = graph.with_inputs("a", ["w", "s"])
    assert other["a"].inputs == ("w", "s")
    assert graph["a"].inputs == ("s",)
    assert [other[name] for name in graph.nodes if name != "a"] == [
        graph[name] for name in graph.nodes if name != "a"
    ]
    assert other.with_inputs("a", ["s"]) == graph


def test_a_history_is_made_once(graph: DecisionGraph) -> None:
    other = graph.with_inputs("a", ["s", "w"], history=4)
    assert other["a"].inputs == ("ts4_s", "ts4_w")
    assert other["ts4_w"].history == HistorySpec("w", 4)
    assert other.order == ("ts4_s", "ts4_w", "a", "next_s")
    assert other.with_inputs("a", ["s"], history=4).histories == ("ts4_s", "ts4_w")
    option = {"a": NodeOptions(history=4, given=("history",))}
    written = DecisionGraph.of(Declaration.of(COLUMNS, {**INPUTS, "a": ["s", "w"]}, options=option))
    assert written == other


def test_histories_can_be_seen_and_do_not_stack(graph: DecisionGraph) -> None:
    option = {"s": NodeOptions(ts=2, given=("ts",))}
    stacked = DecisionGraph.of(Declaration.of(COLUMNS, {**INPUTS, "a": ["ts_s"]}, options=option))
    assert stacked.with_inputs("a", ["ts_s", "w"], history=3)["a"].inputs == ("ts_s", "ts3_w")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (["next_s"], "a -> next_s -> a"),
        (["a"], "a -> a"),
        (["x"], "no such node"),
        (["s", "s"], "twice"),
        ([], "no inputs"),
        ("s", "not a list"),
    ],
)
def test_wrong_inputs_are_refused(graph: DecisionGraph, inputs: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        graph.with_inputs("a", inputs)


def test_only_decisions_are_rewired(graph: DecisionGraph) -> None:
    with pytest.raises(UserError, match="no decision node"):
        graph.with_inputs("next_s", ["s"])
    with pytest.raises(UserError, match="history of 0"):
        graph.with_inputs("a", ["s"], history=0)
