"""Where trajectories end: by `index`, by columns that name them, by files, by `done`, by gaps in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from revive.data.readers.container import DONE, RESETS
from revive.data.readers.options import ReadOptions
from revive.data.readers.order import fall_remedy
from revive.data.readers.rows import finished
from revive.data.trajectories import FloatArray, IntArray
from revive.errors import Problem, Problems

BY_GAPS = "by gaps in"  # the times of which column told them
EACH_FILE = "a file for each"  # what tells the trajectories of a folder of tables
_ENDS = "index holds, for each trajectory, the row behind its last one"
_STARTS = "with index: starts it holds the first row of each trajectory"


def plain_time(time: np.ndarray | None) -> FloatArray | None:
    """Times of any type as (N,) seconds, or in the unit that the numbers have."""
    return None if time is None else _plain(time)


def _plain(time: np.ndarray) -> FloatArray:
    flat = time.reshape(-1)
    if flat.dtype.kind == "M":
        return flat.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.asarray(flat, dtype=np.float64)


@dataclass(frozen=True)
class Found:
    """ends: (K,) the row behind each trajectory. by: what tells them, as a phrase; empty where nothing does."""

    ends: IntArray
    by: str


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
        self,
        labels: Mapping[str, np.ndarray],
        names: IntArray | None,
        times: Callable[[IntArray], FloatArray] | None,
    ) -> Found | None:
        """Where trajectories end, or None and a problem where it cannot be told.

        names: (N,) a number for each. times: from the ends (K,) of trajectories to the times of rows (N,).
        """
        counts = len(self.problems)
        found = self._base(labels, names, times is not None and self.options.gap is not None)
        if found is None or len(self.problems) > counts or times is None:
            return found
        time = times(found.ends)
        if not np.isfinite(time).all():
            row = int(np.argmin(np.isfinite(time)))
            self._add(f"'{self.options.time}' is missing in row {row}", "time", "every row needs a time")
            return found
        ends = self._cut_by_time(found.ends, time)
        if len(ends) == len(found.ends):
            return found
        gaps = f"{BY_GAPS} '{self.options.time}'"
        return Found(ends, f"{found.by}, and {gaps}" if found.by else gaps)

    def _base(self, labels: Mapping[str, np.ndarray], names: IntArray | None, timed: bool) -> Found | None:
        own = None if self.pieces is None or (self.is_table and len(self.pieces) == 1) else self.pieces
        told = [] if own is None else [Found(own, EACH_FILE if self.is_table else "episodes of the file")]
        if names is not None:
            ends = self._by_name(own, names)
            told = [Found(ends, f"by '{', '.join(self.options.trajectories)}'")] if ends is not None else told
        elif own is None and not self.is_table and labels.get("index") is not None:
            ends = index_ends(labels["index"], self.rows, self.options.index, self.source, self.problems)
            if ends is None:
                return None
            told = [Found(ends, "by 'index'")]
        if self.options.done is not None or not told:
            told += self._marked(labels)
        if RESETS in labels:
            falls = np.flatnonzero(np.diff(_plain(labels[RESETS])) < 0) + 1
            told.append(Found(np.append(falls, self.rows), f"where '{self.options.resets}' falls back"))
        if told:
            ends = np.unique(np.concatenate([found.ends for found in told])).astype(np.int64)
            return Found(ends, ", ".join(found.by for found in told))
        if self.is_table or timed:
            return Found(np.array([self.rows], dtype=np.int64), "")
        if self.options.done is None:
            index_ends(None, self.rows, self.options.index, self.source, self.problems)
            return None
        return Found(np.array([self.rows], dtype=np.int64), "")

    def _marked(self, labels: Mapping[str, np.ndarray]) -> list[Found]:
        """The ends that a mark such as `done` tells."""
        marked = finished(labels, self.rows, self.problems, self.source)
        if marked is None:
            return []
        names = ", ".join(role.partition(":")[2] for role in labels if role.partition(":")[0] == DONE)
        return [
            Found(np.union1d(np.flatnonzero(marked) + 1, self.rows).astype(np.int64), f"where '{names}' is 1")
        ]

    def _by_name(self, pieces: IntArray | None, names: IntArray) -> IntArray | None:
        shown = ", ".join(self.options.trajectories)
        if len(names) != self.rows:
            self._add(
                f"'{shown}' has {len(names)} rows, the others {self.rows}",
                "trajectory",
                "it needs a value for each row",
            )
            return None
        fresh = np.append(names[1:] != names[:-1], True)
        if pieces is not None:
            fresh[pieces - 1] = True
        return np.flatnonzero(fresh).astype(np.int64) + 1

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
            remedy = fall_remedy(time, row) or f"sort the rows by time, or {named}"
            self._add(f"'{self.options.time}' falls in row {row}", f"time, row {row}", remedy)
            return ends
        if self.options.gap is None:
            return ends
        if (steps > 0).any() and self.options.gap < (usual := float(np.median(steps[steps > 0]))):
            what = (
                f"'gap' is {self.options.gap:g}, less than the usual step of '{self.options.time}', {usual:g}"
            )
            self._add(what, "dataset.gap", "it parts rows that are further from each other than usual")
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
        remedy = f"{_ENDS}; for a single trajectory: index = {one}. Or name what tells them: "
        remedy += "dataset.trajectory=NAME (a number for each), dataset.done=[NAME] (1 in the last row)"
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
