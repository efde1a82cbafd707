"""The smallest and largest value of every column, in one pass at the speed of the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from revive.data.parallel import each, spans
from revive.data.trajectories import FloatArray, IntArray

_LANE: Final = 1024  # numbers compared by one vector operation
_BLOCK: Final = 1 << 16  # numbers that stay in the cache between the two comparisons
_SPAN: Final = 1 << 17  # rows that are worth a thread of their own


def extremes(array: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(d,) and (d,) of an array (N, d); NaN for a column that holds one, infinities where N is 0.

    numpy walks over narrow rows number by number; seen as fewer, wide rows they are walked in vectors.
    """
    if not array.flags.c_contiguous or not array.size:
        return array.min(axis=0, initial=np.inf), array.max(axis=0, initial=-np.inf)
    parts = each(_extremes, [array[start:stop] for start, stop in spans(len(array), _SPAN)])
    low, high = zip(*parts, strict=True)
    return np.minimum.reduce(low), np.maximum.reduce(high)


def ties(array: FloatArray, values: FloatArray) -> IntArray:
    """(d,) how many rows of each column of an array (N, d) have exactly the value (d,) of that column."""
    if not array.flags.c_contiguous or not array.size:
        return np.count_nonzero(array == values, axis=0)
    parts = each(lambda part: _ties(part, values), [array[a:b] for a, b in spans(len(array), _SPAN)])
    return np.add.reduce(parts)


def _extremes(array: FloatArray) -> tuple[FloatArray, FloatArray]:
    width = array.shape[1]
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for rows in _wide(array):
        low = np.minimum(low, rows.min(axis=0).reshape(-1, width).min(axis=0))
        high = np.maximum(high, rows.max(axis=0).reshape(-1, width).max(axis=0))
    return low, high


def _ties(array: FloatArray, values: FloatArray) -> IntArray:
    width = array.shape[1]
    found = np.zeros(width, dtype=np.int64)
    for rows in _wide(array):
        same = rows == np.tile(values, rows.shape[1] // width)
        if same.any():
            found += np.count_nonzero(same.reshape(-1, width), axis=0)
    return found


def _wide(array: FloatArray) -> Iterator[FloatArray]:
    """The numbers of an array (N, d), a block at a time, as rows of several of its rows (n, k * d)."""
    width = array.shape[1]
    fold = max(1, _LANE // width)
    step = fold * max(1, _BLOCK // (fold * width))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        whole = len(block) // fold * fold
        if whole:
            yield block[:whole].reshape(-1, fold * width)
        if whole < len(block):
            yield block[whole:]
