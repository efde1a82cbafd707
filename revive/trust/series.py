"""Time series that know the borders of their trajectories: lags, memories, correlations, tests over blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.signal import lfilter
from scipy.stats import t as student

from revive.data.trajectories import BoolArray, FloatArray, IntArray
from revive.trust.nuisance import Blocks


def lagged(x: FloatArray, steps: int, ends: IntArray) -> FloatArray:
    """x (N, k) as it was `steps` rows before, or will be after -steps; 0 beyond the ends of a trajectory."""
    shifted = np.zeros_like(x)
    for start, end in _pieces(ends):
        if end - start > abs(steps):
            if steps >= 0:
                shifted[start + steps : end] = x[start : end - steps]
            else:
                shifted[start : end + steps] = x[start - steps : end]
    return shifted


def faded(x: FloatArray, memory: float, ends: IntArray) -> FloatArray:
    """The exponentially weighted mean (N, k) of the rows before each one; of itself in the first row."""
    rho = float(np.exp(-1.0 / memory))
    mean = np.empty_like(x)
    for start, end in _pieces(ends):
        first = x[start : start + 1]
        past = np.concatenate([first, x[start : end - 1]])
        mean[start:end] = lfilter([1.0 - rho], [1.0, -rho], past, axis=0, zi=rho * first)[0]
    return mean


def summed(x: FloatArray, ends: IntArray) -> FloatArray:
    """The sum (N, k) from the start of the trajectory to each row, as an integrating controller keeps it."""
    total = np.empty_like(x)
    centered = x - x.mean(axis=0)
    for start, end in _pieces(ends):
        total[start:end] = np.cumsum(centered[start:end], axis=0)
    return total


def over(x: FloatArray, lags: Sequence[int], ends: IntArray) -> FloatArray:
    """The sum (N, k) of x at several lags."""
    return np.sum([lagged(x, lag, ends) for lag in lags], axis=0)


def correlation(x: FloatArray, y: FloatArray, kept: BoolArray) -> float:
    """Of two series (N, 1) over the rows that are kept; 0 where one does not vary."""
    a, b = x[kept, 0], y[kept, 0]
    size = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean()) / size if size > 0 else 0.0


def score(x: FloatArray, y: FloatArray, kept: BoolArray, blocks: Blocks) -> float:
    """How many standard errors the mean product of two series (N, 1) is from 0; the errors are those over blocks."""
    products = np.where(kept, x[:, 0] * y[:, 0], 0.0)
    sums = blocks.sums(products[:, np.newaxis])
    size = float(np.sqrt(np.square(sums).sum()))
    return float(sums.sum()) / size if size > 0 else 0.0


def critical(rate: float, tests: int, blocks: int) -> float:
    """Standard errors that one of so many tests passes by chance at a rate `rate`, for all of them together.

    Bonferroni's bound with Student's t, whose degrees of freedom are those of the blocks.
    """
    return float(student.ppf(1.0 - rate / (2.0 * max(1, tests)), max(2, blocks - 1)))


def clipped(x: FloatArray, times: float = 6.0) -> FloatArray:
    """Each column of x (N, k) within so many robust spreads of its median, so that no single row decides."""
    middle = np.median(x, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(x - middle), axis=0), 0.1 * x.std(axis=0))
    return np.clip(x, middle - times * spread, middle + times * spread)


def _pieces(ends: IntArray) -> Iterator[tuple[int, int]]:
    start = 0
    for end in ends.tolist():
        yield start, end
        start = end
