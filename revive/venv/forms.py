"""Whether a transition is learned as the change of its state or as the next value itself, where nobody says."""

from __future__ import annotations

import numpy as np

from revive.data.explained import design, unexplained
from revive.data.trajectories import Trajectories
from revive.graph.decision_graph import DecisionGraph


def without_memory(logs: Trajectories, graph: DecisionGraph) -> tuple[str, ...]:
    """The learned transitions whose next value is told without the present one.

    Those that do not see their own state, by the graph, and whose inputs tell the next value better than its change:
    what is sold today does not start from what was sold yesterday, and a change would add up such noise. Where the
    change is told better, the state lasts although the graph does not say so.
    """
    return tuple(
        name
        for name in graph.transitions
        if name in graph.learned and not _sees_itself(graph, name) and _told_itself(logs, graph, name)
    )


def _sees_itself(graph: DecisionGraph, transition: str) -> bool:
    state = graph.state_of(transition)
    return any(graph.source_of(name) == state for name in graph[transition].inputs)


def _told_itself(logs: Trajectories, graph: DecisionGraph, transition: str) -> bool:
    now, then = (logs.arrays.get(name) for name in (graph.state_of(transition), transition))
    if now is None or then is None:
        return False
    ordered = [number for number, column in enumerate(graph.columns(transition)) if column.type != "category"]
    value, change = then[:, ordered], (then - now)[:, ordered]
    known = np.isfinite(value).all(axis=1) & np.isfinite(change).all(axis=1)
    if not ordered or not known.all():
        return False
    inputs = design(logs, graph, graph[transition].inputs)
    left = [unexplained(inputs, of, logs.ends) for of in (value, change)]
    if left[0] is None or left[1] is None:
        return False
    spread = np.maximum(value.var(axis=0), 1e-300)
    itself = np.nan_to_num(left[0]) * value.var(axis=0) / spread
    moved = np.nan_to_num(left[1]) * change.var(axis=0) / spread
    return bool(itself.sum() < moved.sum())
