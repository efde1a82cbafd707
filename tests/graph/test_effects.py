"""Declared effects: resolved to pairs of columns."""

from __future__ import annotations

from typing import Any

import pytest

from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.graph.nodes import Effect


def graph_of(effects: Any, inputs: list[str] | None = None, **options: Any) -> DecisionGraph:
    """A fridge whose next temperature has declared effects."""
    columns = [
        {"temperature": {"dim": "temperature", "type": "continuous"}},
        {"power": {"dim": "action", "type": "continuous"}},
        {"fan": {"dim": "action", "type": "discrete", "min": 0, "max": 3, "num": 4}},
        {"mode": {"dim": "mode", "type": "category", "values": [0, 1]}},
    ]
    graph = {
        "action": ["temperature"],
        "next_temperature": inputs or ["temperature", "action", "mode"],
    }
    nodes = {"next_temperature": {"effects": effects}, **options}
    return parse_description({"metadata": {"columns": columns, "graph": graph, "nodes": nodes}}, "inline")


def test_a_column_a_node_and_a_bound() -> None:
    graph = graph_of(
        {"power": {"next_temperature": "decreasing", "max_slope": 2}, "temperature": "increasing"}
    )
    assert graph["next_temperature"].effects == (
        Effect("action", "power", "temperature", "decreasing", 2),
        Effect("temperature", "temperature", "temperature", "increasing"),
    )
    assert DecisionGraph.from_json(graph.to_json()) == graph


def test_a_node_stands_for_all_its_columns_and_a_slope_for_itself() -> None:
    graph = graph_of({"action": {"max_slope": 3.5}})
    effects = graph["next_temperature"].effects
    assert [(effect.input_column, effect.direction, effect.max_slope) for effect in effects] == [
        ("power", None, 3.5),
        ("fan", None, 3.5),
    ]


def test_of_a_history_the_present_frame_is_meant() -> None:
    declared = {"action.power": {"temperature": "decreasing"}}
    (effect,) = graph_of(declared, ["temperature", "ts_action"], action={"ts": 2, "history": 1})[
        "next_temperature"
    ].effects
    assert (effect.input, effect.input_column) == ("ts_action", "ts-0_power")


def test_a_policy_that_no_longer_sees_an_input_loses_its_effect() -> None:
    columns = [{name: {"dim": name, "type": "continuous"}} for name in ("s", "w", "a")]
    graph = parse_description(
        {
            "metadata": {
                "columns": columns,
                "graph": {"a": ["s", "w"], "next_s": ["s", "a"]},
                "nodes": {"a": {"effects": {"s": "increasing", "w": "decreasing"}}},
            }
        },
        "inline",
    )
    assert [effect.input for effect in graph.with_inputs("a", ["w"])["a"].effects] == ["w"]


BAD: dict[str, tuple[Any, list[str]]] = {
    "unknown input": ({"powr": "decreasing"}, ["'powr' is no input", "did you mean 'power'"]),
    "unknown output": ({"power": {"humidity": "increasing"}}, ["'humidity' is no column of"]),
    "a category": ({"mode": "increasing"}, ["neither rises nor falls"]),
    "no direction": ({"power": {"temperature": "down"}}, ["'increasing' or 'decreasing', not 'down'"]),
    "no slope": ({"power": {"max_slope": 0}}, ["'max_slope' cannot be 0"]),
    "nothing": ({"power": {}}, ["nothing is declared"]),
    "twice": (
        {"power": {"temperature": "increasing"}, "action": {"temperature": "decreasing"}},
        ["declared twice"],
    ),
    "a list": (["power"], ["metadata.nodes.next_temperature.effects"]),
}


@pytest.mark.parametrize(("effects", "said"), BAD.values(), ids=BAD.keys())
def test_wrong_effects_are_explained(effects: Any, said: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        graph_of(effects)
    for words in said:
        assert words in str(caught.value), str(caught.value)
