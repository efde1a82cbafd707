"""Warnings about rows and trajectories: repeated rows, gaps in time, short trajectories, drift."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from revive.data.derive import is_read
from revive.data.duration import duration
from revive.data.finding import Evidence, Finding, counted, sample_windows, warning
from revive.data.parallel import each, spans
from revive.data.split import Split
from revive.data.trajectories import FloatArray
from revive.errors import override

_BLOCK: Final = 1 << 14  # rows hashed together
_SPAN: Final = 1 << 17  # rows that are worth a thread of their own
_HASHED: Final = 1 << 19  # rows that are compared with all others; of more, an unbiased part
_REPEATED: Final = 1e-3  # share of repeated rows from which they are mentioned
_DISTINCT: Final = 0.5  # share of distinct values from which a column tells rows apart
_GAP: Final = 3.0  # times the usual step
_IRREGULAR: Final = 0.02  # share of such steps from which rows are sampled irregularly
_UNEVEN: Final = 0.5  # of the usual step: what differs by more is another step
_UNEVEN_SHARE: Final = 0.2  # share of such steps from which none is usual
_DRIFT: Final = 0.3  # distance of two distribution functions
_PART_ROWS: Final = 5000
_FEWEST: Final = 50


def duplicated_rows(evidence: Evidence) -> Iterator[Finding]:
    """Rows that are equal to an earlier one in every column, where values hardly ever repeat."""
    sample = evidence.sample
    distinct = {
        (node, number): len(np.unique(sample.arrays[node][:, number])) / sample.rows
        for node, number, column in evidence.logged()
        if column.type == "continuous"
    }
    telling = max(distinct, key=lambda column: distinct[column], default=None)
    if telling is None or distinct[telling] < _DISTINCT:
        return
    hashes = np.sort(_row_hashes(evidence, *telling))
    repeated = float((hashes[1:] == hashes[:-1]).sum() / max(1, len(hashes)))
    if repeated > _REPEATED:
        what = f"{repeated:.1%} of the rows repeat another row in every column"
        remedy = "drop the copies: they count twice, and may lie in the training and the validation part"
        yield warning("duplicated-rows", what, remedy)


def _row_hashes(evidence: Evidence, node: str, number: int) -> np.ndarray:
    """(n,) a number for each row; of very many rows, for those of certain values in one telling column."""
    arrays = evidence.trajectories.arrays
    rows = evidence.trajectories.rows
    keep = np.uint64(2 ** max(0, math.ceil(math.log2(rows / _HASHED))) - 1)
    own = _factors(1, 1)
    others = [
        (array, _factors(seed, array.shape[1]))
        for seed, array in enumerate((arrays[n] for n in arrays if is_read(evidence.graph, n)), 2)
    ]

    def hashed(span: tuple[int, int]) -> np.ndarray:
        found: list[np.ndarray] = []
        for start in range(*span, _BLOCK):
            block = slice(start, min(start + _BLOCK, span[1]))
            chosen = np.flatnonzero((_mixed(arrays[node][block, number : number + 1], own) & keep) == 0)
            parts = [_mixed(array[block][chosen], factors) for array, factors in others]
            found.append(np.asarray(np.sum(parts, axis=0, dtype=np.uint64)))
        return np.concatenate(found)

    return np.concatenate(each(hashed, spans(rows, _SPAN)))


def _factors(seed: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 1 << 62, width, dtype=np.uint64) * 2 + 1


def _mixed(array: FloatArray, factors: np.ndarray) -> np.ndarray:
    """(n,) the bits of all numbers of a row, well stirred; `factors` (d,) are odd."""
    bits = (array + 0.0).view(np.uint64)
    total = ((bits ^ (bits >> np.uint64(29))) * factors).sum(axis=1, dtype=np.uint64)
    return np.asarray((total ^ (total >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20))


def time_gaps(evidence: Evidence) -> Iterator[Finding]:
    """Steps in time that are much longer than usual, or no steps at all, inside trajectories."""
    data = evidence.trajectories
    if data.time is None or data.rows < 3:
        return
    steps = np.diff(data.time)
    inside = np.ones(len(steps), dtype=bool)
    inside[data.ends[:-1] - 1] = False
    if not inside.any():
        return
    usual = float(np.median(steps[inside]))
    long = np.flatnonzero(inside & (steps > _GAP * usual))
    still = np.flatnonzero(inside & (steps <= 0))
    if len(long) and usual > 0:
        longer = counted(len(long), "step is", "steps are")
        scale = None if data.step_seconds is None else data.step_seconds / usual
        most = float(steps[long].max())
        shown = [f"{length:.4g}" if scale is None else duration(length * scale) for length in (usual, most)]
        what = f"{longer} longer than {_GAP:g} times the usual {shown[0]}, "
        what += f"e.g. {shown[1]} after row {long[np.argmax(steps[long])]}"
        remedy = f"cut trajectories there: dataset.gap={_GAP * usual:.4g}"
        if len(long) > _IRREGULAR * len(steps):
            remedy = f"rows that come irregularly can be put on an even grid: dataset.resample={usual:.4g} "
            remedy += "(in the unit of the time, or with one: 60s, 5min; docs/tables.md)"
        yield warning("time-gap", what, remedy)
    elif usual > 0:
        yield from _uneven(steps[inside], usual)
    if len(still):
        what = f"{counted(len(still), 'row has', 'rows have')} the time of the row before, e.g. row {still[0] + 1}"
        yield warning("time-stands", what, "drop the copies, or correct the times")


def _uneven(steps: FloatArray, usual: float) -> Iterator[Finding]:
    """Steps in time that have no usual length: what happens in a step differs from row to row."""
    if len(steps) < _FEWEST or (np.abs(steps - usual) > _UNEVEN * usual).mean() <= _UNEVEN_SHARE:
        return
    low, high = np.quantile(steps, [0.05, 0.95])
    what = f"rows come irregularly: nine steps in ten take {low:.4g} to {high:.4g}, and a model takes them for equal"
    remedy = f"put them on an even grid: dataset.resample={usual:.4g} (in the unit of the time, or with one: 60s, 5min)"
    yield warning("irregular", what, remedy)


def time_not_used(evidence: Evidence) -> Iterator[Finding]:
    """A column that looks like the time of a row, and is not read."""
    if names := evidence.trajectories.unused_times:
        what = f"{names[0]!r} looks like the time of a row and is not used, so order and gaps are not checked"
        more = f" (so do {', '.join(map(repr, names[1:4]))})" if len(names) > 1 else ""
        yield warning("time-not-used", what + more, override("dataset.time", names[0]))


def rows_after_done(evidence: Evidence) -> Iterator[Finding]:
    """Rows of a trajectory that stand behind one in which it is done."""
    data, done = evidence.trajectories, evidence.graph.done
    if done is None or done not in data.arrays:
        return
    over = data.arrays[done][:, 0] > 0.5
    last = np.zeros(len(over), dtype=bool)
    last[data.ends - 1] = True
    early = np.flatnonzero(over & ~last)
    if len(early):
        rows = counted(len(early), "row that is", "rows that are")
        what = f"'{done}' is 1 in {rows} not the last of a trajectory, e.g. in row {early[0]}"
        remedy = "end the trajectory there: what follows is another one, or 'done' is wrong"
        yield warning("after-done", what, remedy, done)


def short_trajectories(evidence: Evidence, horizon: int | None) -> Iterator[Finding]:
    """Trajectories that are shorter than the horizon of a rollout."""
    if horizon is None:
        return
    lengths = evidence.trajectories.lengths
    short = int((lengths < horizon).sum())
    if short:
        verb = "is" if short == 1 else "are"
        of = counted(len(lengths), "trajectory", "trajectories")
        what = f"{short} of {of} {verb} shorter than the horizon of {horizon} steps"
        remedy = (
            f"they are judged as far as they go; at least half of them have {int(np.median(lengths))} rows"
        )
        yield warning("horizon", what, remedy)


def drift(evidence: Evidence, split: Split | None) -> Iterator[Finding]:
    """Columns that are distributed differently in the training part and another one."""
    if split is None:
        return
    train = sample_windows(split.train, _PART_ROWS)
    for label, part in (("validation", split.validation), ("test", split.test)):
        if part is None or min(train.rows, part.rows) < _FEWEST:
            continue
        other = sample_windows(part, _PART_ROWS)
        for node, number, column in evidence.logged():
            a, b = train.arrays[node][:, number], other.arrays[node][:, number]
            distance = _distance(a, b)
            if distance > _DRIFT:
                what = (
                    f"'{column.name}' differs between training and {label}: medians {np.median(a):.4g} and "
                )
                what += f"{np.median(b):.4g}, distance of distributions {distance:.2f} of 1"
                remedy = "more or shorter trajectories, another seed, or a column that tells the difference"
                yield warning("drift", what, remedy, node, column.name)


def _distance(a: FloatArray, b: FloatArray) -> float:
    """The largest difference between the two distribution functions (Kolmogorov-Smirnov)."""
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate([a, b])
    shares = [np.searchsorted(values, both, side="right") / len(values) for values in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())
