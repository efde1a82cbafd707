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


def clipped(columns: Sequence[Column], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (..., d), physical units, no farther than the declared limits; categories and angles as they are."""
    low, high = _limits(columns)
    return values if np.isneginf(low).all() and np.isposinf(high).all() else np.clip(values, low, high)


def beyond(node: str, columns: Sequence[Column], values: NDArray[np.float64]) -> Iterator[Problem]:
    """A problem for each column (of values (..., d), physical units) that leaves its limits by more than rounding."""
    low, high = _limits(columns)
    for number, column in enumerate(columns):
        mine = values[..., number]
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


def _limits(columns: Sequence[Column]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    held = [
        column.type != "category" and column.scale != "cyclic" and column.clamp is not False
        for column in columns
    ]
    low = [-np.inf if c.min is None or not h else c.min for c, h in zip(columns, held, strict=True)]
    high = [np.inf if c.max is None or not h else c.max for c, h in zip(columns, held, strict=True)]
    return np.array(low), np.array(high)
