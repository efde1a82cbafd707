"""Columns that are times by their values: seconds since 1970, or a count as even as only a clock's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from revive.data.roles import actions_among, is_counter, role_by_name
from revive.data.trajectories import FloatArray

_SINCE_1970: Final = (1e9, 2.2e9)  # seconds, from 2001 to 2039
_UNITS: Final = {1.0: "seconds", 1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}
_EVEN: Final = "it rises as evenly as a clock"
_FEWEST: Final = 20  # rows from which an even rise is no chance
_UNEVEN: Final = 0.05  # of a step: how far the steps of a clock are from each other
_ROWS: Final = 200_000  # rows in which it is looked whether a column counts them
_FALLS: Final = 0.05  # share of the rows in which a clock may begin again


def clock_among(names: Sequence[str], arrays: Mapping[str, FloatArray]) -> tuple[str, str] | None:
    """The first of the columns `names` that is a time by its values, and why; none whose name says something else.

    An action that is swept rises evenly as well.
    """
    for name in names:
        values = arrays.get(name)
        if values is None or values.shape[1] != 1:
            continue
        if role_by_name(name) is not None or actions_among([name]):
            continue
        why = clock_by_content(values[:, 0])
        if why == _EVEN and _may_be_none(name, values[:, 0]):
            continue
        if why:
            return name, why
    return None


def _may_be_none(name: str, values: FloatArray) -> bool:
    """Whether a column (N,) that rises evenly is no time for all that: a temperature T that is ramped, or a count that
    falls back and so tells trajectories."""
    return name.strip() == "T" or (is_counter(name) and bool((np.diff(values) < 0).any()))


def clock_by_content(values: FloatArray) -> str:
    """Why a column (N,) holds times, whatever its name; empty where it does not.

    A state of a plant does not rise by the same step in every row; a count of rows does, and is none: it has no
    period.
    """
    if len(values) < _FEWEST or not np.isfinite(values).all():
        return ""
    steps = np.diff(values)
    rises = steps[steps > 0]
    low, high = values.min(), values.max()
    for size, unit in _UNITS.items():
        in_range = _SINCE_1970[0] * size <= low and high <= _SINCE_1970[1] * size
        if in_range and 0 < len(rises) >= 0.7 * (steps != 0).sum():
            return f"it holds {unit} since 1970"
    if len(rises) < (1 - _FALLS) * len(steps):
        return ""
    usual = float(np.median(rises))
    spread = np.quantile(rises, 0.98, method="lower") - np.quantile(rises, 0.02, method="higher")
    counts = np.ptp(steps) == 0 and usual == 1
    begins = np.append(values[0], values[1:][steps <= 0])
    again = bool((begins <= low + 2 * usual).all()) or bool((steps > 0).all())
    return _EVEN if spread <= _UNEVEN * usual and again and not counts else ""


def counts_rows(values: FloatArray) -> bool:
    """Whether a column (N, 1) rises by 1 from row to row."""
    with np.errstate(invalid="ignore"):  # infinite values
        return len(values) > 2 and bool(np.all(np.diff(values[:_ROWS, 0]) == 1))


def rows_of_each(time: FloatArray) -> int:
    """How many rows stand under each time, one after the other; 0 where that differs."""
    begins = np.flatnonzero(np.append(True, np.diff(time) != 0))
    inner = np.diff(begins)[1:]  # the first and the last may be incomplete
    return int(inner[0]) if len(inner) and (inner == inner[0]).all() else 0
