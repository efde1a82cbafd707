"""A graph as the one who decides a node meets it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import NodeKind

_log = logging.getLogger(__name__)


def led_by(graph: DecisionGraph, targets: Sequence[str]) -> DecisionGraph:
    """The graph in which what follows from the decisions `targets` within the step belongs to the plant.

    A flow that follows from a valve, or an inner controller that follows from a set point, is then predicted in
    rollouts and never replayed from the logs, so that errors and responses are those that a policy will meet.

    targets: decision nodes; none for the first of the graph. Other names are passed over.
    """
    causes = [name for name in targets or graph.decisions[:1] if name in graph.decisions]
    led = {}
    for name in graph.decisions:
        cause = next((c for c in causes if follows(graph, name, c)), None)
        if cause is not None and name not in causes:
            led[name] = cause
    if not led:
        return graph
    for name, cause in led.items():
        _log.warning("'%s' follows from '%s' within the step: it is predicted, never replayed", name, cause)
    nodes = (replace(node, kind=NodeKind.CHANGE) if node.name in led else node for node in graph.all_nodes)
    return replace(graph, all_nodes=tuple(nodes))


def follows(graph: DecisionGraph, node: str, cause: str) -> bool:
    """Whether `node` depends on `cause` within the step."""
    waiting, seen = [*graph[node].inputs], set()
    while waiting:
        name = waiting.pop()
        if name == cause:
            return True
        if name not in seen:
            seen.add(name)
            waiting += graph[name].inputs
    return False
