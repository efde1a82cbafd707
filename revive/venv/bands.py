"""Bands that hold: how far from the venv's mean the plant may be, by what was missed on windows that no fit has read.

Of every window the score at step k is `|y_k - mean_k| / std_k`, `std_k` that of sampled rollouts (noise and members).
The band of a step, `mean +- q std`, has as `q` a quantile of the scores of all windows at that step: split conformal
prediction (Lei et al. 2018, arXiv:1604.04173), the scores of the two halves pooled as in cross-conformal prediction
(Vovk 2015, arXiv:1208.0806). For a whole path of a node the score is the largest of `|y_k - mean_k| / (c_k std_k)`
over its steps and columns, and the band is `mean +- q c_k std_k`. The shape `c_k` is how the mean score goes over the
steps in the other half's windows, so that no window shapes the band that it calibrates (modulation: Diquigiovanni et
al. 2022, arXiv:2102.06746).

Windows of one trajectory are no independent witnesses. How many independent ones they are worth follows from the
correlation of their ranks: `n_eff = N / (1 + 2 sum_k (pairs_k / N) rho_k)`, pairs within a trajectory that lie k
windows apart, correlations about the mean of all, up to the first that is not clear of nothing; of whole paths no more
than stand side by side without overlapping. The quantile is taken at the level `0.9 (n_eff + 1) / n_eff`. Below nine
blocks that is more than one, and no band can be promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from revive.venv.unseen import ColumnPaths, Unseen

Array = NDArray[np.float64]
COVERED = 0.9
STEPS = (1, 10, 25, 50, 100)
CAP = 1e3  # of a score, where a mean of them is taken


@dataclass(frozen=True)
class Calibrated:
    """q: half the width of a band in predicted standard deviations; None where none can be promised.

    windows: that were scored. stretches: trajectories, or parts of a cut one, that they come from. blocks: independent
    windows they are worth. between: what the coverage of this very band lies in nine times in ten, the calibration
    being one draw. across: by half, how many of its windows the band holds that the other half's windows alone would
    give; NaN where they are too few.
    """

    q: float | None
    windows: int
    stretches: int
    blocks: float
    between: tuple[float, float] | None
    across: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "q": self.q,
            "windows": self.windows,
            "stretches": self.stretches,
            "blocks": self.blocks,
            "between": self.between,
            "across": list(self.across),
            "why": why_none(self) if self.q is None else None,
        }


def fewest_blocks(covered: float = COVERED) -> float:
    """Independent blocks below which no finite band covers so much: `covered (n + 1) <= n`."""
    return covered / (1.0 - covered)


def why_none(found: Calibrated, covered: float = COVERED) -> str:
    """A sentence for where no band can be promised."""
    return (
        f"no band can be promised: {found.windows} windows from {found.stretches} "
        f"stretch{'es' if found.stretches > 1 else ''} of the logs are worth {found.blocks:.1f} independent ones, "
        f"and a band of {covered:.0%} needs {fewest_blocks(covered):.0f}"
    )


def spread_of(column: ColumnPaths) -> Array:
    """(T, h, B) the standard deviation of sampled rollouts about the mean path; never quite nothing.

    Variances are averaged over an eighth of the steps so far on either side, because draws are few.
    """
    variance = np.square(column.deviation).mean(-1)
    total = np.concatenate([np.zeros_like(variance[:1]), variance.cumsum(0)])
    reach = np.arange(len(variance)) // 8
    first, stop = (
        np.arange(len(variance)) - reach,
        np.minimum(np.arange(len(variance)) + reach + 1, len(variance)),
    )
    std = np.sqrt(np.maximum(total[stop] - total[first], 0.0) / (stop - first)[:, None, None])
    floor = 1e-6 * max(float(np.nanstd(column.truth)), 1e-12)
    return np.maximum(std, floor)


def scores(column: ColumnPaths) -> Array:
    """(T, h, B) the error in predicted standard deviations, NaN where nothing is known."""
    score = np.abs(column.error) / spread_of(column)
    return np.where(np.isnan(score) & column.known, np.inf, score)  # a rollout that ran away


def shape(score: Array) -> Array:
    """(T, h, B) scores of one column -> (T, h): how large they are at each step.

    The course over the steps is that of the other half's windows, the level that of all of them.
    """
    size = np.where(np.isinf(score), CAP, np.minimum(score, CAP))
    known = np.isfinite(size)
    mean = np.where(known, size, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)  # (T, h)
    smooth = np.empty_like(mean)
    for k in range(
        len(mean)
    ):  # over a quarter of the steps so far on either side, because few windows say little
        reach = k // 4
        smooth[k] = mean[k - reach : k + reach + 1].mean(0)
    smooth = np.maximum(smooth, 1e-3 * np.maximum(smooth.max(0), 1e-12))
    level = smooth.mean(0)
    return (smooth / level)[:, ::-1] * level.mean()  # type: ignore[no-any-return]


def path_scores(columns: Sequence[ColumnPaths], steps: int) -> Array:
    """(h, B) the largest score of each window over its first steps and all columns; NaN for shorter windows."""
    shaped = [scores(column) for column in columns]
    parts = np.stack([(score / shape(score)[..., None])[:steps] for score in shaped])  # (d, T, h, B)
    whole = columns[0].known[:steps].all(0)
    known = np.stack([column.known[:steps] for column in columns]).any((0, 1))
    largest = np.max(np.where(np.isnan(parts), -np.inf, parts), axis=(0, 1))
    return np.where(whole | (known & _has_gaps(columns, steps)), largest, np.nan)


def _has_gaps(columns: Sequence[ColumnPaths], steps: int) -> NDArray[np.bool_]:
    """(h, B) whether the last step is there, and only values in between are missing."""
    return np.logical_or.reduce([column.known[steps - 1] for column in columns])  # type: ignore[no-any-return]


def effective_blocks(score: Array, trajectory: NDArray[np.int64]) -> float:
    """How many independent windows `score` (n,) in the order of the rows is worth; `trajectory` (n,) says whose."""
    count = len(score)
    if count < 3:
        return float(count)
    ranks = np.argsort(np.argsort(score, kind="stable"), kind="stable").astype(np.float64)
    centred = ranks - ranks.mean()
    variance = float(np.square(centred).mean())
    if variance == 0.0:
        return 1.0
    total = 0.0
    for lag in range(1, count):
        same = trajectory[lag:] == trajectory[:-lag]
        pairs = int(same.sum())
        if pairs < 2:
            break
        rho = float((centred[lag:] * centred[:-lag])[same].mean()) / variance
        if rho < 1.0 / np.sqrt(pairs):
            break
        total += pairs / count * rho
    return count / (1.0 + 2.0 * total)


def calibrate(
    score: Array, trajectory: NDArray[np.int64], covered: float = COVERED, most: float = np.inf
) -> Calibrated:
    """score, trajectory: (h, B), of the windows of each half in order of rows; NaN scores are left out.

    most: blocks that there can be at most, such as windows side by side.
    """
    known = ~np.isnan(score)
    blocks = sum(effective_blocks(s[k], t[k]) for s, t, k in zip(score, trajectory, known, strict=True))
    blocks = min(blocks, most)
    pooled = score[known]
    found = len(np.unique(trajectory[known]))
    q = quantile(pooled, blocks, covered)
    between = None
    if q is not None:
        k = (blocks + 1.0) * covered
        low, high = beta.ppf([0.05, 0.95], k, blocks + 1.0 - k)
        between = (float(low), float(high))
    return Calibrated(q, len(pooled), found, float(blocks), between, _across(score, trajectory, covered))


def _across(score: Array, trajectory: NDArray[np.int64], covered: float) -> tuple[float, ...]:
    found = []
    for half in range(len(score)):
        own = score[half][~np.isnan(score[half])]
        kept = [~np.isnan(s) for s in score]
        others = [(score[i][kept[i]], trajectory[i][kept[i]]) for i in range(len(score)) if i != half]
        blocks = sum(effective_blocks(*other) for other in others)
        q = quantile(np.concatenate([s for s, _ in others]), blocks, covered) if others else None
        found.append(float((own <= q).mean()) if q is not None and len(own) else float("nan"))
    return tuple(found)


def quantile(score: Array, blocks: float, covered: float = COVERED) -> float | None:
    """The smallest score that a share of `covered (n + 1) / n` of all reach, n blocks; None where that is above 1."""
    if len(score) == 0 or blocks < fewest_blocks(covered) - 1e-9:
        return None
    level = min(1.0, covered * (blocks + 1.0) / blocks)
    q = float(np.quantile(score, level, method="inverted_cdf" if np.isinf(score).any() else "linear"))
    return q if np.isfinite(q) else None


@dataclass(frozen=True)
class Bands:
    """steps: column -> of every step. paths: node -> length of the path -> its band. shapes: column -> (T, h)."""

    steps: dict[str, list[Calibrated]]
    paths: dict[str, dict[int, Calibrated]]
    shapes: dict[str, Array]

    def step_width(self, column: ColumnPaths) -> Array:
        """(T, h, B) half the width of the band at each step; NaN where none can be promised."""
        q = np.array([np.nan if found.q is None else found.q for found in self.steps[column.column]])
        return q[:, None, None] * spread_of(column)  # type: ignore[no-any-return]

    def path_width(self, column: ColumnPaths, steps: int) -> Array:
        """(steps, h, B) half the width of the band of whole paths of so many steps; NaN where none can be promised."""
        q = self.paths[column.node][steps].q
        width = self.shapes[column.column][:steps, :, None] * spread_of(column)[:steps]
        return width * (np.nan if q is None else q)  # type: ignore[no-any-return]

    def to_json(self, unseen: Unseen) -> dict[str, Any]:
        """The usual steps alone. width: half of it in the middle of all windows, in units of the column.

        {steps: {column: {step: {..., width}}}, paths: {node: {length: {..., width: {column: at its last step}}}}}.
        """
        columns = {column.column: column for column in unseen.columns}
        steps = {}
        for name, found in self.steps.items():
            width = np.median(self.step_width(columns[name]), axis=(1, 2))
            steps[name] = {
                str(k): {**found[k - 1].to_json(), "width": width[k - 1]} for k in STEPS if k <= len(found)
            }
        paths = {
            node: {
                str(k): {
                    **found.to_json(),
                    "width": {
                        c.column: float(np.median(self.path_width(c, k)[-1])) for c in unseen.of_node(node)
                    },
                }
                for k, found in table.items()
            }
            for node, table in self.paths.items()
        }
        return {"steps": steps, "paths": paths}


def bands_of(unseen: Unseen, covered: float = COVERED) -> Bands:
    """Bands by column and step, and by node and length of the path."""
    steps, shapes = {}, {}
    for column in unseen.columns:
        score = scores(column)
        steps[column.column] = [calibrate(at, unseen.trajectory, covered) for at in score]
        shapes[column.column] = shape(score)
    lengths = sorted({k for k in STEPS if k <= unseen.horizon} | {unseen.horizon})
    paths = {
        node: {
            k: calibrate(
                path_scores(unseen.of_node(node), k), unseen.trajectory, covered, unseen.side_by_side(k)
            )
            for k in lengths
        }
        for node in unseen.nodes
    }
    return Bands(steps, paths, shapes)
