"""The legal limits of columns, for values that come from outside or go there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from revive.errors import Problem
from revive.graph.columns import Column

Outside = Literal["refuse", "clip"]
OUTSIDE: Final = ("refuse", "clip")
_ROUNDING: Final = 1e-6  # of the size of a limit: what a float32 may be off
_STEP: Final = 1e-3  # of the least distance of two legal values
_SHOWN: Final = 5


def clipped(columns: Sequence[Column], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (..., d), physical units, no farther than the declared limits, categories at the nearest of their values;
    angles as they are."""
    low, high = limits(columns)
    if not (np.isneginf(low).all() and np.isposinf(high).all()):
        values = np.clip(values, low, high)
    for number, column in enumerate(columns):
        if column.type == "category" and column.values:
            choices = np.array(column.values)
            nearest = np.abs(values[..., number, np.newaxis] - choices).argmin(-1)
            values = values.copy()
            values[..., number] = choices[nearest]
    return values


def beyond(node: str, columns: Sequence[Column], values: NDArray[np.float64]) -> Iterator[Problem]:
    """A problem for each column (of values (..., d), physical units) that leaves its limits by more than rounding, or
    holds what is no legal value of a category or of a discrete column."""
    low, high = limits(columns)
    for number, column in enumerate(columns):
        mine = values[..., number]
        if column.choices:
            yield from _no_choice(node, column, mine)
            continue
        ends = (
            ("min", low[number], mine.min(initial=np.inf)),
            ("max", high[number], mine.max(initial=-np.inf)),
        )
        for key, limit, worst in ends:
            over = limit - worst if key == "min" else worst - limit
            if np.isfinite(worst) and over > _ROUNDING * max(1.0, abs(limit)):
                what = f"'{column.name}' of '{node}' is {worst:g}, beyond its {key} of {limit:g}"
                remedy = "correct it, or say outside='clip': then the limit is taken in its place"
                yield Problem(what, place=f"node '{node}'", remedy=remedy)


def _no_choice(node: str, column: Column, values: NDArray[np.float64]) -> Iterator[Problem]:
    """A problem where a value, (...), is none of the legal ones."""
    choices = np.array(column.choices)
    off = np.abs(values[..., np.newaxis] - choices).min(-1)
    least = np.diff(np.sort(choices)).min(initial=np.inf)
    wrong = off > _STEP * (least if np.isfinite(least) else max(1.0, abs(choices[0])))
    if wrong.any():
        shown = ", ".join(f"{value:g}" for value in choices[:_SHOWN]) + (
            ", ..." if len(choices) > _SHOWN else ""
        )
        what = f"'{column.name}' of '{node}' is {values[wrong].flat[0]:g}, none of its values {shown}"
        remedy = "correct it, or say outside='clip': then the nearest is taken in its place"
        yield Problem(what, place=f"node '{node}'", remedy=remedy)


def limits(columns: Sequence[Column]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the largest legal value of each column, (d,), physical; infinite where nothing is declared."""
    held = [
        column.type != "category" and column.scale != "cyclic" and column.clamp is not False
        for column in columns
    ]
    low = [-np.inf if c.min is None or not h else c.min for c, h in zip(columns, held, strict=True)]
    high = [np.inf if c.max is None or not h else c.max for c, h in zip(columns, held, strict=True)]
    return np.array(low), np.array(high)
