"""Steps as time: what plant people think in, where the logs tell how long a step takes."""

from __future__ import annotations

from typing import Final

import numpy as np

from revive.data.trajectories import FloatArray, IntArray

_EVEN: Final = 0.8  # share of the steps that must take the usual time, so that a step can be said to take it
_NEAR: Final = 0.1  # of the usual time, that a step may differ by
_UNITS: Final = (
    (1e-3, "ms"),
    (1.0, "s"),
    (60.0, "min"),
    (3600.0, "h"),
    (86400.0, "days"),
    (31_557_600.0, "years"),
)
_MOST: Final = (
    1.0,
    120.0,
    7200.0,
    48 * 3600.0,
    2 * 31_557_600.0,
)  # seconds up to which each unit but the last is used


def seconds_per_step(time: FloatArray | None, ends: IntArray, scale: float | None) -> float | None:
    """How long a step usually takes; None where the logs do not tell it, or steps are uneven.

    time: (N,) in units of `scale` seconds. ends: (K,) the row behind each trajectory.
    """
    if time is None or scale is None or len(time) < 3:
        return None
    inside = np.ones(len(time) - 1, dtype=bool)
    inside[ends[:-1] - 1] = False
    steps = np.diff(time)[inside]
    usual = float(np.median(steps)) if len(steps) else 0.0
    if not usual > 0 or np.mean(np.abs(steps - usual) <= _NEAR * usual) < _EVEN:
        return None
    return usual * scale


def duration(seconds: float) -> str:
    """`90 s`, `20 min`, `36 h`, `4.2 days`, `3.5 years`."""
    if seconds == 0:
        return "0 s"
    whole = [i for i, (size, _) in enumerate(_UNITS) if seconds >= size and seconds % size == 0]
    number = next((i for i, most in enumerate(_MOST) if seconds < most), len(_MOST))
    if whole and whole[-1] > number:  # an hour rather than 60 minutes
        number = whole[-1]
    size, unit = _UNITS[number]
    said = f"{seconds / size:.3g}" if seconds < 999.5 * size else f"{seconds / size:.0f}"
    return f"{said} {'day' if said == '1' and unit == 'days' else unit}"


def in_time(steps: float, step_seconds: float | None) -> str:
    """` (20 min)` behind a number of steps; empty where it is not known how long a step takes."""
    return "" if step_seconds is None else f" ({duration(steps * step_seconds)})"


def steps_of(said: str, step_seconds: float | None) -> str:
    """The label of an axis of steps, like `steps ahead, 1 min each`."""
    return said if step_seconds is None else f"{said}, {duration(step_seconds)} each"


def steps_told(steps: float, step_seconds: float | None) -> str:
    """`20 steps (20 min)`, or `20 steps`."""
    return f"{steps:g} {'step' if steps == 1 else 'steps'}{in_time(steps, step_seconds)}"
