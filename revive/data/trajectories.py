"""Logged trajectories in physical units, one array per node."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revive.data.gathered import Gathered, shapes_of

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
    unused_times: what the log holds that looks like the time of a row, where none was named
    step_seconds: how long a step usually takes; None where the log does not tell it, or steps are uneven
    told_by: what said where trajectories end, as a phrase; empty where nothing did, and there is one

    Arrays are shared: do not write into them. Parts that are not one run of rows copy an array when it is
    first asked for. Raises ValueError where the shapes disagree.
    """

    arrays: Mapping[str, FloatArray]
    ends: IntArray
    missing: Mapping[str, BoolArray] | None = None
    time: FloatArray | None = None
    told_by: str = ""
    unused_times: tuple[str, ...] = ()
    step_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.ends.ndim != 1 or len(self.ends) == 0 or np.any(np.diff(self.ends, prepend=0) <= 0):
            raise ValueError(f"ends {self.ends} are not a rising sequence of rows")
        shapes = shapes_of(self.arrays)
        wrong = {name: shape for name, shape in shapes.items() if len(shape) != 2 or shape[0] != self.rows}
        if wrong:
            raise ValueError(f"arrays {wrong} do not have {self.rows} rows")
        for name, shape in shapes_of(self.missing or {}).items():
            if shape != shapes.get(name):
                raise ValueError(f"mask of '{name}' is {shape}, its array {shapes.get(name)}")
        if self.time is not None and self.time.shape != (self.rows,):
            raise ValueError(f"time is {self.time.shape}, wanted ({self.rows},)")

    @property
    def rows(self) -> int:
        """The number of rows N of all trajectories together."""
        return int(self.ends[-1])

    @property
    def follows_on(self) -> bool:
        """Whether most trajectories begin where the one before ends, as those of files cut at midnight do."""
        if self.time is None or self.count < 2:
            return False
        inner = np.delete(np.diff(self.time), self.ends[:-1] - 1)
        between = self.time[self.ends[:-1]] - self.time[self.ends[:-1] - 1]
        # the last row of each may have been dropped, for want of a successor
        return bool(len(inner) and ((between > 0) & (between <= 2.5 * np.median(inner))).mean() > 0.5)

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
        starts, ends = np.asarray(pieces, dtype=np.int64).reshape(-1, 2).T
        owner = np.searchsorted(self.ends, starts, side="right")
        inside = (starts >= 0) & (starts < ends) & (ends <= self.ends[np.minimum(owner, self.count - 1)])
        if not inside.all():
            start, end = pieces[int(np.argmin(inside))]
            raise ValueError(f"rows {start} to {end} are not part of one trajectory")
        return self._taken(starts, ends)

    def owner(self, row: int) -> int:
        """The id of the trajectory that holds `row`."""
        return int(np.searchsorted(self.ends, row, side="right"))

    def _taken(self, starts: IntArray, ends: IntArray) -> Trajectories:
        """The rows from each start to its end; neighbours are one run."""
        cut = np.flatnonzero(starts[1:] != ends[:-1])
        bounds = np.append(starts[:1], starts[cut + 1]), np.append(ends[cut], ends[-1:])
        arrays = Gathered(self.arrays, *bounds)
        missing = None if self.missing is None else Gathered(self.missing, *bounds)
        time = None if self.time is None else Gathered({"time": self.time}, *bounds)["time"]
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
        widths = ", ".join(f"{name}[{shape[1]}]" for name, shape in shapes_of(self.arrays).items())
        shortest, longest = int(self.lengths.min()), int(self.lengths.max())
        length = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        masked = f", {sum(int(mask.sum()) for mask in self.missing.values())} missing" if self.missing else ""
        return f"Trajectories({self.count} of {length} rows, {self.rows} in all{masked}: {widths})"


def joined(first: Trajectories, second: Trajectories) -> Trajectories:
    """The trajectories of both, one after the other, without their time."""
    names = [name for name in first.arrays if name in second.arrays]
    arrays = {name: np.concatenate([first.arrays[name], second.arrays[name]]) for name in names}
    missing = None
    if first.missing is not None or second.missing is not None:
        masks = [(part.missing or {}, part.arrays) for part in (first, second)]
        missing = {
            name: np.concatenate(
                [mask.get(name, np.zeros(held[name].shape, dtype=bool)) for mask, held in masks]
            )
            for name in names
            if any(name in mask for mask, _ in masks)
        }
    return Trajectories(arrays, np.concatenate([first.ends, first.rows + second.ends]), missing)
