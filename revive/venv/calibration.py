"""Whether the venv's spread is right: probability integral transform, coverage, CRPS, distributions per step.

All from sampled rollouts (S draws) beside what the logs held, see `unseen.py`. PIT (Dawid 1984): the share of draws
below the truth is uniform where the spread is right; a hump says too wide, a trough too narrow. CRPS (Gneiting and
Raftery 2007): `E|X - y| - E|X - X'| / 2`, an absolute error for distributions, in units of the column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstwo, wasserstein_distance

from revive.venv.bands import STEPS, effective_blocks
from revive.venv.unseen import ColumnPaths, Unseen

Array = NDArray[np.float64]
BINS = 10
SHOWN = (1, 10, 50)


def calibration_of(unseen: Unseen) -> dict[str, Any]:
    """Column -> {pit: {step: shares of ten bins}, p: {step: of uniformity}, cover: {50, 90: by step}, crps: by step}.

    crps holds {step: {venv, still, usual}}: also of "nothing changes" (its absolute error) and of the logs'
    distribution.
    """
    return {column.column: _of_column(column, unseen.trajectory) for column in unseen.columns}


def _of_column(column: ColumnPaths, trajectory: NDArray[np.int64]) -> dict[str, Any]:
    steps = [k for k in STEPS if k <= len(column.truth)]
    found: dict[str, Any] = {"pit": {}, "p": {}, "cover": {"50": {}, "90": {}}, "crps": {}}
    for k in steps:
        known, error, drawn = column.known[k - 1], column.error[k - 1], column.deviation[k - 1]
        if not known.any():
            continue
        pit = pit_of(error[known], drawn[known])
        blocks = sum(
            effective_blocks(_pit_half(column, k, h), trajectory[h][known[h]]) for h in range(len(known))
        )
        gap = float(np.abs(np.sort(pit) - (np.arange(len(pit)) + 0.5) / len(pit)).max() + 0.5 / len(pit))
        found["pit"][str(k)] = (np.histogram(pit, BINS, (0.0, 1.0))[0] / len(pit)).tolist()
        found["p"][str(k)] = float(kstwo.sf(gap, max(2, int(blocks))))
        for share in (50, 90):
            edge = np.array([0.5 - share / 200.0, 0.5 + share / 200.0])
            low, high = np.quantile(drawn[known], edge, axis=-1)
            found["cover"][str(share)][str(k)] = float(
                ((error[known] >= low) & (error[known] <= high)).mean()
            )
        found["crps"][str(k)] = {"venv": float(crps(error[known], drawn[known]).mean()), **_simple(column, k)}
    return found


def pit_of(error: Array, drawn: Array) -> Array:
    """(n,), (n, S) -> (n,) the share of draws below, between 0 and 1.

    Drawn within the step that the rank leaves open, because so few draws would favour some bins.
    """
    below = (drawn < error[:, None]).sum(-1) + 0.5 * (drawn == error[:, None]).sum(-1)
    inside = np.random.default_rng(0).uniform(size=len(error))
    return (below + inside) / (drawn.shape[-1] + 1.0)  # type: ignore[no-any-return]


def _pit_half(column: ColumnPaths, step: int, half: int) -> Array:
    known = column.known[step - 1, half]
    return pit_of(column.error[step - 1, half][known], column.deviation[step - 1, half][known])


def crps(error: Array, drawn: Array) -> Array:
    """(n,), (n, S) -> (n,), unbiased in the second term."""
    draws = drawn.shape[-1]
    ordered = np.sort(drawn, axis=-1)
    weight = 2.0 * np.arange(draws) - draws + 1.0  # sum over pairs |x_i - x_j| = 2 sum_i weight_i x_(i)
    pairs = 2.0 * (ordered * weight).sum(-1) / (draws * (draws - 1.0))
    return np.abs(drawn - error[:, None]).mean(-1) - 0.5 * pairs  # type: ignore[no-any-return]


def _simple(column: ColumnPaths, step: int) -> dict[str, float]:
    """CRPS of "nothing changes" since the first step that is shown, and of what the logs held, whenever it was."""
    known = column.known[step - 1] & column.known[0]
    truth, first = column.truth[step - 1][known], column.truth[0][known]
    usual = column.truth[0][column.known[0]][:200]
    still = float(np.abs(truth - first).mean()) if step > 1 else float("nan")
    return {
        "still": still,
        "usual": float(crps(truth, np.broadcast_to(usual, (len(truth), len(usual)))).mean()),
    }


def distributions_of(unseen: Unseen, bins: int = 24) -> dict[str, Any]:
    """Column -> step -> {edges, logs, venv: densities, distance, chance}: per step, not pooled over steps.

    distance: Wasserstein-1 between logs and sampled rollouts at that step, in units of the column. chance: the same
    between two random halves of the logged values, what is to be expected where nothing is wrong.
    """
    found: dict[str, Any] = {}
    generator = np.random.default_rng(0)
    for column in unseen.columns:
        table = {}
        for k in (k for k in SHOWN if k <= unseen.horizon):
            known = column.known[k - 1]
            truth, drawn = column.truth[k - 1][known], column.drawn[k - 1][known].ravel()
            if len(truth) < 4 or not np.isfinite(drawn).all():
                continue
            low, high = np.quantile(np.concatenate([truth, drawn]), [0.002, 0.998])
            edges = np.linspace(low, max(high, low + 1e-9), bins + 1)
            mixed = generator.permutation(truth)
            table[str(k)] = {
                "edges": edges.tolist(),
                "logs": np.histogram(truth, edges, density=True)[0].tolist(),
                "venv": np.histogram(drawn, edges, density=True)[0].tolist(),
                "distance": float(wasserstein_distance(truth, drawn)),
                "chance": float(wasserstein_distance(mixed[::2], mixed[1::2]) / np.sqrt(2.0)),
            }
        found[column.column] = table
    return found
