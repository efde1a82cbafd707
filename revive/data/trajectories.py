"""Logged trajectories in physical units, one array per node."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Trajectories:
    """Rows of all trajectories, one after the other.

    arrays:  node -> (N, d) float64 in physical units, columns in the order of the description
    ends:    (K,) int64, the row behind each trajectory, rising, the last one N
    missing: node -> (N, d) bool, true where the log held no value; None where every value is known
    time:    (N,) seconds, or the unit of the log's own time column; None where the log tells no time

    Arrays are shared, never copied: do not write into them. Raises ValueError where the shapes disagree.
    """

    arrays: Mapping[str, FloatArray]
    ends: IntArray
    missing: Mapping[str, BoolArray] | None = None
    time: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.ends.ndim != 1 or len(self.ends) == 0 or np.any(np.diff(self.ends, prepend=0) <= 0):
            raise ValueError(f"ends {self.ends} are not a rising sequence of rows")
        shapes = {name: array.shape for name, array in self.arrays.items()}
        wrong = {name: shape for name, shape in shapes.items() if len(shape) != 2 or shape[0] != self.rows}
        if wrong:
            raise ValueError(f"arrays {wrong} do not have {self.rows} rows")
        for name, mask in (self.missing or {}).items():
            if mask.shape != shapes.get(name):
                raise ValueError(f"mask of '{name}' is {mask.shape}, its array {shapes.get(name)}")
        if self.time is not None and self.time.shape != (self.rows,):
            raise ValueError(f"time is {self.time.shape}, wanted ({self.rows},)")

    @property
    def rows(self) -> int:
        """The number of rows N of all trajectories together."""
        return int(self.ends[-1])

    @property
    def count(self) -> int:
        """The number of trajectories K."""
        return len(self.ends)

    @property
    def starts(self) -> IntArray:
        """(K,) the first row of each trajectory."""
        return np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])

    @property
    def lengths(self) -> IntArray:
        """(K,) the number of rows of each trajectory."""
        return np.diff(self.ends, prepend=0)

    def select(self, ids: Sequence[int] | IntArray) -> Trajectories:
        """The trajectories `ids`, in that order. Raises IndexError for an id that there is not."""
        chosen = np.asarray(ids, dtype=np.int64)
        return self._taken(self.starts[chosen], self.ends[chosen])

    def cut(self, pieces: Sequence[tuple[int, int]]) -> Trajectories:
        """A trajectory for each piece `(first row, row behind)`, in that order.

        Raises ValueError for a piece that is empty or crosses the border of two trajectories.
        """
        for start, end in pieces:
            owner = int(np.searchsorted(self.ends, start, side="right"))
            if not 0 <= start < end <= self.rows or end > self.ends[owner]:
                raise ValueError(f"rows {start} to {end} are not part of one trajectory")
        bounds = np.asarray(pieces, dtype=np.int64).reshape(-1, 2)
        return self._taken(bounds[:, 0], bounds[:, 1])

    def owner(self, row: int) -> int:
        """The id of the trajectory that holds `row`."""
        return int(np.searchsorted(self.ends, row, side="right"))

    def _taken(self, starts: IntArray, ends: IntArray) -> Trajectories:
        """The rows from each start to its end; neighbours are copied as one run, a single run not at all."""
        fresh = np.append(True, starts[1:] != ends[:-1]) if len(starts) else np.zeros(0, bool)
        first = np.flatnonzero(fresh)
        last = np.append(first[1:], len(starts))[: len(first)] - 1
        runs = [slice(int(starts[a]), int(ends[b])) for a, b in zip(first, last, strict=True)]
        missing = None if self.missing is None else {k: _rows(mask, runs) for k, mask in self.missing.items()}
        arrays = {name: _rows(array, runs) for name, array in self.arrays.items()}
        time = None if self.time is None else _rows(self.time, runs)
        return Trajectories(arrays, np.cumsum(ends - starts, dtype=np.int64), missing, time)

    def hash(self) -> str:
        """The sha256 (hex) of names, types, shapes and values; the same whatever file they came from."""
        digest = hashlib.sha256()
        parts: dict[str, np.ndarray] = {f"array {name}": array for name, array in self.arrays.items()}
        parts |= {f"missing {name}": mask for name, mask in (self.missing or {}).items()}
        timed = [] if self.time is None else [("time", self.time)]
        for label, array in [*sorted(parts.items()), ("ends", self.ends), *timed]:
            plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{label} {plain.dtype.str} {plain.shape}\n".encode())
            digest.update(plain.data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        widths = ", ".join(f"{name}[{array.shape[1]}]" for name, array in self.arrays.items())
        shortest, longest = int(self.lengths.min()), int(self.lengths.max())
        length = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        masked = f", {sum(int(mask.sum()) for mask in self.missing.values())} missing" if self.missing else ""
        return f"Trajectories({self.count} of {length} rows, {self.rows} in all{masked}: {widths})"


def _rows(array: NDArray, runs: Sequence[slice]) -> NDArray:
    if len(runs) == 1:
        return array[runs[0]]
    return np.concatenate([array[run] for run in runs]) if runs else array[:0]
