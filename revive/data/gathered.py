"""Some rows of many arrays, without a copy until one of the arrays is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", bound=NDArray)


class Gathered(Mapping[str, Value]):
    """The runs of rows from each of `starts` (n,) to each of `ends` (n,), one after the other, of `arrays`.

    A single run is a view. Several runs of an array are copied when it is first asked for, and kept. Some
    rows of what is gathered itself are taken from where it came from.
    """

    def __init__(self, arrays: Mapping[str, Value], starts: NDArray, ends: NDArray) -> None:
        self.arrays: Mapping[str, Value] = arrays
        self.starts: NDArray = starts
        self.ends: NDArray = ends
        if isinstance(arrays, Gathered):
            self.arrays = arrays.arrays
            self.starts, self.ends = _composed(arrays.starts, arrays.ends, starts, ends)
        self._copies: dict[str, Value] = {}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every array, for which none is copied."""
        rows = int((self.ends - self.starts).sum())
        return {name: (rows, *array.shape[1:]) for name, array in self.arrays.items()}

    def __getitem__(self, name: str) -> Value:
        array: Any = self.arrays[name]
        if len(self.starts) == 1:
            return array[self.starts[0] : self.ends[0]]
        if name not in self._copies:
            runs = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
            self._copies[name] = np.concatenate([array[:0], *(array[a:b] for a, b in runs)])  # type: ignore[assignment]
        return self._copies[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def shapes_of(arrays: Mapping[str, NDArray]) -> dict[str, tuple[int, ...]]:
    """The shapes of `arrays`; copies none."""
    if isinstance(arrays, Gathered):
        return arrays.shapes
    return {name: array.shape for name, array in arrays.items()}


def _composed(
    outer_starts: NDArray, outer_ends: NDArray, starts: NDArray, ends: NDArray
) -> tuple[NDArray, NDArray]:
    """Runs of the rows that other runs have gathered, as runs of the rows that these were gathered from."""
    stops = np.cumsum(outer_ends - outer_starts)
    shift = outer_ends - stops  # from a gathered row to the row it came from
    first = np.searchsorted(stops, starts, side="right")
    last = np.searchsorted(stops, ends, side="left")
    pieces = last - first + 1
    run = np.repeat(np.arange(len(starts)), pieces)
    place = np.arange(len(run)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    outer = first[run] + place
    low = np.maximum(starts[run] + shift[outer], outer_starts[outer])
    high = np.minimum(ends[run] + shift[outer], outer_ends[outer])
    return low, high
