"""What can be wrong with the values of a data set; every finding names node, column, trajectory and row.

A first pass over blocks of rows finds the columns with something wrong in them, in memory that does not grow
with the data; only those are looked at value by value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from revive.data.extremes import extremes
from revive.data.parallel import each, spans
from revive.data.trajectories import BoolArray, FloatArray, IntArray
from revive.errors import Problems
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

_SHIFT_RTOL: Final = 1e-4  # what X[t+1] and next_X[t] may differ by, of the value
_ROUNDING: Final = 1e-6  # what float32 files may exceed a bound by, of its size
_GRID: Final = 1e-3  # what a discrete value may be off, of one step
_SHOWN: Final = 3  # rows or values named in one message
_BLOCK: Final = 1 << 12  # rows looked at together
_COMPARED: Final = 1 << 14  # rows compared at once where they should be equal; a multiple of _BLOCK
_SPAN: Final = 1 << 17  # rows that are worth a thread of their own


@dataclass(frozen=True)
class ValueChecks:
    """Checks of the values of well-formed arrays. `ends` None: the trajectories are not known.

    `masked`: NaN is a missing value and no finding. `ranges`: the extremes of arrays where they are known.
    `breaks`: where to add transitions that contradict the next row; None: to `problems` as well.
    """

    graph: DecisionGraph
    arrays: Mapping[str, FloatArray]
    ends: IntArray | None
    source: str
    problems: Problems
    masked: bool = False
    ranges: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    breaks: Problems | None = None

    def run(self) -> None:
        """Adds every finding to `problems`."""
        for name, array in self.arrays.items():
            for number in self._suspects(name, array):
                self._check_column(name, self.graph.columns(name)[number], array[:, number])
        if self.ends is not None:
            for transition in self.graph.transitions:
                if transition in self.arrays and self.graph.state_of(transition) in self.arrays:
                    self._check_shift(transition, self.ends)

    def _suspects(self, name: str, array: FloatArray) -> list[int]:
        """The numbers of the columns that hold anything illegal, or not finite."""
        columns = self.graph.columns(name)
        if not len(array):
            return []
        low, high = self.ranges[name] if name in self.ranges else extremes(array)
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(low) & np.isfinite(high)
        floor = np.array([_floor(column) for column in columns])
        ceiling = np.array([_ceiling(column) for column in columns])
        suspect = ~finite | (low < floor) | (high > ceiling)
        for number, column in enumerate(columns):
            if column.choices is not None and not suspect[number]:
                suspect[number] = any((~_legal(block[:, number], column)).any() for block in _blocks(array))
        return [int(number) for number in np.flatnonzero(suspect)]

    def _check_column(self, name: str, column: Column, values: FloatArray) -> None:
        finite = np.isfinite(values)
        if self.masked:
            infinite = np.isinf(values)
            if infinite.any():
                self._add(name, column, infinite, "is infinite", "write NaN where a value is missing")
        elif not finite.all():
            remedy = "fill or drop these rows, or set missing: mask"
            self._add(name, column, ~finite, "is NaN or infinite", remedy)
        self._check_legal(name, column, values, finite)

    def _check_legal(self, name: str, column: Column, values: FloatArray, finite: BoolArray) -> None:
        if column.choices is not None:
            odd = finite & ~_legal(values, column)
            if odd.any():
                shown = _shown([f"{value:g}" for value in np.unique(values[odd])])
                remedy = "declare what occurs" if column.type == "category" else "correct min, max and num"
                what = f"is {shown}, none of its {len(column.choices)} declared values"
                self._add(name, column, odd, what, remedy)
            return
        for key, illegal in (("min", values < _floor(column)), ("max", values > _ceiling(column))):
            beyond = illegal & finite
            if beyond.any():
                worst = values[beyond].max() if key == "max" else values[beyond].min()
                what = f"goes to {worst:g}, beyond its declared {key} {getattr(column, key):g}"
                self._add(name, column, beyond, what, f"correct '{key}' or the data")

    def _check_shift(self, transition: str, ends: IntArray) -> None:
        state = self.graph.state_of(transition)
        now, following = self.arrays[state], self.arrays[transition]
        if len(now) != len(following) or len(now) != ends[-1] or now.shape != following.shape:
            return
        borders = ends[:-1] - 1
        wrong: dict[int, BoolArray] = {}
        for start in _differing(now, following, borders):
            stop = min(start + _BLOCK, len(now) - 1)
            off = _apart(now[start + 1 : stop + 1], following[start:stop])
            off[_within(borders, start, stop)] = False
            for number in np.flatnonzero(off.any(axis=0)).tolist():
                mask = wrong.setdefault(number, np.zeros(len(now), dtype=bool))
                mask[start:stop] = off[:, number]
        for number, mask in sorted(wrong.items()):
            row = int(np.argmax(mask))
            is_, next_ = following[row, number], now[row + 1, number]
            what = f"is {is_:g}, but '{state}' in the row after it is {next_:g}"
            remedy = "a trajectory that breaks off belongs into 'index'; or write dataset.ignore_check=true"
            column = self.graph.columns(state)[number]
            self._add(transition, column, mask, what, remedy, self.breaks)

    def _add(
        self,
        node: str,
        column: Column,
        wrong: BoolArray,
        what: str,
        remedy: str,
        problems: Problems | None = None,
    ) -> None:
        rows = np.flatnonzero(wrong)
        place = f"{node}.{column.name}, {self._where(int(rows[0]))}"
        shown = _shown([str(row) for row in rows[: _SHOWN + 1]])
        more = f" (in {len(rows)} rows: {shown})" if len(rows) > 1 else ""
        what = f"'{column.name}' of '{node}' {what}{more}"
        wanted = self.problems if problems is None else problems
        wanted.add(what, file=self.source, place=place, remedy=remedy)

    def _where(self, row: int) -> str:
        if self.ends is None:
            return f"row {row}"
        owner = int(np.searchsorted(self.ends, row, side="right"))
        start = int(self.ends[owner - 1]) if owner else 0
        return f"row {row} (trajectory {owner}, its row {row - start})"


def _blocks(array: FloatArray) -> Iterator[FloatArray]:
    return (array[start : start + _BLOCK] for start in range(0, len(array), _BLOCK))


def _differing(now: FloatArray, following: FloatArray, borders: IntArray) -> list[int]:
    """The first rows of the blocks in which a row and the successor that is told for it are not equal.

    `borders` are the rows whose successor is not the row behind them.
    """

    def found(span: tuple[int, int]) -> list[int]:
        blocks: list[int] = []
        differs = np.empty((min(_COMPARED, span[1] - span[0]), now.shape[1]), dtype=bool)
        for start in range(*span, _COMPARED):
            stop = min(start + _COMPARED, span[1])
            off = np.not_equal(now[start + 1 : stop + 1], following[start:stop], out=differs[: stop - start])
            off[_within(borders, start, stop)] = False
            if off.any():
                pieces = range(0, stop - start, _BLOCK)
                blocks += [start + piece for piece in pieces if off[piece : piece + _BLOCK].any()]
        return blocks

    return [block for blocks in each(found, spans(len(now) - 1, _SPAN)) for block in blocks]


def _within(borders: IntArray, start: int, stop: int) -> IntArray:
    """Those of the rising rows `borders` that lie between two rows, counted from the first of these."""
    first, last = np.searchsorted(borders, [start, stop])
    return borders[first:last] - start


def _size(column: Column) -> float:
    """How large the bounds of a column are, for what rounding may do to them."""
    bounds = [abs(bound) for bound in (column.min, column.max) if bound is not None]
    return max([*bounds, abs((column.max or 0.0) - (column.min or 0.0))])


def _floor(column: Column) -> float:
    bound = None if column.choices is not None else column.min
    return -np.inf if bound is None else bound - _ROUNDING * _size(column)


def _ceiling(column: Column) -> float:
    bound = None if column.choices is not None else column.max
    return np.inf if bound is None else bound + _ROUNDING * _size(column)


def _legal(values: FloatArray, column: Column) -> BoolArray:
    """(N,) whether each value is one of the column's choices, within rounding; False for NaN."""
    choices = np.sort(np.asarray(column.choices, dtype=np.float64))
    step = np.diff(choices).mean() if column.type == "discrete" else 0.0
    right = np.clip(np.searchsorted(choices, values), 1, len(choices) - 1) if len(choices) > 1 else 0
    left, above = choices[np.maximum(right - 1, 0)], choices[right]
    with np.errstate(invalid="ignore"):
        near = np.where(np.abs(values - left) <= np.abs(above - values), left, above)
        return np.asarray(np.abs(values - near) <= _GRID * step + _ROUNDING * np.abs(near))


def _apart(a: FloatArray, b: FloatArray) -> BoolArray:
    """(n, d) where two known values differ by more than rounding does."""
    both = np.isfinite(a) & np.isfinite(b)
    scale = np.abs(a).max(axis=0, initial=0.0, where=both)
    with np.errstate(invalid="ignore", over="ignore"):
        return both & (np.abs(a - b) > _SHIFT_RTOL * np.abs(a) + _ROUNDING * scale)


def _shown(items: list[str]) -> str:
    return ", ".join(items[:_SHOWN]) + (", ..." if len(items) > _SHOWN else "")
