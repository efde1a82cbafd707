"""What is searched: the columns of the tunable nodes, each over its legal range.

A point has one number per column: 0 .. 1 over the range of a continuous column, the index of the value of a
discrete or category column. Points are float64, (P, D). A cyclic column has no edge: 1.2 is 0.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from revive.errors import Problem, Problems, UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Dimension:
    """One tunable column: `low` and `high` in physical units, `choices` where it has only so many values."""

    node: str
    column: Column
    low: float
    high: float
    choices: tuple[float, ...] | None
    logged: float | None

    @property
    def is_continuous(self) -> bool:
        return self.choices is None

    @property
    def is_logarithmic(self) -> bool:
        return self.column.scale == "log" and self.low > 0

    @property
    def is_cyclic(self) -> bool:
        """Whether the whole cycle is searched, so that its end is its beginning."""
        return self.column.cycle is not None and self.high - self.low >= self.column.cycle

    def to_physical(self, points: Tensor) -> Tensor:
        """Points (...) of this dimension -> physical units."""
        if self.choices is not None:
            return torch.tensor(self.choices, dtype=points.dtype)[points.detach().round().long()]
        if self.is_logarithmic:
            low, high = math.log(self.low), math.log(self.high)
            return torch.exp(low + (high - low) * points)
        if self.is_cyclic:
            points = points - points.detach().floor()
        return self.low + (self.high - self.low) * points

    def from_physical(self, value: float) -> float:
        """The nearest legal point."""
        if self.choices is not None:
            return float(np.abs(np.asarray(self.choices) - value).argmin())
        if self.is_logarithmic:
            value = max(value, self.low)
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        if self.is_cyclic:
            return share % 1.0
        return min(1.0, max(0.0, share))


@dataclass(frozen=True)
class Space:
    """All dimensions, in the order of the nodes and of their columns."""

    dimensions: tuple[Dimension, ...]

    @classmethod
    def of(cls, graph: DecisionGraph, logged: Mapping[str, Array]) -> Space:
        """The declared ranges, or what was observed where none is declared.

        logged: node -> (N, d) in physical units; NaN where a value is missing.

        Raises:
            UserError: nothing is tunable, or columns have no range to search; all of them are named.
        """
        if not graph.tunables:
            what = "there is nothing to tune: the graph has no tunable node"
            remedy = "name an exogenous node in the description: metadata.tunable: [NODE]"
            raise UserError(Problem(what, place="tuning.mode", remedy=remedy))
        problems, found = Problems(), []
        for node in graph.tunables:
            for i, column in enumerate(graph.columns(node)):
                values = logged[node][:, i] if node in logged else np.zeros(0)
                found.append(_dimension(node, column, values[np.isfinite(values)], problems))
        problems.raise_if_any()
        return cls(tuple(dimension for dimension in found if dimension is not None))

    @property
    def size(self) -> int:
        return len(self.dimensions)

    @property
    def names(self) -> list[str]:
        return [dimension.column.name for dimension in self.dimensions]

    @cached_property
    def continuous(self) -> list[int]:
        """The dimensions with an interval."""
        return [i for i, d in enumerate(self.dimensions) if d.is_continuous]

    @cached_property
    def cyclic(self) -> list[int]:
        """The continuous dimensions without an edge."""
        return [i for i in self.continuous if self.dimensions[i].is_cyclic]

    @cached_property
    def discrete(self) -> list[int]:
        """The dimensions with a list of values."""
        return [i for i, d in enumerate(self.dimensions) if not d.is_continuous]

    @cached_property
    def counts(self) -> list[int]:
        """How many values each of the `discrete` dimensions has."""
        return [len(self.dimensions[i].choices or ()) for i in self.discrete]

    @property
    def combinations(self) -> int:
        """Of the values of the discrete dimensions; 1 where there are none."""
        return math.prod(self.counts)

    def physical(self, points: Tensor) -> dict[str, Tensor]:
        """Points (P, D) -> node -> (P, d) in physical units, with gradients."""
        values = [d.to_physical(points[:, i]) for i, d in enumerate(self.dimensions)]
        nodes = dict.fromkeys(d.node for d in self.dimensions)
        return {
            node: torch.stack(
                [v for v, d in zip(values, self.dimensions, strict=True) if d.node == node], dim=-1
            )
            for node in nodes
        }

    def values(self, point: Tensor) -> dict[str, dict[str, float]]:
        """A point (D,) as node -> column -> physical value."""
        found: dict[str, dict[str, float]] = {}
        for i, d in enumerate(self.dimensions):
            found.setdefault(d.node, {})[d.column.name] = float(d.to_physical(point[i]))
        return found

    def legal(self, points: Tensor, margin: float = 0.0) -> Tensor:
        """The nearest points, `margin` away from every edge; cyclic columns are counted from their beginning."""
        found = points.clone()
        found[:, self.continuous] = points[:, self.continuous].clamp(margin, 1 - margin)
        found[:, self.cyclic] = points[:, self.cyclic] % 1.0
        return found

    def spread(self, count: int, seed: int) -> Tensor:
        """`count` points all over the space, (count, D): scrambled Sobol numbers."""
        sobol = torch.quasirandom.SobolEngine(self.size, scramble=True, seed=seed)
        return self.from_unit(sobol.draw(count, dtype=torch.float64))

    def from_unit(self, unit: Tensor) -> Tensor:
        """Numbers 0 .. 1, (P, D), as points: the discrete dimensions cut into equal parts."""
        points = unit.clone()
        for i, count in zip(self.discrete, self.counts, strict=True):
            points[:, i] = (unit[:, i] * count).floor().clamp(0, count - 1)
        return points

    def all_choices(self, rows: range) -> Tensor:
        """The combinations of discrete values with these numbers, (len(rows), D); continuous ones at 0.5."""
        points = torch.full((len(rows), self.size), 0.5, dtype=torch.float64)
        number = torch.arange(rows.start, rows.stop)
        for i, count in zip(self.discrete, self.counts, strict=True):
            points[:, i] = (number % count).double()
            number = number // count
        return points

    @property
    def logged(self) -> Tensor | None:
        """The point of the logs: the median, or the commonest value, of every column; None without logs."""
        if any(d.logged is None for d in self.dimensions):
            return None
        point = [d.from_physical(d.logged) for d in self.dimensions if d.logged is not None]
        return torch.tensor(point, dtype=torch.float64)


def _dimension(node: str, column: Column, seen: Array, problems: Problems) -> Dimension | None:
    low, high = _range(column, seen)
    choices = column.choices
    if choices is None and (low is None or high is None or not high > low):
        what = f"the tunable column '{column.name}' has no range to search"
        if low is not None and low == high:
            what += f": the logs know only {low:g}"
        problems.add(what, place=f"{node}.{column.name}", remedy="declare its 'min' and 'max'")
        return None
    if choices is None and column.type == "discrete":
        choices = tuple(np.linspace(low or 0.0, high or 0.0, int(column.num or 2)).tolist())
    if choices is not None:
        low, high = min(choices), max(choices)
    assert low is not None
    assert high is not None
    return Dimension(node, column, low, high, choices, _middle(seen, choices))


def _range(column: Column, seen: Array) -> tuple[float | None, float | None]:
    """The declared range, else the whole cycle of a cyclic column; the observed one where a bound is missing."""
    bounded = column.min is not None and column.max is not None
    if column.cycle is not None and not (bounded and column.max - column.min < column.cycle):  # type: ignore[operator]
        begin = column.min or 0.0
        return begin, begin + column.cycle
    observed = (float(seen.min()), float(seen.max())) if len(seen) else (None, None)
    low = observed[0] if column.min is None else column.min
    return low, observed[1] if column.max is None else column.max


def _middle(seen: Array, choices: Sequence[float] | None) -> float | None:
    if len(seen) == 0:
        return None
    if choices is None:
        return float(np.median(seen))
    values, counts = np.unique(seen, return_counts=True)
    return float(values[counts.argmax()])
