"""Columns as gymnasium spaces, and values of these spaces as physical units and back.

| columns of the action | space |
|---|---|
| all continuous | `Box`, declared limits or else the logged range |
| one that is discrete or a category | `Discrete`, the number of the choice |
| several of those | `MultiDiscrete` |
| both kinds | `Dict`, by the name of the column |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.limits import limits

Array = NDArray[np.float64]
Range = tuple[Sequence[float], Sequence[float]]


class ActionSpace(Protocol):
    """One action's space; `physical` and `of` work on a batch of them, (B, d) in physical units."""

    @property
    def space(self) -> spaces.Space[Any]:
        """Of one action."""

    def physical(self, action: Any) -> Array:
        """A batch of `space` -> (B, d)."""

    def of(self, physical: Array) -> Any:
        """(B, d) -> a batch of `space`; the nearest there is."""


def actions_of(graph: DecisionGraph, nodes: Sequence[str], logged: Mapping[str, Range]) -> ActionSpace:
    """The space of all columns of the decisions `nodes`. logged: node -> the least and the largest value of each.

    A column is called by its name, and where several nodes have one of that name `node.column`.
    """
    columns = [(node, column) for node in nodes for column in graph.columns(node)]
    count = Counter(column.name for _, column in columns)
    named = [replace(c, name=f"{node}.{c.name}") if count[c.name] > 1 else c for node, c in columns]
    if any(node not in logged for node in nodes):
        return action_space(named, None)
    low, high = ([value for node in nodes for value in logged[node][end]] for end in (0, 1))
    return action_space(named, (low, high))


def action_space(columns: Sequence[Column], logged: Range | None) -> ActionSpace:
    """The space of a decision's columns. logged: the least and the largest value of each column."""
    plain = [column.type == "continuous" for column in columns]
    if all(plain):
        return Continuous(*_edges(columns, logged))
    choices = [
        None if p else _choices(c, i, logged) for i, (c, p) in enumerate(zip(columns, plain, strict=True))
    ]
    if not any(plain):
        return Choices([np.asarray(values) for values in choices])
    low, high = _edges(columns, logged)
    parts = {
        column.name: Continuous(low[i : i + 1], high[i : i + 1])
        if values is None
        else Choices([np.asarray(values)])
        for i, (column, values) in enumerate(zip(columns, choices, strict=True))
    }
    return Mixed(parts)


def observation_space(columns: Sequence[Column]) -> spaces.Box:
    """All columns side by side: declared limits, the least and the largest of a category, else without end."""
    low, high = (edge.astype(np.float32) for edge in limits(columns))
    for i, column in enumerate(columns):
        if column.type == "category" and column.values:
            low[i], high[i] = min(column.values), max(column.values)
    return spaces.Box(low, high, dtype=np.float32)


class Continuous:
    """Every column is a number."""

    def __init__(self, low: Array, high: Array) -> None:
        self.space = spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    def physical(self, action: Any) -> Array:
        return np.asarray(action, dtype=np.float64)

    def of(self, physical: Array) -> Any:
        return np.clip(physical.astype(np.float32), self.space.low, self.space.high)


class Choices:
    """Every column is one of some values. values: of each column."""

    def __init__(self, values: Sequence[Array]) -> None:
        self.values = values
        sizes = [len(v) for v in values]
        self.space: spaces.Space[Any] = (
            spaces.Discrete(sizes[0]) if len(sizes) == 1 else spaces.MultiDiscrete(np.array(sizes))
        )

    def physical(self, action: Any) -> Array:
        number = np.asarray(action, dtype=np.int64).reshape(-1, len(self.values))
        return np.stack([v[number[:, i]] for i, v in enumerate(self.values)], axis=1)

    def of(self, physical: Array) -> Any:
        number = [np.abs(physical[:, i, None] - v).argmin(1) for i, v in enumerate(self.values)]
        return number[0] if len(number) == 1 else np.stack(number, axis=1)


class Mixed:
    """Some columns are numbers, some are choices. parts: by the name of the column, in their order."""

    def __init__(self, parts: dict[str, Continuous | Choices]) -> None:
        self.parts = parts
        self.space = spaces.Dict({name: part.space for name, part in parts.items()})

    def physical(self, action: Any) -> Array:
        columns = [part.physical(action[name]).reshape(-1, 1) for name, part in self.parts.items()]
        return np.concatenate(columns, axis=1)

    def of(self, physical: Array) -> Any:
        return {name: part.of(physical[:, i : i + 1]) for i, (name, part) in enumerate(self.parts.items())}


def _edges(columns: Sequence[Column], logged: Range | None) -> tuple[Array, Array]:
    """Declared limits, else what was logged, else any number."""
    low, high = logged or ([-np.inf] * len(columns), [np.inf] * len(columns))
    least = [c.min if c.min is not None else a for c, a in zip(columns, low, strict=True)]
    most = [c.max if c.max is not None else b for c, b in zip(columns, high, strict=True)]
    return np.array(least, dtype=np.float64), np.array(most, dtype=np.float64)


def _choices(column: Column, number: int, logged: Range | None) -> Sequence[float]:
    if column.choices is not None:
        return column.choices
    low, high = _edges([column], None if logged is None else ([logged[0][number]], [logged[1][number]]))
    return np.linspace(low[0], high[0], int(column.num or 2)).tolist()
