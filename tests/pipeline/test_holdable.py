"""What no bundle could hold is refused before anything is learned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.pipeline.holdable import require_holdable, require_memory


def graph_of(*names: str) -> DecisionGraph:
    columns = [Column(name, "state", "continuous") for name in names]
    columns.append(Column("valve", "action", "continuous"))
    return DecisionGraph.build(columns, {"action": ["state"], "next_state": ["state", "action"]})


def test_ten_thousand_columns_are_held() -> None:
    """Nothing is raised; one column more than the limit is, see below."""
    require_holdable(graph_of(*(f"s{number}" for number in range(10_000))), "description.yaml")


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (graph_of(*(f"s{n}" for n in range(20_001))), "at most 20000 items after validation, not 20001"),
        (graph_of("level", "x" * 201), "String must have at most 200 characters"),
    ],
    ids=["many", "long"],
)
def test_what_is_too_large_is_named_before_anything_is_learned(graph: DecisionGraph, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        require_holdable(graph, "description.yaml")
    assert str(caught.value).startswith("description.yaml, nodes.state.columns")
    assert "leave columns out, or give them shorter names" in str(caught.value)


def test_a_venv_that_no_memory_holds_is_refused() -> None:
    def learning(members: int, mode: str = "once") -> Any:
        return SimpleNamespace(venv=SimpleNamespace(mode=mode, members=members))

    many = graph_of(*(f"s{number}" for number in range(5000)))
    with pytest.raises(UserError, match=r"takes .* of memory at least \(10000 members .*, this machine has"):
        require_memory(many, learning(5000))
    require_memory(many, learning(5000, "none"))
    require_memory(graph_of("level"), learning(7))
