"""Where and when the venv is wrong: one-step residuals against inputs, trajectories and time, and whether they drift.

Residuals are those of half 0's members on the rows of half 1 and the reverse, in standard deviations that the members
state. Drift: the largest excursion of the CUSUM of residuals, over their long-run standard deviation (Bartlett
weights) and the square root of their number; the limit law is that of a Brownian bridge (Kolmogorov), so that
correlated residuals raise no alarm by themselves (Ploberger and Kraemer 1992); nor do trajectories that differ from
one another without order. Change points: binary segmentation by the same test, at most three.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kstwobign
from torch import Tensor

from revive.data.windows import Rows
from revive.venv.judging import estimated
from revive.venv.validation import judged_transitions
from revive.venv.virtual_env import VirtualEnv

Array = NDArray[np.float64]
MOST_ROWS, BINS, MOST_CHANGES, SHORTEST = 20_000, 12, 3, 40
AT_ONCE = 2048  # rows that are judged together, each from those before it
FEWEST_TRAJECTORIES = 5  # from which the spread between them is told
ALARM = 0.01  # of a false alarm, over all columns together


@torch.no_grad()
def one_step_residuals(venv: VirtualEnv, rows: Rows) -> tuple[NDArray[np.int64], dict[str, Array]]:
    """Rows (n,) in order, and column -> residual of each (n,), in stated standard deviations, NaN where unknown.

    By the mean of the other half's members, from what observers make of noisy readings; continuous columns of learned
    transitions.
    """
    every = max(1, rows.count // MOST_ROWS)
    index = torch.arange(0, rows.count, every, device=rows.device)
    inside = [index[(index >= part.start) & (index < part.stop)] for part in rows.parts]
    blocks = [(1 - judged, block) for judged, own in enumerate(inside) for block in own.split(AT_ONCE)]
    told = [_by_column(venv, rows, half, block) for half, block in blocks]
    where = np.concatenate([block.cpu().numpy() for _, block in blocks])
    return where, {name: np.concatenate([part[name] for part in told]) for name in told[0]}


def _by_column(venv: VirtualEnv, rows: Rows, half: int, own: Tensor) -> dict[str, Array]:
    """The residuals (n,) of a half's members at rows `own` (n,) of the other half."""
    found: dict[str, Array] = {}
    everywhere, members = own.expand(venv.members, -1), venv.members_of(half)
    batch = venv.completed({**rows.at(everywhere), **estimated(venv, rows, everywhere)})
    for name in judged_transitions(venv, rows):
        if name not in venv.models:
            continue
        out = venv.model(name)(*venv.node_inputs(name, batch))
        layout, codec = venv.codec.layout(name), venv.codec[name]
        mean, std = out.mean[members].mean(0), out.log_std.exp().expand_as(out.mean)[members].mean(0)
        known = rows.weight(name, own)
        for d in range(layout.continuous):
            column = venv.graph.columns(name)[codec.terms[d]]
            residual = ((rows.values[name][own][:, d] - mean[:, d]) / std[:, d].clamp_min(1e-9)).double()
            if known is not None:
                residual = residual.where(known[:, d] > 0, torch.nan)
            label = column.name if column.scale != "cyclic" else f"{column.name} ({d})"
            found[label] = residual.cpu().numpy()
    return found


def residual_map(
    venv: VirtualEnv, rows: Rows, where: NDArray[np.int64], residuals: dict[str, Array]
) -> dict[str, Any]:
    """Column -> input -> {edges, mean, error: its standard error, size: root mean square}, physical units."""
    inputs = {
        name: (value, _edges(value))
        for name, value in _inputs(venv, rows, where).items()
        if np.ptp(value) > 0
    }
    places = {
        name: np.searchsorted(edges[1:-1], value, side="right") for name, (value, edges) in inputs.items()
    }
    return {
        column: {name: _binned(places[name], edges, residual) for name, (_, edges) in inputs.items()}
        for column, residual in residuals.items()
    }


def _inputs(venv: VirtualEnv, rows: Rows, where: NDArray[np.int64]) -> dict[str, Array]:
    names = dict.fromkeys((*venv.graph.states, *venv.graph.decisions, *venv.replayed_nodes))
    found = {}
    for name in names:
        if name in rows.values:
            values = venv.codec[name].decode(rows.values[name][where].double()).cpu().numpy()
            for i, column in enumerate(venv.graph.columns(name)):
                found[f"{column.name} [{column.units}]" if column.units else column.name] = values[:, i]
    return found


def _edges(value: Array) -> Array:
    """Of bins with about as many values each."""
    edges = np.unique(np.quantile(value, np.linspace(0, 1, BINS + 1)))
    return edges if len(edges) > 2 else np.linspace(value.min(), value.max(), 3)


def _binned(place: NDArray[np.int64], edges: Array, residual: Array) -> dict[str, Any]:
    """place (n,) the bin of each residual (n,)."""
    known = np.isfinite(residual)
    place, residual, bins = place[known], residual[known], len(edges) - 1
    count = np.bincount(place, minlength=bins).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):  # empty bins are NaN
        mean = np.bincount(place, residual, bins) / count
        square = np.bincount(place, np.square(residual), bins) / count
        error = np.sqrt(np.maximum(square - np.square(mean), 0.0) / count)
    return {"edges": edges, "mean": mean, "error": error, "size": np.sqrt(square)}


def by_trajectory(
    rows: Rows, where: NDArray[np.int64], residuals: dict[str, Array], most: int = 200
) -> dict[str, Any]:
    """Column -> {trajectory: numbers, mean, size}: of the residuals of each trajectory, or part of a cut one."""
    owner = np.searchsorted(rows.starts.cpu().numpy(), where, side="right") - 1
    numbers = np.unique(owner)[:most]
    table = {}
    for column, residual in residuals.items():
        parts = [residual[(owner == n) & np.isfinite(residual)] for n in numbers]
        table[column] = {
            "trajectory": numbers,
            "mean": [float(p.mean()) if len(p) else None for p in parts],
            "size": [float(np.sqrt(np.square(p).mean())) if len(p) else None for p in parts],
        }
    return table


def drift_of(rows: Rows, where: NDArray[np.int64], residuals: dict[str, Array]) -> dict[str, Any]:
    """Column -> part of the logs by part: {rows, cusum, statistic, p, alarm, changes: rows at which the level changes}.

    Each half is a series of its own, because another half's members judge it. The alarm holds over all columns
    together.
    """
    table: dict[str, Any] = {}
    level = ALARM / max(1, len(residuals) * len(rows.parts))
    for column, residual in residuals.items():
        table[column] = []
        for part in rows.parts:
            inside = (where >= part.start) & (where < part.stop) & np.isfinite(residual)
            series, at = residual[inside], where[inside]
            if len(series) < SHORTEST:
                continue
            owner = np.searchsorted(rows.starts.cpu().numpy(), at, side="right")
            spread = between_trajectories(series, owner)
            statistic, path, _ = cusum(series, spread)
            thin = slice(None, None, max(1, len(series) // 300))
            p = float(kstwobign.sf(statistic))
            changes = [int(at[i]) for i in change_points(series, level, spread)]
            table[column].append(
                {
                    "rows": at[thin],
                    "cusum": path[thin],
                    "statistic": statistic,
                    "p": p,
                    "alarm": p < level,
                    "changes": changes,
                }
            )
    return table


def between_trajectories(series: Array, owner: NDArray[np.int64]) -> float:
    """The long-run variance that trajectories of levels of their own bring: mean length times variance of their means.

    series, owner (n,): the residuals, and whose they are. 0 for fewer than five trajectories.
    """
    _, which, count = np.unique(owner, return_inverse=True, return_counts=True)
    if len(count) < FEWEST_TRAJECTORIES:
        return 0.0
    means = np.bincount(which, series) / count
    return float(count.mean() * means.var(ddof=1))


def cusum(series: Array, least: float = 0.0) -> tuple[float, Array, int]:
    """(n,) -> the largest absolute value of the scaled CUSUM (n,), which is returned beside it, and where it is.

    least: of the long-run variance that it is scaled by.
    """
    centred = series - series.mean()
    count = len(series)
    path = np.cumsum(centred) / (np.sqrt(count) * np.sqrt(max(long_run_variance(centred), least)))
    at = int(np.abs(path).argmax())
    return float(np.abs(path[at])), path, at


def long_run_variance(centred: Array) -> float:
    """Bartlett weights up to `4 (n / 100)^(1/3)` lags (Newey and West 1987); no less than a tenth of the variance."""
    count = len(centred)
    variance = float(np.square(centred).mean())
    lags = min(count - 1, int(4 * (count / 100.0) ** (1.0 / 3.0)))
    total = variance
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * float((centred[lag:] * centred[:-lag]).sum()) / count
    return max(total, 0.1 * variance, 1e-12)


def change_points(series: Array, level: float, least: float = 0.0) -> list[int]:
    """Where the level of a series changes, by binary segmentation: at most `MOST_CHANGES` positions, in order."""
    found: list[int] = []
    parts = [(0, len(series))]
    while parts and len(found) < MOST_CHANGES:
        start, stop = parts.pop(0)
        if stop - start < 2 * SHORTEST:
            continue
        statistic, _, at = cusum(series[start:stop], least)
        if kstwobign.sf(statistic) < level and SHORTEST // 2 <= at < stop - start - SHORTEST // 2:
            found.append(start + at + 1)
            parts += [(start, start + at + 1), (start + at + 1, stop)]
    return sorted(found)
