"""One thing that the data report says, and what all checks look at: the data and an honest sample of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

import numpy as np

from revive.data.derive import is_read
from revive.data.extremes import extremes
from revive.data.trajectories import FloatArray, Trajectories
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

Severity = Literal["error", "warning"]
T = TypeVar("T")

MOST_ALIKE: Final = 5  # things of one kind that are told one by one
_SAMPLE_ROWS: Final = 20_000
_SMALL_SAMPLE_ROWS: Final = 4_000
_WINDOW: Final = 200  # rows of a sample that follow each other


@dataclass(frozen=True)
class Finding:
    """Something wrong, or worth knowing, about the data. `node` and `column` None: about all of them."""

    severity: Severity
    code: str
    message: str
    remedy: str
    node: str | None = None
    column: str | None = None

    @property
    def where(self) -> str:
        """`node.column`, as far as the finding is about one."""
        return ".".join(part for part in (self.node, self.column) if part)

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return asdict(self)


def counted(number: int, one: str, several: str | None = None) -> str:
    """`1 warning`, `2 warnings`."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def first_of_each(
    rows: Iterable[T], kind: Callable[[T], str], most: int = MOST_ALIKE
) -> tuple[list[T], dict[str, int]]:
    """The first `most` rows of each kind, in their order, and how many more there are of a kind that has more."""
    shown: list[T] = []
    seen: dict[str, int] = {}
    for row in rows:
        seen[kind(row)] = seen.get(kind(row), 0) + 1
        if seen[kind(row)] <= most:
            shown.append(row)
    return shown, {kind: count - most for kind, count in seen.items() if count > most}


def warning(
    code: str, message: str, remedy: str, node: str | None = None, column: str | None = None
) -> Finding:
    """A finding that stops nothing."""
    return Finding("warning", code, message, remedy, node, column)


@dataclass(frozen=True)
class Evidence:
    """What the checks look at: all rows where one pass is enough, `sample` where a statistic is computed."""

    trajectories: Trajectories
    graph: DecisionGraph

    @cached_property
    def sample(self) -> Trajectories:
        """Windows of consecutive rows, spread evenly over all trajectories; all rows where they are few."""
        return sample_windows(self.trajectories, _SAMPLE_ROWS)

    @cached_property
    def small_sample(self) -> Trajectories:
        """As `sample`, for what takes long."""
        return sample_windows(self.trajectories, _SMALL_SAMPLE_ROWS)

    @cached_property
    def ranges(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Node -> the smallest and the largest value (d,) of each column, over all rows."""
        return {name: extremes(array) for name, array in self.trajectories.arrays.items()}

    def logged(self, *, transitions: bool = False) -> Iterator[tuple[str, int, Column]]:
        """Node, column number and column of everything that comes from the log."""
        for name in self.trajectories.arrays:
            if is_read(self.graph, name) and (transitions or name not in self.graph.transitions):
                for number, column in enumerate(self.graph.columns(name)):
                    yield name, number, column

    def is_constant(self, node: str, number: int) -> bool:
        """Whether a column has one value in all rows."""
        low, high = self.ranges[node]
        return bool(low[number] == high[number])


def sample_windows(trajectories: Trajectories, rows: int) -> Trajectories:
    """About `rows` rows in windows of consecutive ones; all of them where there are no more."""
    if trajectories.rows <= rows:
        return trajectories
    pieces = np.maximum(1, trajectories.lengths // _WINDOW)
    owner = np.repeat(np.arange(trajectories.count), pieces)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = trajectories.starts[owner] + place * _WINDOW
    stops = np.minimum(starts + _WINDOW, trajectories.ends[owner])
    wanted = max(1, int(rows / (stops - starts).mean()))
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(wanted, len(starts))).round().astype(np.int64))
    return trajectories.cut(list(zip(starts[chosen].tolist(), stops[chosen].tolist(), strict=True)))
