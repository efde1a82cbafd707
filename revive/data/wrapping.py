"""Columns that leap from one end of their range to the other: angles, and counters that run over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from revive.data.finding import Evidence, Finding, counted, warning
from revive.data.trajectories import FloatArray, IntArray

_TURNS: Final = (2 * np.pi, 24.0, 360.0)
_FULL: Final = (*(10.0**n for n in range(2, 13)), *(2.0**n for n in (8, 12, 14, 15, 16, 24, 31, 32)))
_LEAP: Final = 0.7  # of the whole turn: a step that goes over its end
_STEP: Final = 0.2  # of the whole turn, that all other steps stay below
_NEAR: Final = 0.05  # of the whole turn, that the values may leave out
_FEWEST: Final = 50  # rows


def wrapping_columns(evidence: Evidence) -> Iterator[Finding]:
    """Continuous states that begin anew at the other end of their range, which no network follows well."""
    graph, data = evidence.graph, evidence.trajectories
    for node, number, column in evidence.logged():
        if node in graph.decisions or column.type != "continuous" or column.scale == "cyclic":
            continue
        values = data.arrays[node][:, number]
        turn, leaps, rises = _turn(values, data.ends)
        if not turn:
            continue
        if rises:
            what = f"'{column.name}' only rises, and falls back by nearly {turn:.6g} in {counted(leaps, 'row')}: "
            what += "a counter that runs over?"
            remedy = "log what it rises by from row to row; or leave it out of the description"
        else:
            what = (
                f"'{column.name}' leaps over the ends of its range of {turn:.4g} in {counted(leaps, 'row')}: "
            )
            what += "an angle?"
            remedy = f"in its column: scale: cyclic, period: {turn:.6g}"
        yield warning("wraps", what, remedy, node, column.name)


def _turn(values: FloatArray, ends: IntArray) -> tuple[float, int, bool]:
    """The whole turn of a column (N,), how often it leaps over its end, and whether it only rises; 0 for none."""
    if len(values) < _FEWEST or not np.isfinite(values).all():
        return 0.0, 0, False
    span = float(np.ptp(values))
    inside = np.ones(len(values) - 1, dtype=bool)
    inside[ends[:-1] - 1] = False
    steps = np.diff(values)[inside]
    for turn in (*_TURNS, *_FULL):
        if not (1 - _NEAR) * turn <= span <= turn * (1 + 1e-9):
            continue
        leaps = np.abs(steps) > _LEAP * turn
        rest = steps[~leaps]
        if not leaps.any() or not len(rest) or np.abs(rest).max() > _STEP * turn:
            continue
        rises = bool((rest >= 0).all() and (steps[leaps] < 0).all())
        if rises or turn in _TURNS:
            return turn, int(leaps.sum()), rises and turn not in _TURNS
    return 0.0, 0, False
