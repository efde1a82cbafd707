"""Where trajectories end: by `index`, by a column that names them, by files, by gaps in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from revive.data.readers.options import ReadOptions
from revive.data.trajectories import FloatArray, IntArray
from revive.errors import Problem, Problems

_ENDS = "index holds, for each trajectory, the row behind its last one"
_STARTS = "with index: starts it holds the first row of each trajectory"


def plain_time(time: np.ndarray | None) -> FloatArray | None:
    """Times of any type as (N,) seconds, or in the unit that the numbers have."""
    if time is None:
        return None
    flat = time.reshape(-1)
    if flat.dtype.kind == "M":
        return flat.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.asarray(flat, dtype=np.float64)


@dataclass(frozen=True)
class Ends:
    """Finds the ends of `rows` rows. `pieces`: where the container separates trajectories by itself."""

    rows: int
    options: ReadOptions
    source: str
    problems: Problems
    pieces: IntArray | None
    is_table: bool

    def find(
        self, index: np.ndarray | None, trajectory: np.ndarray | None, time: FloatArray | None
    ) -> IntArray | None:
        """(K,) ends, or None and a problem where they cannot be told."""
        ends = self._base(index, trajectory, time is not None and self.options.gap is not None)
        if ends is None or time is None:
            return ends
        if not np.isfinite(time).all():
            row = int(np.argmin(np.isfinite(time)))
            self._add(f"'{self.options.time}' is missing in row {row}", "time", "every row needs a time")
            return ends
        return self._cut_by_time(ends, time)

    def _base(self, index: np.ndarray | None, trajectory: np.ndarray | None, timed: bool) -> IntArray | None:
        whole = np.array([self.rows], dtype=np.int64)
        if trajectory is not None:
            return self._by_name(whole if self.pieces is None else self.pieces, trajectory)
        if self.pieces is not None:
            return self.pieces
        if index is None and (self.is_table or timed):
            return whole
        return index_ends(index, self.rows, self.options.index, self.source, self.problems)

    def _by_name(self, pieces: IntArray, trajectory: np.ndarray) -> IntArray | None:
        names = trajectory.reshape(-1)
        if len(names) != self.rows:
            what = f"'{self.options.trajectory}' has {len(names)} rows, the others {self.rows}"
            self._add(what, "trajectory", "it needs a value for each row")
            return None
        if names.dtype.kind == "f" and np.isnan(names).any():
            row = int(np.argmax(np.isnan(names)))
            what = f"'{self.options.trajectory}' is missing in row {row}"
            self._add(what, "trajectory", "every row needs its trajectory")
            return None
        fresh = np.append(names[1:] != names[:-1], True)
        fresh[pieces - 1] = True
        ends = np.flatnonzero(fresh) + 1
        piece = np.searchsorted(pieces, ends, side="left")
        codes = np.unique(names[ends - 1], return_inverse=True)[1].reshape(-1)
        order = np.lexsort((ends, codes, piece))
        again = (np.diff(codes[order]) == 0) & (np.diff(piece[order]) == 0)
        if again.any():
            late = int(ends[order[1:][again]].min())
            first = int(ends[np.searchsorted(ends, late) - 1])
            what = f"the trajectory of row {first} has rows before, and others lie between"
            self._add(what, f"trajectory, row {first}", "sort the rows by trajectory, then by time")
            return None
        return ends.astype(np.int64)

    def _cut_by_time(self, ends: IntArray, time: FloatArray) -> IntArray:
        if len(time) != self.rows:
            what = f"'{self.options.time}' has {len(time)} rows, the others {self.rows}"
            self._add(what, "time", "it needs a value for each row")
            return ends
        steps = np.diff(time)
        steps[ends[:-1] - 1] = 0.0
        if (steps < 0).any():
            row = int(np.argmax(steps < 0)) + 1
            named = "name what tells trajectories: dataset.trajectory=COLUMN (new: --trajectory COLUMN)"
            remedy = f"sort the rows by time, or {named}"
            self._add(f"'{self.options.time}' falls in row {row}", f"time, row {row}", remedy)
            return ends
        if self.options.gap is None:
            return ends
        return np.union1d(ends, np.flatnonzero(steps > self.options.gap) + 1)

    def _add(self, what: str, place: str, remedy: str) -> None:
        self.problems.add(what, file=self.source, place=place, remedy=remedy)


def index_ends(
    index: np.ndarray | None, rows: int | None, meaning: str, source: str, problems: Problems
) -> IntArray | None:
    """`index` as (K,) int64 ends, or None and a problem where it is unusable. `rows` None: not known."""
    faulty = _shape_problem(index, rows)
    if faulty is None and index is not None:
        values = index.astype(np.int64)
        if meaning == "ends":
            faulty = _ends_problem(values, rows)
        else:
            faulty = _starts_problem(values, rows)
            values = np.append(values[1:], values[-1] if rows is None else rows)
        if faulty is None:
            return values
    assert faulty is not None
    problems.add(faulty.what, file=source, place="index", remedy=faulty.remedy)
    return None


def _shape_problem(index: np.ndarray | None, rows: int | None) -> Problem | None:
    if index is None:
        one = "np.array([number of rows])" if rows is None else f"np.array([{rows}])"
        remedy = f"{_ENDS}; for a single trajectory: index = {one}"
        return Problem("the array 'index' is missing", remedy=remedy)
    if index.dtype.kind not in "iuf":
        return Problem("'index' does not hold whole numbers", remedy=_ENDS)
    if index.ndim != 1 or len(index) == 0:
        return Problem(f"'index' has the shape {index.shape}", remedy=f"wanted: (trajectories,); {_ENDS}")
    wide = index.astype(np.float64)  # half precision knows no 2**62
    if not np.all(np.isfinite(wide)) or np.any(wide != np.floor(wide)) or np.any(np.abs(wide) > 2.0**62):
        return Problem("'index' does not hold whole numbers", remedy=_ENDS)
    return None


def _ends_problem(index: IntArray, rows: int | None) -> Problem | None:
    if index[0] == 0 and rows is not None and index[-1] < rows:
        what = "'index' starts at row 0, as if it held the beginnings"
        return Problem(what, remedy=f"if it does, set index: starts; else {_ENDS}: drop 0, add {rows}")
    faulty = _rise_problem(index, 0, _ENDS)
    if faulty is None and rows is not None and index[-1] != rows:
        return Problem(f"'index' ends at row {int(index[-1])}, but there are {rows} rows", remedy=_ENDS)
    return faulty


def _starts_problem(index: IntArray, rows: int | None) -> Problem | None:
    if index[0] != 0:
        ends = rows is not None and index[-1] == rows
        remedy = "it looks like the ends: set index: ends" if ends else _STARTS
        return Problem(f"'index' starts at row {int(index[0])}, not at row 0", remedy=remedy)
    faulty = _rise_problem(index, -1, _STARTS)
    if faulty is None and rows is not None and index[-1] >= rows:
        what = f"the last trajectory of 'index' starts at row {int(index[-1])}, but there are {rows} rows"
        return Problem(what, remedy=_STARTS)
    return faulty


def _rise_problem(index: IntArray, before: int, meaning: str) -> Problem | None:
    falls = np.append(index[:1] <= before, index[1:] <= index[:-1])
    if not falls.any():
        return None
    first = int(np.argmax(falls))
    behind = f" after {int(index[first - 1])}" if first else ""
    return Problem(f"'index' does not rise: entry {first} is {int(index[first])}{behind}", remedy=meaning)
