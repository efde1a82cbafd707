"""Numbers that stand for "no value": -9999, 1e30, or another extreme far away from everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from revive.data.trajectories import FloatArray

_CODES: Final = np.array(
    [
        *(
            sign * value
            for value in (99, 99.9, 99.99, 999, 999.9, 999.99, 9999, 9999.9, 99999)
            for sign in (-1, 1)
        ),
        *(sign * value for value in (999999, 1e20, 1e30, 1e31, 1e35, 1e37, 9.9e37, 1e38) for sign in (-1, 1)),
        *(-32768, 32767, 65535, -2147483648, 2147483647, 4294967295),
        *(9.96921e36, -9.96921e36, 1.70141e38, -1.70141e38, 3.402823e38, -3.402823e38),
    ]
)
_RTOL: Final = 1e-6
_MOST: Final = 4  # sentinels looked for in a column
_FEWEST: Final = 10  # other values, of which some differ, that an unknown extreme is held against
_REPEATED: Final = 3  # times that an extreme has to occur which is no usual code
_APART: Final = 5.0  # times the range of all others that it is away from them
_HUGE: Final = 1e6  # times the size of all others from which one value is enough
_LOOKED_AT: Final = 2000
_ALONE: Final = 3  # rows that a dropout lasts at most
_RARE: Final = 0.2  # share of the rows that dropouts take at most
_ASIDE: Final = 0.25  # times the range of all others that a dropout is away from them
_LEAP: Final = 3.0  # times the longest step between others that leads to a dropout


@dataclass(frozen=True)
class Sentinel:
    """value: the number; count: in how many rows it stands; first: the first of them."""

    value: float
    count: int
    first: int


def sentinels(values: FloatArray, leaps: bool = False) -> list[Sentinel]:
    """What seems to stand for "no value" in the column `values` (N,), NaN and infinity aside.

    leaps: whether it may go to an extreme and back from row to row, as what somebody sets does; no state does.
    """
    rest = values[np.isfinite(values)]
    found: list[Sentinel] = []
    while len(found) < _MOST:
        value = _one(rest)
        value = _dropout(rest) if value is None and not leaps else value
        if value is None:
            break
        rest = rest[rest != value]
        places = np.flatnonzero(values == value)
        found.append(Sentinel(value, len(places), int(places[0])))
    return found


def _one(known: FloatArray) -> float | None:
    if len(known) < _FEWEST:
        return None
    for extreme in (float(known.min()), float(known.max())):
        if extreme == 0:
            continue
        others = known[known != extreme]
        if len(others) and _stands_apart(extreme, len(known) - len(others), others):
            return extreme
    return None


def _dropout(known: FloatArray) -> float | None:
    """An extreme, 0 among them, that comes back for a row or two out of nowhere: no plant leaps there and back."""
    if len(known) < 10 * _FEWEST:
        return None
    for extreme in (float(known.min()), float(known.max())):
        here = known == extreme
        others = known[~here]
        if not _REPEATED <= here.sum() <= _RARE * len(known) or len(np.unique(others[:_LOOKED_AT])) < _FEWEST:
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[False], here, [False]]).astype(np.int8)))
        begins, behind = edges[::2], edges[1::2]
        if len(begins) < _REPEATED or (behind - begins).max() > _ALONE:
            continue
        low, high = float(others.min()), float(others.max())
        steps = np.abs(np.diff(known))[~(here[1:] | here[:-1])]
        gap = max(low - extreme, extreme - high)
        leap = np.abs(np.diff(known))[here[1:] != here[:-1]].min()
        if len(steps) and gap > _ASIDE * (high - low) and leap > _LEAP * steps.max():
            return extreme
    return None


def _stands_apart(extreme: float, count: int, others: FloatArray) -> bool:
    low, high = float(others.min()), float(others.max())
    gap, spread = max(low - extreme, extreme - high), high - low
    if bool(np.isclose(_CODES, extreme, rtol=_RTOL, atol=0).any()) and gap > spread:
        return True
    if abs(extreme) > _HUGE * max(abs(low), abs(high), 1.0):
        return True
    varied = len(np.unique(others[:_LOOKED_AT])) >= _FEWEST
    return count >= _REPEATED and varied and gap > _APART * spread
