"""Where the columns of a node lie in model space: continuous dimensions first, then discrete, then categories.

Grouping them lets a distribution treat each kind as one slice; the codec puts columns back in the user's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from revive.graph.columns import Column


@dataclass(frozen=True)
class Layout:
    """Model-space dimensions of one node (or of one frame of a history).

    continuous: how many dimensions are continuous (a cyclic column has two, its sine and cosine).
    levels: number of levels of each discrete column, one dimension each, from -1 to 1.
    choices: number of values of each category column, that many dimensions each, one-hot.
    """

    continuous: int
    levels: tuple[int, ...] = ()
    choices: tuple[int, ...] = ()

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Layout:
        """The layout of a node with these columns."""
        return cls(
            sum(2 if c.scale == "cyclic" else 1 for c in columns if c.type == "continuous"),
            tuple(int(c.num or 2) for c in columns if c.type == "discrete"),
            tuple(len(c.values or ()) for c in columns if c.type == "category"),
        )

    @property
    def ordered(self) -> int:
        """Dimensions with an order: the continuous and the discrete ones."""
        return self.continuous + len(self.levels)

    @property
    def width(self) -> int:
        """All dimensions."""
        return self.ordered + sum(self.choices)

    @property
    def is_plain(self) -> bool:
        """Whether everything is continuous."""
        return self.width == self.continuous

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """(start, stop) of each category column."""
        spans, start = [], self.ordered
        for size in self.choices:
            spans.append((start, start + size))
            start += size
        return tuple(spans)


@dataclass(frozen=True)
class Frames:
    """Where a history lies among the inputs of a network: `count` frames of `width`, from input `start` on.

    state: whether it is that of a state; own: whether of the one that the network predicts.
    """

    start: int
    count: int
    width: int
    state: bool = False
    own: bool = False
