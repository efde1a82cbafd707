"""Nodes that no log has to hold, because they follow from others: histories, changes, counters.

Histories are always made from the rows of their own trajectory, whatever a file says about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from revive.data.trajectories import FloatArray, IntArray, Trajectories
from revive.graph.decision_graph import DecisionGraph, NodeKind, Origin

_READ: Final = frozenset({Origin.LOGGED, Origin.CHANGE})
_OPTIONAL: Final = frozenset({NodeKind.FUNCTION, NodeKind.CHANGE})


def is_read(graph: DecisionGraph, node: str) -> bool:
    """Whether the values of `node` come from the log at all, rather than from those of other nodes."""
    origin = graph.data_of(node)
    if origin.how is Origin.NEXT and origin.of is not None:
        return is_read(graph, origin.of)
    return origin.how in _READ


def is_optional(graph: DecisionGraph, node: str) -> bool:
    """Whether a log may lack `node`."""
    return graph[node].kind in _OPTIONAL


def with_derived(trajectories: Trajectories, graph: DecisionGraph) -> Trajectories:
    """The same trajectories with the arrays that follow from the others, node -> (N, d), and their masks.

    history: the last values of its source, the first row of a trajectory standing for those before it
    step: the row in its trajectory, from 0; trajectory: its number, as binary digits where it has several
    columns; change: the successor less the present value. Functions of the user are left out.
    """
    work = _Derivation(graph, dict(trajectories.arrays), dict(trajectories.missing or {}), trajectories)
    for name in graph.nodes:
        if name not in work.arrays:
            work.add(name)
    if len(work.arrays) == len(trajectories.arrays):
        return trajectories
    ordered = {name: work.arrays[name] for name in graph.nodes if name in work.arrays}
    return replace(trajectories, arrays=ordered, missing=work.missing or None)


class _Derivation:
    def __init__(
        self,
        graph: DecisionGraph,
        arrays: dict[str, FloatArray],
        missing: dict[str, Any],
        trajectories: Trajectories,
    ) -> None:
        self.graph, self.arrays, self.missing = graph, arrays, missing
        self._ends, self._lengths, self._rows = trajectories.ends, trajectories.lengths, trajectories.rows
        self._starts = trajectories.starts

    @cached_property
    def _first(self) -> IntArray:
        """(N,) the first row of the trajectory that a row belongs to."""
        return np.repeat(self._starts, self._lengths)

    def add(self, name: str) -> None:
        """Adds `name` to the arrays where it follows from them."""
        origin = self.graph.data_of(name)
        later = origin.how is Origin.NEXT and origin.of is not None
        how = self.graph.data_of(origin.of).how if later and origin.of is not None else origin.how
        width = self.graph[name].width
        if how is Origin.STEP:
            count = np.arange(self._rows) - self._first + later
            self.arrays[name] = np.repeat(count.astype(np.float64)[:, np.newaxis], width, axis=1)
        elif how is Origin.TRAJECTORY:
            number = np.repeat(np.arange(len(self._ends)), self._lengths)[:, np.newaxis]
            digits = number if width == 1 else number >> np.arange(width)[::-1] & 1
            self.arrays[name] = digits.astype(np.float64)
        elif how is Origin.CHANGE and origin.of is not None:
            self._add_change(name, origin.of)
        elif how is Origin.STACK:
            self._add_history(name, name in self.graph.transitions)

    def _add_change(self, name: str, state: str) -> None:
        following = self.graph.next_of(state) if state in self.graph.states else None
        if state not in self.arrays or following not in self.arrays:
            return
        self.arrays[name] = self.arrays[following] - self.arrays[state]
        masks = [self.missing[node] for node in (state, following) if node in self.missing]
        if masks:
            self.missing[name] = np.logical_or.reduce(masks)

    def _add_history(self, name: str, transition: bool) -> None:
        spec = self.graph[name].history
        if spec is None or spec.source not in self.arrays:
            return
        ages = range(spec.lookback, spec.delay - 1, -1)
        following = self.graph.next_of(spec.source) if spec.source in self.graph.states else None
        if transition and spec.delay == 0 and following not in self.arrays:
            return
        for store in (self.arrays, self.missing):
            if spec.source in store:
                store[name] = self._stacked(store, spec.source, following, ages, transition)

    def _stacked(
        self, store: Mapping[str, Any], source: str, following: str | None, ages: range, transition: bool
    ) -> Any:
        frames = []
        rows = np.arange(self._rows)
        for age in ages:
            if transition and age == 0:
                assert following is not None
                frames.append(store.get(following, store[source]))
            else:
                frames.append(store[source][np.maximum(rows - age + transition, self._first)])
        return np.hstack(frames)
