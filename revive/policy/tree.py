"""A small decision tree that imitates a policy, to be read, not to be used: CART for regression.

A node is split where the sum of squared errors about the means of its two sides is least (Breiman et al. 1984).
Thirty lines of numpy do for trees of depth three, so that no further library is needed for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revive.graph.units import with_unit

Array = NDArray[np.float64]
DEPTH, FEWEST = 3, 0.02  # levels; share of the rows that a leaf must hold


@dataclass(frozen=True)
class Tree:
    """value: (k,) the mean of its rows. share: of all rows. A leaf has no feature; else below goes left, `<=`."""

    value: Array
    share: float
    feature: int | None = None
    threshold: float = 0.0
    below: Tree | None = None
    above: Tree | None = None

    def predict(self, x: Array) -> Array:
        """(n, d) -> (n, k)."""
        if self.feature is None or self.below is None or self.above is None:
            return np.broadcast_to(self.value, (len(x), len(self.value))).copy()
        left = x[:, self.feature] <= self.threshold
        out = np.empty((len(x), len(self.value)))
        out[left], out[~left] = self.below.predict(x[left]), self.above.predict(x[~left])
        return out

    def lines(
        self, inputs: Sequence[str], outputs: Sequence[str], units: Mapping[str, str], indent: str = ""
    ) -> list[str]:
        """The tree as text, one line for each question and each answer. units: of inputs and outputs by name."""
        if self.feature is None or self.below is None or self.above is None:
            said = ", ".join(
                f"{name} = {with_unit(f'{value:.3g}', units.get(name, ''))}"
                for name, value in zip(outputs, self.value, strict=True)
            )
            return [f"{indent}{said}   ({self.share:.0%} of the steps)"]
        name = inputs[self.feature]
        at = with_unit(f"{self.threshold:.3g}", units.get(name, ""))
        return [
            f"{indent}if {name} <= {at}:",
            *self.below.lines(inputs, outputs, units, indent + "    "),
            f"{indent}else ({name} > {at}):",
            *self.above.lines(inputs, outputs, units, indent + "    "),
        ]


def grow(x: Array, y: Array, depth: int = DEPTH, fewest: float = FEWEST) -> Tree:
    """x (n, d), y (n, k), n at least 1. y is weighed by its own variance, column by column."""
    scale = np.maximum(
        y.std(0), 1e-9 * (1.0 + np.abs(y).max(0))
    )  # what never varies is not split for rounding
    return _grown(x, y, scale, depth, max(1, int(fewest * len(x))), len(x))


def _grown(x: Array, y: Array, scale: Array, depth: int, fewest: int, total: int) -> Tree:
    leaf = Tree(y.mean(0), len(x) / total)
    best = _best_split(x, y / scale, fewest) if depth else None
    if best is None:
        return leaf
    feature, threshold = best
    left = x[:, feature] <= threshold
    sides = (_grown(x[side], y[side], scale, depth - 1, fewest, total) for side in (left, ~left))
    below, above = sides
    return Tree(leaf.value, leaf.share, feature, threshold, below, above)


def _best_split(x: Array, y: Array, fewest: int) -> tuple[int, float] | None:
    """The input and the threshold that leave the least squared error; None where none lowers it by a thousandth."""
    count = len(x)
    if count < 2 * fewest:
        return None
    whole = float(np.square(y - y.mean(0)).sum())
    best, lowest = None, whole * 0.999 - 1e-6 * count
    sizes = np.arange(1, count)[:, None]
    for feature in range(x.shape[1]):
        order = np.argsort(x[:, feature], kind="stable")
        value, target = x[order, feature], y[order]
        total, squares = target.cumsum(0), np.square(target).sum()
        left = np.square(total[:-1]) / sizes
        right = np.square(total[-1] - total[:-1]) / (count - sizes)
        error = squares - (left + right).sum(1)  # (n - 1,)
        allowed = (value[1:] > value[:-1]) & (sizes[:, 0] >= fewest) & (count - sizes[:, 0] >= fewest)
        error = np.where(allowed, error, np.inf)
        at = int(error.argmin())
        if error[at] < lowest:
            best, lowest = (feature, float((value[at] + value[at + 1]) / 2.0)), float(error[at])
    return best


def imitate(
    x: Array,
    y: Array,
    inputs: Sequence[str],
    outputs: Sequence[str],
    units: Mapping[str, str] | None = None,
    depth: int = DEPTH,
) -> dict[str, Any]:
    """A tree of what a policy does: {text, fidelity, error}. x (n, d) what it saw, y (n, k) what it did, physical
    units. units: of inputs and outputs by name, for the text.

    fidelity: share of the action's variance that the tree explains on every fourth row, which it was not grown from,
    by output. error: the mean absolute difference there.
    """
    held_out = np.arange(len(x)) % 4 == 3
    tree = grow(x[~held_out], y[~held_out], depth)
    wrong = y[held_out] - tree.predict(x[held_out])
    variance = np.maximum(y[held_out].var(0), 1e-12)
    fidelity = 1.0 - np.square(wrong).mean(0) / variance
    return {
        "text": "\n".join(tree.lines(inputs, outputs, units or {})),
        "fidelity": dict(zip(outputs, fidelity.tolist(), strict=True)),
        "error": dict(zip(outputs, np.abs(wrong).mean(0).tolist(), strict=True)),
    }
