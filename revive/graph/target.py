"""A graph as the one who decides a node meets it."""

from __future__ import annotations

import logging
from dataclasses import replace

from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import NodeKind

_log = logging.getLogger(__name__)


def led_by(graph: DecisionGraph, target: str | None) -> DecisionGraph:
    """The graph in which what follows from the decision `target` within the step belongs to the plant.

    A flow that follows from a valve, or an inner controller that follows from a set point, is then predicted in
    rollouts and never replayed from the logs, so that errors and responses are those that a policy will meet.

    target: a decision node; None for the first of the graph. Any other name leaves the graph as it is.
    """
    target = target or next(iter(graph.decisions), None)
    if target is None or target not in graph.decisions:
        return graph
    led = [name for name in graph.decisions if name != target and _follows(graph, name, target)]
    if not led:
        return graph
    for name in led:
        _log.warning("'%s' follows from '%s' within the step: it is predicted, never replayed", name, target)
    nodes = (replace(node, kind=NodeKind.CHANGE) if node.name in led else node for node in graph.all_nodes)
    return replace(graph, all_nodes=tuple(nodes))


def _follows(graph: DecisionGraph, node: str, cause: str) -> bool:
    waiting, seen = [*graph[node].inputs], set()
    while waiting:
        name = waiting.pop()
        if name == cause:
            return True
        if name not in seen:
            seen.add(name)
            waiting += graph[name].inputs
    return False
