"""Where two graphs describe different plants."""

from __future__ import annotations

from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import NodeKind


def differences(one: DecisionGraph, other: DecisionGraph, target: str | None) -> list[str]:
    """The nodes that are not the same in both, in order; none where both describe one plant.

    What the decision node `target` sees is its policy's business: its inputs and the histories among them may differ.
    """
    found = [n for n in dict.fromkeys((*one.nodes, *other.nodes)) if n != target]
    kept = (NodeKind.HISTORY,)
    missing = [
        n for n in found if (n in one) != (n in other) and (one if n in one else other)[n].kind not in kept
    ]
    changed = [n for n in found if n in one and n in other and one[n] != other[n]]
    if target is not None and (target not in one or one.columns(target) != other.columns(target)):
        changed.append(target)
    return [*missing, *changed]
