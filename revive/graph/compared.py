"""Where two graphs describe different plants."""

from __future__ import annotations

from collections.abc import Collection

from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import NodeKind


def differences(one: DecisionGraph, other: DecisionGraph, targets: Collection[str]) -> list[str]:
    """The nodes that are not the same in both, in order; none where both describe one plant.

    What the decision nodes `targets` see is their policy's business: inputs and the histories among them may differ.
    """
    found = [n for n in dict.fromkeys((*one.nodes, *other.nodes)) if n not in targets]
    kept = (NodeKind.HISTORY,)
    missing = [
        n for n in found if (n in one) != (n in other) and (one if n in one else other)[n].kind not in kept
    ]
    changed = [n for n in found if n in one and n in other and one[n] != other[n]]
    changed += [n for n in targets if n not in one or one.columns(n) != other.columns(n)]
    return [*missing, *changed]
