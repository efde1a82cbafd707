"""What the data say about the columns by themselves: proposals, each with the lines that accept it.

Those that are exact can be applied to the graph at once; any other becomes true when the user writes it down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from revive.data.derive import is_read
from revive.data.dynamics_detectors import cumulative_columns, exogenous_columns
from revive.data.effect_detectors import Effects, dead_times
from revive.data.exact import arrivals, exact_bound, exact_circle, exact_copy
from revive.data.extremes import ties
from revive.data.finding import Evidence, counted
from revive.data.proposal import Proposal, quoted
from revive.data.readers.ends import BY_GAPS
from revive.data.trajectories import FloatArray, IntArray
from revive.graph.columns import Column
from revive.graph.found import Bound, Copied

__all__ = ["Proposal", "exact_proposals", "propose"]

_CIRCLE: Final = 1e-3  # the .999 quantile of |x^2 + y^2 - 1| on a unit circle
_GLANCED: Final = 64  # rows that all pairs of columns are tried on
_TIED: Final = 5  # rows at the exact extreme of a column that saturates
_VISITS: Final = 2  # times that it gets there inside a trajectory: one alone may be a standstill
_PILED: Final = 3  # times as many as at the value next to it
_DISTINCT: Final = 50  # values from which a column is not made of levels
_LONGEST_SHIFT: Final = 8
_FEWEST: Final = 100  # rows that a proposal is based on


@dataclass(frozen=True)
class _Found:
    node: str
    number: int
    name: str


def propose(evidence: Evidence, effects: Effects | None = None) -> list[Proposal]:
    """All proposals about the data of `evidence`, whose values are finite, but for what its graph has already."""
    if evidence.trajectories.rows < _FEWEST:
        return []
    maybe_exact = _maybe_exact(evidence)
    effects = effects or Effects(evidence)
    exogenous = exogenous_columns(evidence, effects)
    return [*maybe_exact, *exogenous, *dead_times(evidence, effects), *missing_termination(evidence)]


def exact_proposals(evidence: Evidence) -> list[Proposal]:
    """The proposals that hold in every row, each with its `change` of the graph; values are finite."""
    if evidence.trajectories.rows < _FEWEST:
        return []
    return [proposal for proposal in _maybe_exact(evidence) if proposal.is_exact]


def _maybe_exact(evidence: Evidence) -> list[Proposal]:
    circles, shifts = [*unit_circles(evidence)], [*exact_shifts(evidence)]
    kept = {column for circle in circles for column in circle.columns}
    kept |= {shift.columns[0] for shift in shifts if shift.is_exact}
    kept |= _kept_already(evidence)
    return [*circles, *saturated_columns(evidence, kept), *shifts, *cumulative_columns(evidence)]


def _kept_already(evidence: Evidence) -> set[str]:
    """`node.column` of the columns that the graph keeps on a circle, or copies from elsewhere."""
    graph = evidence.graph
    turning = {
        f"{node}.{graph.columns(node)[number].name}"
        for node in graph.states
        for pair in graph[node].circles
        for number in pair
    }
    return turning | {f"{c.node}.{c.column}" for c in graph.found if isinstance(c, Copied)}


def unit_circles(evidence: Evidence) -> Iterator[Proposal]:
    """Pairs of columns of one node that are cosine and sine of something."""
    for node, array in evidence.sample.arrays.items():
        if node in evidence.graph.transitions or not is_read(evidence.graph, node):
            continue
        columns = evidence.graph.columns(node)
        known = {number for pair in evidence.graph[node].circles for number in pair}
        likely = [
            number
            for number, column in enumerate(columns)
            if column.type == "continuous"
            and number not in known
            and not evidence.is_constant(node, number)
            and max(map(abs, (bound[number] for bound in evidence.ranges[node]))) <= 1.01
        ]
        for first, second in _near_circles(array, likely):
            off = np.abs(np.square(array[:, first]) + np.square(array[:, second]) - 1)
            distance = float(np.quantile(off, 0.999))
            if distance < _CIRCLE:
                names = (columns[first].name, columns[second].name)
                yield Proposal(
                    "circle",
                    tuple(f"{node}.{name}" for name in names),
                    distance,
                    f"lie on the unit circle within {distance:.1g}; a rollout would drift away from it",
                    f"nodes: {{{quoted(node)}: {{circle: [{', '.join(map(quoted, names))}]}}}}",
                    exact_circle(evidence, node, first, second),
                )


def _near_circles(array: FloatArray, numbers: list[int]) -> Iterator[tuple[int, int]]:
    """The pairs of columns whose squares add up to one in most of a few rows: a glance at all pairs at once."""
    square = np.square(array[:: -(-len(array) // _GLANCED)][:, numbers])  # (n, p)
    for place, first in enumerate(numbers[:-1]):
        off = np.abs(square[:, place + 1 :] + square[:, [place]] - 1)
        for behind in np.flatnonzero(np.median(off, axis=0) < _CIRCLE):
            yield first, numbers[place + 1 + int(behind)]


def saturated_columns(evidence: Evidence, kept: Collection[str]) -> Iterator[Proposal]:
    """State columns that pile up at their exact extreme, and whose rollouts nothing clamps yet.

    kept: `node.column` of columns that something else keeps in range.
    """
    for node in evidence.graph.states:
        free = _unbounded(evidence, node, kept)
        if not free:
            continue
        array, bounds = evidence.trajectories.arrays[node], evidence.ranges[node]
        tied = [ties(array, bound) for bound in bounds]
        for number in free:
            piles = [
                _piled(array[:, number], float(bounds[side][number]), side, evidence.trajectories.starts)
                for side in (0, 1)
                if tied[side][number] >= _TIED
            ]
            rows, name = max(piles, default=0), evidence.graph.columns(node)[number].name
            if rows:
                bound = exact_bound(evidence, node, number)
                yield Proposal(
                    "clamp",
                    (f"{node}.{name}",),
                    float(rows),
                    f"has {rows} rows at its exact extreme; a rollout would go beyond it",
                    f"- {quoted(name)}: {{dim: {quoted(node)}, type: continuous, {_as_yaml(bound)}}}",
                    bound,
                )


def _as_yaml(bound: Bound | None) -> str:
    ends = () if bound is None else (("min", bound.min), ("max", bound.max))
    return ", ".join(f"{key}: {value!r}" for key, value in ends if value is not None) or "clamp: true"


def _unbounded(evidence: Evidence, node: str, kept: Collection[str]) -> list[int]:
    """The numbers of the columns of a state that vary and that nothing keeps in range."""
    if node not in evidence.sample.arrays:
        return []
    sample = evidence.sample.arrays[node]
    return [
        number
        for number, column in enumerate(evidence.graph.columns(node))
        if column.type == "continuous"
        and not _is_clamped(column)
        and f"{node}.{column.name}" not in kept
        and not evidence.is_constant(node, number)
        and len(np.unique(sample[:, number])) >= _DISTINCT
    ]


def _is_clamped(column: Column) -> bool:
    return column.clamps or column.clamp is False or column.scale == "cyclic"


def _piled(values: FloatArray, extreme: float, side: int, starts: IntArray) -> int:
    """How many rows have exactly the value `extreme`; 0 where that is not remarkable."""
    at = values == extreme
    tied = int(at.sum())
    if arrivals(at, starts) < _VISITS:
        return 0
    rest = values[values != extreme]
    beside = rest.max() if side else rest.min()
    return tied if tied >= _PILED * int((rest == beside).sum()) else 0


def exact_shifts(evidence: Evidence) -> Iterator[Proposal]:
    """Columns that hold what another column held some rows before."""
    sample = evidence.sample
    rows = _rows_with_past(sample.starts, sample.ends)
    if len(rows) < _FEWEST // 2:
        return
    known = {(c.node, c.column) for c in evidence.graph.found if isinstance(c, Copied)}
    past: dict[
        bytes, tuple[_Found, int]
    ] = {}  # by a digest: the values of many columns would fill the memory
    columns = [_Found(node, number, column.name) for node, number, column in evidence.logged()]
    columns = [found for found in columns if not evidence.is_constant(found.node, found.number)]
    for steps in range(1, _LONGEST_SHIFT + 1):
        for found in columns:
            values = sample.arrays[found.node][rows - steps, found.number]
            past.setdefault(_digest(values), (found, steps))
    for found in columns:
        earlier = past.get(_digest(sample.arrays[found.node][rows, found.number]))
        if (found.node, found.name) in known or earlier is None or not _is_shift(evidence, found, *earlier):
            continue
        source, steps = earlier
        if (source.node, source.number) == (found.node, found.number):
            continue  # periodic in itself, which is no copy
        yield Proposal(
            "shift",
            (f"{found.node}.{found.name}", f"{source.node}.{source.name}"),
            float(steps),
            f"the first is exactly the second, {counted(steps, 'row')} before; a network would learn it only nearly",
            f"nodes: {{{quoted(source.node)}: {{ts: {steps + 1}}}}}  "
            f"# take ts_{source.node} as input, drop the column {found.name}",
            exact_copy(evidence, found.node, found.number, source.node, source.number, steps),
        )


def _digest(values: FloatArray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).digest()


def _rows_with_past(starts: IntArray, ends: IntArray) -> IntArray:
    """Rows that have `_LONGEST_SHIFT` rows of their trajectory before them."""
    pieces = [
        np.arange(a + _LONGEST_SHIFT, b) for a, b in zip(starts, ends, strict=True) if b - a > _LONGEST_SHIFT
    ]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)


def _is_shift(evidence: Evidence, found: _Found, source: _Found, steps: int) -> bool:
    """Whether the shift that the sample shows holds in all rows."""
    data = evidence.trajectories
    now = data.arrays[found.node][steps:, found.number]
    then = data.arrays[source.node][:-steps, source.number]
    wrong = np.flatnonzero(now != then) + steps
    owner = np.searchsorted(data.ends, wrong, side="right")
    return bool((wrong - data.starts[owner] < steps).all())


def missing_termination(evidence: Evidence) -> Iterator[Proposal]:
    """Trajectories of different lengths, and nothing in the graph that says why they ended.

    Where one begins as the other ends, or a pause of the log parts them, it is the log that ended and not the plant.
    """
    graph, data = evidence.graph, evidence.trajectories
    lengths = data.lengths
    if graph.done is not None or len(lengths) < 3 or lengths.min() == lengths.max():
        return
    if data.follows_on or not data.told_by or BY_GAPS in data.told_by:
        return
    share = float((lengths < lengths.max()).mean())
    what = f"trajectories end after {lengths.min()} to {lengths.max()} rows, and nothing says why"
    follows = ", ".join(quoted(name) for name in graph.transitions) or "state"
    yaml = f"- done: {{dim: done, type: category, values: [0, 1]}}  # and under graph: done: [{follows}]"
    yield Proposal("termination", (), share, what, yaml)
