"""Trajectories on an even grid of times, where their log has rows whenever something changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from revive.data.trajectories import BoolArray, FloatArray, IntArray
from revive.errors import Problem, UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

How = Literal["last", "mean", "linear"]
HOWS: Final = ("last", "mean", "linear")
_UNITS: Final = {"ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PERIOD: Final = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*$")
_MOST: Final = 100  # rows made of one logged row, on the average, beyond which the period is surely wrong


def period_of(text: str | float) -> tuple[float, bool]:
    """A period such as 60, `60s` or `5min`, and whether it has a unit; in seconds then.

    Raises ValueError for what is no period.
    """
    found = _PERIOD.match(str(text).lower())
    if not found or float(found[1]) <= 0 or (found[2] and found[2] not in _UNITS):
        raise ValueError(f"'{text}' is no period")
    return float(found[1]) * _UNITS.get(found[2], 1.0), bool(found[2])


def default_how(graph: DecisionGraph, node: str, column: Column) -> How:
    """Decisions, categories and discrete columns hold their last value; what is measured is interpolated."""
    held = column.type != "continuous" or node in graph.decisions
    return "last" if held else "linear"


class Grid:
    """The grid of `period` from the first time of each trajectory on, and where its rows lie in the log.

    time: (N,) rising inside each trajectory; ends: (K,). `times` (M,) and `ends` (K,) are those of the grid.
    Raises UserError where the grid would have far more rows than the log.
    """

    def __init__(self, time: FloatArray, ends: IntArray, period: float, source: str) -> None:
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        spans = time[ends - 1] - time[starts]
        counts = np.floor(spans / period * (1 + 1e-12) + 1e-9).astype(np.int64) + 1
        if counts.sum() > _MOST * len(time):
            what = f"a period of {period:g} would make {int(counts.sum())} rows of {len(time)}"
            remedy = "choose a longer period, or cut where nothing was logged: dataset.gap"
            raise UserError(Problem(what, source, "dataset.resample", remedy))
        self.ends = np.cumsum(counts)
        first = np.repeat(self.ends - counts, counts)
        self._owner = np.repeat(np.arange(len(ends)), counts)
        self.times = time[starts][self._owner] + period * (np.arange(len(first)) - first)
        self._time, self._starts, self._period = time, starts, period
        self._row = self._rows_at(self.times, ends)

    def _rows_at(self, times: FloatArray, ends: IntArray) -> IntArray:
        """(M,) the last row of the own trajectory that is not later than each of `times`."""
        rows = np.empty(len(times), np.int64)
        stops = self.ends
        for number, (start, end) in enumerate(zip(self._starts, ends, strict=True)):
            begin = stops[number - 1] if number else 0
            near = times[begin : stops[number]] + 1e-9 * self._period
            rows[begin : stops[number]] = (
                start + np.searchsorted(self._time[start:end], near, side="right") - 1
            )
        return rows

    def column(self, values: FloatArray, how: How) -> FloatArray:
        """(M,) the values (N,; NaN where nothing was logged) of a column on the grid; NaN where none is known.

        last: the last known value. linear: between the known values before and behind. mean: of the known values
        since the grid time before, and linear where there are none.
        """
        known = ~np.isnan(values)
        last = self._neighbour(known)
        if how == "last":
            return np.where(last >= 0, values[last], np.nan)
        line = self._line(values, known, last)
        if how == "linear":
            return line
        return self._mean(values, known, line)

    def _neighbour(self, known: BoolArray) -> IntArray:
        """(M,) the last known row of the own trajectory up to each grid time, -1 where there is none."""
        rows = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))[self._row]
        return np.where(rows >= self._starts[self._owner], rows, -1)

    def _line(self, values: FloatArray, known: BoolArray, last: IntArray) -> FloatArray:
        count = len(values)
        ahead = np.minimum.accumulate(np.where(known, np.arange(count), count)[::-1])[::-1]
        following = np.append(ahead, count)[np.where(last >= 0, last + 1, self._row)]
        stop = np.append(self._starts[1:], count)[self._owner]
        held = (following >= stop) | (last < 0)
        right = np.where(following < stop, following, last)
        left = np.where(last >= 0, last, right)
        before, behind = self._time[left], self._time[right]
        share = np.where(
            behind > before, (self.times - before) / np.where(behind > before, behind - before, 1), 0.0
        )
        line = values[left] + np.clip(share, 0, 1) * (values[right] - values[left])
        line = np.where(held & (last >= 0), values[left], line)
        return np.where(last >= 0, line, np.nan)

    def _mean(self, values: FloatArray, known: BoolArray, line: FloatArray) -> FloatArray:
        sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
        counts = np.concatenate([[0], np.cumsum(known)])
        begin = np.append(-1, self._row[:-1])
        fresh = np.append(True, np.diff(self._owner) > 0)
        begin = np.where(fresh, self._row - 1, begin)
        number = counts[self._row + 1] - counts[begin + 1]
        total = sums[self._row + 1] - sums[begin + 1]
        return np.where(number > 0, total / np.maximum(number, 1), line)


def resampled(
    graph: DecisionGraph,
    arrays: Mapping[str, FloatArray],
    grid: Grid,
    hows: Mapping[str, How],
) -> dict[str, FloatArray]:
    """Node -> (M, d) on the grid; `hows`: column -> how, for those that are not as `default_how` says."""
    found = {}
    for node, array in arrays.items():
        columns = graph.columns(node)
        parts = [
            grid.column(array[:, number], hows.get(column.name, default_how(graph, node, column)))
            for number, column in enumerate(columns)
        ]
        found[node] = np.column_stack(parts)
    return found
