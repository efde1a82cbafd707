"""Where a column lies and how widely it spreads: what a codec is fitted by."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from revive.data.transforms import Circle, Transform
from revive.graph.columns import Column

RUNAWAY = 1.0  # spans outside the data at which a rollout is stopped that nothing else keeps in range
ROUNDING = 1e-12  # a spread below this share of the values is rounding, not change


def robust_scale(values: np.ndarray) -> np.ndarray:
    """Per column a spread that outliers do not move: IQR * 0.7413, the standard deviation of a normal.

    values (N, d) -> (d,). Where that is below 5 % of the standard deviation between the 1 % and the 99 % quantile
    (a switch that is nearly always off), it is that standard deviation, or that of all values where even this is
    nothing; 1 where a column never changes.
    """
    first, low, high, last = np.percentile(values, [1, 25, 75, 99], axis=0)
    spread = (high - low) * 0.7413
    inner = np.clip(values, first, last).std(axis=0)
    spread = np.where(spread < 0.05 * inner, inner, spread)
    nothing = ROUNDING * np.abs(values).max(axis=0)
    spread = np.where(spread <= nothing, values.std(axis=0), spread)
    return np.where(spread <= nothing, 1.0, spread)


def scalar(value: float) -> Tensor:
    """A float64 tensor () of a number."""
    return torch.tensor(float(value), dtype=torch.float64)


def finite(values: np.ndarray) -> np.ndarray:
    """The finite ones of values (N,), or a single 0."""
    kept = values[np.isfinite(values)]
    return kept if len(kept) else np.zeros(1)


def center_and_scale(column: Column, transform: Transform, known: np.ndarray | None) -> tuple[float, float]:
    """What is subtracted from the latent values of a column, and what they are divided by."""
    if column.type == "category" or isinstance(transform, Circle):
        return 0.0, 1.0
    if column.type == "discrete" or column.scale == "minmax":
        seen = np.zeros(1) if known is None else known
        low = float(seen.min()) if column.min is None else column.min
        high = float(seen.max()) if column.max is None else column.max
        return (low + high) / 2.0, (high - low) / 2.0 if high > low else 1.0
    if known is None:
        return 0.0, 1.0
    latent = transform.to_latent(torch.as_tensor(known, dtype=torch.float64)).numpy()
    return float(np.median(latent)), float(robust_scale(latent)[0])


def kept_range(column: Column, known: np.ndarray | None) -> tuple[float | None, float | None]:
    """The range that rollouts keep the column in: the declared one, else that of the training data.

    A column that is not clamped is stopped far outside the data, where a rollout is running away.
    """
    if column.type != "continuous" or column.clamp is False:
        return None, None
    if not column.clamps:
        if known is None or column.scale == "cyclic":
            return None, None
        low, high = float(known.min()), float(known.max())
        return low - RUNAWAY * (high - low), high + RUNAWAY * (high - low)
    if column.min is None and column.max is None and known is not None:
        return float(known.min()), float(known.max())
    return column.min, column.max
