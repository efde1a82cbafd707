"""Detectors that look at how states change: columns that nothing acts on, columns that act on nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from revive.data.derive import is_read
from revive.data.effect_detectors import Effects
from revive.data.exact import exact_unseen
from revive.data.explained import design, unexplained
from revive.data.finding import Evidence
from revive.data.proposal import Proposal, quoted
from revive.data.trajectories import FloatArray, IntArray
from revive.graph.found import Unseen

_ALONE: Final = 0.95  # of what its own past leaves unexplained, everything else must leave this much
_WORTH_TRYING: Final = 0.8  # below it, other columns plainly matter
_PREDICTED: Final = 1e-3  # below it, its own past says everything, and nothing can be told
_PAST: Final = 3  # rows of its own past
_MONOTONE: Final = 0.9  # share of the trajectories that a cumulative column rises in, or falls in
_NO_EFFECT: Final = 1.03  # times as much that may be left unexplained without it
_FEWEST: Final = 500
MOST_STATES: Final = 40  # state columns beyond which it would take too long
_MOST_RISING: Final = 20  # columns that are tried, for the same reason


@dataclass(frozen=True)
class _Changes:
    """Rows of the sample that have a past, what is known in them, and how states change from there.

    columns: (node, number); x (n, p) everything known; delta (n, q) of the columns; past (n, q, 1 + _PAST).
    """

    evidence: Evidence

    @cached_property
    def columns(self) -> list[tuple[str, int]]:
        graph, arrays = self.evidence.graph, self.evidence.small_sample.arrays
        return [
            (node, number)
            for node in graph.states
            if is_read(graph, node) and node in arrays and graph.next_of(node) in arrays
            for number, column in enumerate(graph.columns(node))
            if column.type != "category" and not self.evidence.is_constant(node, number)
        ]

    @cached_property
    def rows(self) -> IntArray:
        sample = self.evidence.small_sample
        place = np.arange(sample.rows) - np.repeat(sample.starts, sample.lengths)
        return np.flatnonzero(place >= _PAST)

    @cached_property
    def ends(self) -> IntArray:
        sample = self.evidence.small_sample
        lengths = np.maximum(sample.lengths - _PAST, 0)
        return np.cumsum(lengths[lengths > 0])

    @cached_property
    def delta(self) -> FloatArray:
        graph, arrays, rows = self.evidence.graph, self.evidence.small_sample.arrays, self.rows
        parts = [arrays[graph.next_of(node)][rows, k] - arrays[node][rows, k] for node, k in self.columns]
        return np.column_stack(parts)

    @cached_property
    def x(self) -> FloatArray:
        graph = self.evidence.graph
        known = [n for n in (*graph.leaves, *graph.decisions) if is_read(graph, n)]
        return design(self.evidence.small_sample, graph, known)[self.rows]

    def past(self, number: int) -> FloatArray:
        """(n, 1 + _PAST) a column now and in the rows before."""
        node, k = self.columns[number]
        values = self.evidence.small_sample.arrays[node][:, k]
        return np.column_stack([values[self.rows - steps] for steps in range(_PAST + 1)])

    @property
    def enough(self) -> bool:
        return len(self.rows) >= _FEWEST and 0 < len(self.columns) <= MOST_STATES


def exogenous_columns(evidence: Evidence, effects: Effects) -> list[Proposal]:
    """State columns whose change nothing but their own past says anything about, and no action, however late.

    None where that would leave no state: then it is the action whose effect the logs do not show.
    """
    found = [*_unmoved(evidence, effects)]
    return found if len(found) < len(effects.states) else []


def _unmoved(evidence: Evidence, effects: Effects) -> Iterator[Proposal]:
    changes = _Changes(evidence)
    if not changes.enough or changes.x.shape[1] < 2:
        return
    shared = unexplained(changes.x, changes.delta, changes.ends)
    for number, (node, k) in enumerate(changes.columns):
        own = changes.past(number)
        delta = changes.delta[:, [number]]
        roughly = unexplained(own, delta, changes.ends, waves=False)
        if shared is None or roughly is None or shared[number] < _WORTH_TRYING * roughly[0]:
            continue
        left_by_past = unexplained(own, delta, changes.ends)
        if left_by_past is None or not left_by_past[0] > _PREDICTED:
            continue
        left_by_all = unexplained(np.hstack([own, changes.x]), delta, changes.ends)
        if left_by_all is None:
            continue
        ratio = float(left_by_all[0] / left_by_past[0])
        if ratio > _ALONE and not effects.acts_on((node, k)):
            name = evidence.graph.columns(node)[k].name
            yield Proposal(
                "exogenous",
                (f"{node}.{name}",),
                ratio,
                f"changes by itself: given everything else, {min(ratio, 1.0):.1%} of what its own past "
                "leaves unexplained stays unexplained",
                f"- {quoted(name)}: {{dim: {quoted(f'{name}_outside')}, type: continuous}}  "
                "# a node of its own that no next_ node computes",
            )


def cumulative_columns(evidence: Evidence) -> Iterator[Proposal]:
    """State columns that only rise, or only fall, and that no other state's change depends on."""
    changes = _Changes(evidence)
    if not changes.enough or len(changes.columns) < 2:
        return
    known = {(c.node, c.column) for c in evidence.graph.found if isinstance(c, Unseen)}
    rising = [
        number
        for number, (node, k) in enumerate(changes.columns)
        if _monotone(evidence, node, k) and _named(evidence, node, k) not in known
    ][:_MOST_RISING]
    if not rising:
        return
    hidden = [column for column in changes.columns if _named(evidence, *column) in known]
    full = unexplained(changes.x, changes.delta, changes.ends)
    for number in rising:
        node, k = changes.columns[number]
        mine = evidence.small_sample.arrays[node][changes.rows, k]
        kept = ~(changes.x == mine[:, np.newaxis]).all(axis=0)
        without = unexplained(changes.x[:, kept], changes.delta, changes.ends)
        if full is None or without is None:
            return
        others = np.arange(len(changes.columns)) != number
        worst = float(np.nanmax(without[others] / np.maximum(full[others], _PREDICTED), initial=0.0))
        if worst < _NO_EFFECT:
            name = evidence.graph.columns(node)[k].name
            change = exact_unseen(evidence, node, k, hidden)
            hidden += [(node, k)] if change else []
            yield Proposal(
                "cumulative",
                (f"{node}.{name}",),
                worst,
                f"adds up over a trajectory, and without it at most {max(worst - 1, 0):.1%} more of any "
                "other change is unexplained",
                f"- {quoted(name)}: {{dim: {quoted(f'{name}_total')}, type: continuous}}  "
                "# a node of its own: next_ of it takes it, nothing else does",
                change,
            )


def _named(evidence: Evidence, node: str, k: int) -> tuple[str, str]:
    return node, evidence.graph.columns(node)[k].name


def _monotone(evidence: Evidence, node: str, k: int) -> bool:
    """Whether the column goes one way in most trajectories, and the same way in all of these."""
    sample = evidence.small_sample
    values = sample.arrays[node][:, k]
    steps = np.diff(values)
    inside = np.ones(len(steps), dtype=bool)
    inside[sample.ends[:-1] - 1] = False
    owner = np.repeat(np.arange(sample.count), sample.lengths)[:-1][inside]
    signs = np.sign(steps[inside])
    moves = np.bincount(owner, signs != 0, minlength=sample.count)
    for sign in (1, -1):
        against = np.bincount(owner, signs == -sign, minlength=sample.count)
        if ((against == 0) & (moves > 0)).mean() >= _MONOTONE:
            return True
    return False
