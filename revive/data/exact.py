"""Which proposals are exact: properties that hold in every row and that chance does not make.

A property that is applied wrongly does more harm than one that is missed, so every test here errs on the side of no.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import numpy as np

from revive.data.explained import design, unexplained
from revive.data.finding import Evidence
from revive.data.trajectories import FloatArray, IntArray
from revive.graph.decision_graph import DecisionGraph
from revive.graph.found import Bound, Circle, Copied, Unseen

_CIRCLE: Final = 1e-3  # |x^2 + y^2 - 1| in every row
_SWEEP: Final = 50.0  # times as much that x^2 varies: 1 and a small number lie on the circle as well
_DISTINCT: Final = 50  # values below which a column is made of levels
_ARRIVALS: Final = 3  # times that a bound is reached from inside a trajectory
_PILE: Final = 10  # rows at the bound
_PILED: Final = 3  # times as many as at any value inside the range
_CHANGES: Final = 20  # steps in which the source of a copy changes
_NO_EFFECT: Final = 1.02  # times as much that may be left unexplained without a column
_ROUNDING: Final = 1e-6  # of the variance: explained completely

Pairs = Collection[tuple[str, int]]


def exact_circle(evidence: Evidence, node: str, x: int, y: int) -> Circle | None:
    """The circle of two columns of a state, where all rows lie on it and go round some of it."""
    graph = evidence.graph
    if node not in graph.states or _has_missing(evidence, node):
        return None
    for name in (node, graph.next_of(node)):
        if name not in evidence.trajectories.arrays:
            continue
        square = np.square(evidence.trajectories.arrays[name][:, [x, y]])
        off = float(np.abs(square.sum(axis=1) - 1).max())
        if off > _CIRCLE or square[:, 0].std() < _SWEEP * off:
            return None
    sample = evidence.sample.arrays[node]
    if min(len(np.unique(sample[:, number])) for number in (x, y)) < _DISTINCT:
        return None
    columns = graph.columns(node)
    return Circle(node, columns[x].name, columns[y].name)


def exact_bound(evidence: Evidence, node: str, number: int) -> Bound | None:
    """The ends of the range of a state's column that it reaches again and again and never exceeds.

    A value where trajectories only begin is no bound, and neither is one of several that the column rests at.
    """
    graph, data = evidence.graph, evidence.trajectories
    if _has_missing(evidence, node):
        return None
    values, column = data.arrays[node][:, number], graph.columns(node)[number]
    low, high = (float(bound[number]) for bound in evidence.ranges[node])
    following = evidence.ranges.get(graph.next_of(node), evidence.ranges[node])
    if float(following[0][number]) < low or float(following[1][number]) > high:
        return None
    counts = np.unique(values, return_counts=True)[1]
    inside = int(counts[1:-1].max(initial=1))
    firm = [
        count >= max(_PILE, _PILED * inside) and arrivals(values == bound, data.starts) >= _ARRIVALS
        for bound, count in ((low, counts[0]), (high, counts[-1]))
    ]
    if not any(firm) or (firm[0] and column.scale == "log" and low <= 0):
        return None
    return Bound(node, column.name, low if firm[0] else None, high if firm[1] else None)


def arrivals(at: np.ndarray, starts: IntArray) -> int:
    """How often something becomes true inside a trajectory."""
    begins = at.copy()
    begins[1:] &= ~at[:-1]
    begins[starts] = False
    return int(begins.sum())


def exact_copy(
    evidence: Evidence, node: str, number: int, source: str, source_number: int, steps: int
) -> Copied | None:
    """The column of a state that is a column of one of its transition's inputs one step before.

    Longer shifts are none: no node holds the values in between.
    """
    graph, arrays = evidence.graph, evidence.trajectories.arrays
    if steps != 1 or node not in graph.states or _has_missing(evidence, node, source):
        return None
    transition = graph.next_of(node)
    column, other = graph.columns(node)[number], graph.columns(source)[source_number]
    known = graph[transition].is_learned and source in graph[transition].inputs and transition in arrays
    if not known or graph[source].history or {column.type, other.type} != {"continuous"}:
        return None
    then = arrays[source][:, source_number]
    changes = then[1:] != then[:-1]
    changes[evidence.trajectories.starts[1:] - 1] = False
    if changes.sum() < _CHANGES or not np.array_equal(arrays[transition][:, number], then):
        return None
    return Copied(node, column.name, source, other.name)


def exact_unseen(evidence: Evidence, node: str, number: int, hidden: Pairs) -> Unseen | None:
    """A column that goes one way in every trajectory, and on which no transition depends, its own included.

    hidden: (node, column number) of columns that are already known to be unseen, with which it must not be needed.
    """
    graph, data = evidence.graph, evidence.trajectories
    if _has_missing(evidence, node) or not _goes_one_way(data.arrays[node][:, number], data.starts):
        return None
    free = [name for name in _takers(graph, node) if _is_free_of(evidence, name, {*hidden, (node, number)})]
    bound = [name for name in _takers(graph, node) if name not in free]
    if graph.next_of(node) not in free or any(name not in graph.decisions for name in bound):
        return None
    return Unseen(node, graph.columns(node)[number].name, tuple(free))


def _goes_one_way(values: FloatArray, starts: IntArray) -> bool:
    steps = np.diff(values)
    steps[starts[1:] - 1] = 0.0
    return bool((steps >= 0).all() or (steps <= 0).all())


def _takers(graph: DecisionGraph, node: str) -> Iterator[str]:
    """The learned nodes that have `node`, or a history of it, among their inputs."""
    for name in graph.learned:
        if any(graph.source_of(source) == node for source in graph[name].inputs):
            yield name


def _is_free_of(evidence: Evidence, name: str, hidden: Pairs) -> bool:
    """Whether a regression of the node `name` on its inputs is as good without the `hidden` columns."""
    graph, sample = evidence.graph, evidence.small_sample
    inputs = graph[name].inputs
    if not {name, *inputs} <= {*sample.arrays}:
        return False
    y = design(sample, graph, [name])
    if name in graph.transitions and all(column.type != "category" for column in graph.columns(name)):
        y = y - sample.arrays[graph.state_of(name)]
    with_it = unexplained(design(sample, graph, inputs), y, sample.ends, neighbours=True)
    without = unexplained(design(sample, graph, inputs, hidden), y, sample.ends, neighbours=True)
    if with_it is None or without is None:
        return False
    varies = ~np.isnan(with_it)
    return bool((without[varies] <= _NO_EFFECT * with_it[varies] + _ROUNDING).all())


def _has_missing(evidence: Evidence, *nodes: str) -> bool:
    return any(node in (evidence.trajectories.missing or {}) for node in nodes)
