"""Cross-fitted regressions: what a series is expected to be, told by rows that did not see it.

Ridge regression on splines, products and random waves of the inputs, all targets at once. The cross-fitting is that of
double machine learning (Chernozhukov et al. 2018, Econometrics Journal 21): each row is predicted by a fit that left
out its whole block of consecutive rows, or its trajectory, since neighbours in time are nearly copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from revive.data.trajectories import BoolArray, FloatArray, IntArray

FOLDS: Final = 5
BLOCK: Final = 50  # consecutive rows that stay together
KNOTS: Final = 7
MOST_PRODUCTS: Final = 8  # inputs up to which all products of two are features
WAVES: Final = 80
RIDGES: Final = (1e-9, 1e-7, 1e-5, 1e-3, 1e-1)  # shares of the mean variance of a feature
WHOLE: Final = 10  # trajectories from which whole ones are left out
SLACK: Final = 0.05  # share of the range by which a row may lie outside the rows that were fitted on


@dataclass(frozen=True)
class Blocks:
    """of_row: (N,) the number of the block of each row, rising. fold: (N,) the fold in which it is left out."""

    of_row: IntArray
    fold: IntArray

    @property
    def count(self) -> int:
        return int(self.of_row[-1]) + 1

    def sums(self, values: FloatArray) -> FloatArray:
        """Values (N, k) summed over each block -> (count, k)."""
        first = np.flatnonzero(np.diff(self.of_row, prepend=-1))
        return np.add.reduceat(values, first, axis=0)


def blocks_of(lengths: IntArray, length: int = BLOCK) -> Blocks:
    """Blocks of about `length` rows that cross no border of trajectories; lengths: (K,) rows of each trajectory."""
    pieces = np.maximum(1, np.round(lengths / length).astype(np.int64))
    parts, count = [], 0
    for rows, number in zip(lengths, pieces, strict=True):
        parts.append(count + np.arange(rows) * number // rows)
        count += number
    of_row = np.concatenate(parts)
    owner = np.repeat(np.arange(len(lengths)), lengths) if len(lengths) >= WHOLE else of_row
    order = np.random.default_rng(0).permutation(int(owner[-1]) + 1)
    return Blocks(of_row, order[owner] % FOLDS)


def features(inputs: FloatArray) -> FloatArray:
    """Linear and hinge functions of every input, products of two and random waves: (N, p) -> (N, q), scaled.

    Hinges follow the kink of an actuator at its limit, waves what depends on several inputs at once.
    """
    x = standard(inputs)
    rows, width = x.shape
    if width == 0:
        return np.ones((rows, 1))
    parts = [np.ones((rows, 1)), x]
    if width <= 4 * MOST_PRODUCTS:
        for j in range(width):
            knots = np.unique(np.quantile(x[:, j], np.linspace(0, 1, KNOTS + 2)[1:-1]))
            if len(np.unique(x[: 20 * KNOTS, j])) > 2:
                parts.append(np.maximum(0.0, x[:, j : j + 1] - knots))
    first, second = np.triu_indices(width) if width <= MOST_PRODUCTS else (np.arange(width), np.arange(width))
    parts.append(np.clip(x[:, first] * x[:, second], -50, 50))
    random = np.random.default_rng(0)
    frequencies = random.normal(size=(width, WAVES)) / np.sqrt(width)
    parts.append(np.cos(np.clip(x, -6, 6) @ frequencies + random.uniform(0, 2 * np.pi, WAVES)))
    return np.concatenate(parts, axis=1)


def standard(inputs: FloatArray) -> FloatArray:
    """Inputs (N, p) with mean 0 and deviation 1; those that do not vary are left out."""
    center, spread = inputs.mean(axis=0), inputs.std(axis=0)
    varies = spread > 1e-9 * np.maximum(1e-3, np.abs(center))
    return (inputs[:, varies] - center[varies]) / spread[varies]


def crossfitted(
    design: FloatArray, targets: FloatArray, blocks: Blocks, judged: BoolArray | None = None
) -> FloatArray:
    """Predictions (N, q) of the targets (N, q) from features (N, p), each by a fit without the row's fold.

    The strength of the ridge is that which predicts best, for each target on its own. judged: (N,) the rows by which
    that is told, all of them without; a single row far outside the others (the start of a plant) would decide it.
    """
    center, scale = design.mean(axis=0), np.maximum(design.std(axis=0), 1e-9)
    x = (design - center) / scale
    level, spread = targets.mean(axis=0), np.maximum(targets.std(axis=0), 1e-12)
    y = (targets - level) / spread
    x = np.concatenate([np.ones((len(x), 1)), x[:, scale > 1e-9]], axis=1)
    gram, moment = x.T @ x, x.T @ y
    predicted = np.empty((len(RIDGES), *y.shape))
    for fold in range(FOLDS):
        out = blocks.fold == fold
        if not out.any():
            continue
        values, vectors = np.linalg.eigh(gram - x[out].T @ x[out])
        rotated = vectors.T @ (moment - x[out].T @ y[out])
        rows = x[out] @ vectors
        for number, ridge in enumerate(RIDGES):
            weights = rotated / (np.maximum(values, 0.0) + ridge * len(x))[:, None]
            predicted[number][out] = rows @ weights
    asked = slice(None) if judged is None or not judged.any() else judged
    error = np.square(np.clip(y - predicted, -20, 20))[:, asked].mean(axis=1)  # (ridges, q)
    best = error.argmin(axis=0)
    return level + spread * predicted[best, :, np.arange(y.shape[1])].T


def inside(inputs: FloatArray, blocks: Blocks) -> BoolArray:
    """(N,) whether a row lies within the ranges of the rows that its prediction was fitted on."""
    kept = np.ones(len(inputs), dtype=bool)
    for fold in range(FOLDS):
        out = blocks.fold == fold
        if not out.any() or out.all():
            continue
        low, high = inputs[~out].min(axis=0), inputs[~out].max(axis=0)
        slack = SLACK * (high - low)
        kept[out] = ((inputs[out] >= low - slack) & (inputs[out] <= high + slack)).all(axis=1)
    return kept
