"""How much of something follows from something else: regressions judged on rows that they did not see."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import numpy as np

from revive.data.trajectories import FloatArray, IntArray, Trajectories
from revive.graph.decision_graph import DecisionGraph

_BLOCK: Final = 50  # consecutive rows that stay on one side of the judgement
_FEATURES: Final = 80  # random waves for each of the two length scales
_SCALES: Final = (0.5, 0.15)  # frequencies, per standard deviation of an input
_RIDGES: Final = (1e-7, 1e-4, 1e-2)
_NEIGHBOURS: Final = 3
_COMPARED: Final = 2000
_TOGETHER: Final = 128  # rows whose neighbours are looked for at a time
_MOST_PRODUCTS: Final = 12  # inputs up to which all products of two are features
_FEWEST: Final = 60  # rows below which nothing is judged


def design(
    trajectories: Trajectories,
    graph: DecisionGraph,
    nodes: Iterable[str],
    without: Collection[tuple[str, int]] = (),
) -> FloatArray:
    """The columns of `nodes` side by side (N, p), category columns as one column for each value.

    without: (node, column number) of columns that are left out, of the node and of its histories.
    """
    parts: list[FloatArray] = []
    for name in nodes:
        if name not in trajectories.arrays:
            continue
        source = graph.source_of(name)
        for number, column in enumerate(graph.columns(name)):
            if (source, number % graph[source].width) in without:
                continue
            values = trajectories.arrays[name][:, number]
            if column.type == "category" and column.values:
                parts += [np.asarray(values == choice, dtype=np.float64) for choice in column.values]
            else:
                parts.append(values)
    return np.column_stack(parts) if parts else np.zeros((trajectories.rows, 0))


def unexplained(
    inputs: FloatArray, targets: FloatArray, ends: IntArray, *, waves: bool = True, neighbours: bool = False
) -> FloatArray | None:
    """The share of the variance of each target (N, q) that no regression on `inputs` (N, p) explains -> (q,).

    Linear and quadratic regression, with `waves` that on random waves too (it follows any smooth curve), with
    `neighbours` that of the nearest rows (it follows jumps), each fitted on every other block of rows and
    judged on the rest; the best one counts for each target. `ends` (K,) keep blocks inside trajectories.
    NaN for a target that does not vary; None where there are too few rows or blocks to judge.
    """
    seen = _seen(len(targets), ends)
    if seen is None:
        return None
    x = _standard(inputs, seen)
    y = targets - targets[seen].mean(axis=0)
    variance = np.square(y[~seen]).mean(axis=0)
    best = np.where(variance > 0, 1.0, np.nan)
    for features in _feature_sets(x, waves):
        for error in _ridge_errors(features, y, seen):
            best = np.fmin(best, error / np.where(variance > 0, variance, np.nan))
    if neighbours and 0 < x.shape[1] <= _MOST_PRODUCTS:
        best = np.fmin(best, _neighbour_error(x, y, seen) / np.where(variance > 0, variance, np.nan))
    return np.where(variance > 0, best, np.nan)


def unexplained_alone(inputs: FloatArray, targets: FloatArray, ends: IntArray) -> FloatArray | None:
    """As `unexplained`, but (q,) of each target (N, q) that a line through the one input beside it (N, q) leaves."""
    seen = _seen(len(targets), ends)
    if seen is None:
        return None
    x, y = inputs - inputs[seen].mean(axis=0), targets - targets[seen].mean(axis=0)
    size, variance = np.square(x[seen]).sum(axis=0), np.square(y[~seen]).mean(axis=0)
    slope = (x[seen] * y[seen]).sum(axis=0) / np.where(size > 0, size, np.inf)
    left = np.square(y[~seen] - slope * x[~seen]).mean(axis=0) / np.where(variance > 0, variance, np.nan)
    return np.asarray(np.minimum(left, 1.0))


def _seen(rows: int, ends: IntArray) -> np.ndarray | None:
    """(N,) which rows are fitted on: every other block."""
    if rows < _FEWEST:
        return None
    lengths = np.diff(ends, prepend=0)
    owner = np.repeat(np.arange(len(ends)), lengths)
    place = (np.arange(rows) - np.repeat(ends - lengths, lengths)) // _BLOCK
    change = np.append(False, (np.diff(owner) != 0) | (np.diff(place) != 0))
    seen = np.cumsum(change) % 2 == 0
    return seen if min(seen.sum(), (~seen).sum()) >= _FEWEST // 3 else None


def _standard(inputs: FloatArray, seen: np.ndarray) -> FloatArray:
    """Inputs (N, p) with mean 0 and deviation 1; those that do not vary are left out."""
    center, spread = inputs[seen].mean(axis=0), inputs[seen].std(axis=0)
    varies = spread > 1e-12 * np.maximum(1.0, np.abs(center))
    return np.clip((inputs[:, varies] - center[varies]) / spread[varies], -20.0, 20.0)


def _feature_sets(x: FloatArray, waves: bool) -> list[FloatArray]:
    rows, p = x.shape
    linear = np.column_stack([np.ones(rows), x])
    if p == 0 or p > 300:
        return [linear]
    first, second = np.triu_indices(p) if p <= _MOST_PRODUCTS else (np.arange(p), np.arange(p))
    quadratic = np.column_stack([linear, x[:, first] * x[:, second]])
    if not waves:
        return [quadratic]
    rng = np.random.default_rng(0)
    curved = [linear]
    for scale in _SCALES:
        frequencies = rng.normal(size=(p, _FEATURES)) * scale * 3 / np.sqrt(p)
        curved.append(np.cos(x @ frequencies + rng.uniform(0, 2 * np.pi, _FEATURES)))
    return [quadratic, np.column_stack(curved)]


def _ridge_errors(features: FloatArray, y: FloatArray, seen: np.ndarray) -> list[FloatArray]:
    """The mean squared error (q,) on the rows not seen, for each strength of the ridge.

    With more features than rows it is solved in rows, which gives the same answers: X'(X X' + k)^-1 y instead of
    (X'X + k)^-1 X'y (Saunders, Gammerman and Vovk, "Ridge regression learning algorithm in dual variables", 1998).
    """
    fit, judge = features[seen], features[~seen]
    if fit.shape[1] > fit.shape[0]:
        gram, moment, judge = fit @ fit.T, y[seen], judge @ fit.T
    else:
        gram, moment = fit.T @ fit, fit.T @ y[seen]
    size = np.trace(gram) / fit.shape[1]
    errors = []
    for ridge in _RIDGES:
        weights = np.linalg.solve(gram + ridge * size * np.eye(len(gram)), moment)
        errors.append(np.square(y[~seen] - judge @ weights).mean(axis=0))
    return errors


def _neighbour_error(x: FloatArray, y: FloatArray, seen: np.ndarray) -> FloatArray:
    """The mean squared error (q,) of the mean of the nearest rows, on at most `_COMPARED` rows each way."""
    known, asked = (_thinned(np.flatnonzero(side)) for side in (seen, ~seen))
    b, size, answers = x[known].T, np.square(x[known]).sum(axis=1), y[known]
    errors = np.empty_like(y[asked])
    for start in range(0, len(asked), _TOGETHER):
        some = asked[start : start + _TOGETHER]
        distance = size - 2 * x[some] @ b  # less what is the same for all of the known rows
        near = np.argpartition(distance, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
        errors[start : start + _TOGETHER] = np.square(y[some] - answers[near].mean(axis=1))
    return np.asarray(errors.mean(axis=0))


def _thinned(rows: IntArray) -> IntArray:
    return rows[:: -(-len(rows) // _COMPARED)]
