"""Missing values: masked, and filled so that no value crosses the border of two trajectories."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from revive.data.extremes import extremes
from revive.data.trajectories import BoolArray, FloatArray, IntArray
from revive.errors import Problem, Problems, UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

_log = logging.getLogger("revive")


@dataclass(frozen=True)
class Filler:
    """Fills NaN with the last known value of the same trajectory; a gap at its beginning with the first one.

    What a transition says of the next row of its state, or the other way round, is known and not missing.
    A trajectory that holds no value of a column gets what is typical of the whole log: the median, or the
    most frequent value of a category or discrete column. `owns`: arrays are filled in place.
    """

    graph: DecisionGraph
    ends: IntArray
    source: str
    owns: bool

    def fill(self, arrays: dict[str, FloatArray]) -> dict[str, BoolArray] | None:
        """Replaces in `arrays` (node -> (N, d)) what has NaN; returns the masks of these nodes, or None.

        Logs one line with the counts of all columns. Raises UserError for a column without any value.
        """
        masks: dict[str, BoolArray] = {}
        counts: list[str] = []
        problems = Problems()
        for transition in self.graph.transitions:
            self._recover(arrays, self.graph.state_of(transition), transition)
        for name, array in arrays.items():
            if not _has_gaps(array):
                continue
            mask = np.isnan(array)
            filled = array if self.owns else array.copy()
            for number, column in enumerate(self.graph.columns(name)):
                if mask[:, number].any():
                    counts.append(f"{name}.{column.name} {int(mask[:, number].sum())}")
                    self._fill_column(filled[:, number], mask[:, number], name, column, problems)
            arrays[name], masks[name] = filled, mask
        if problems:
            raise UserError(*problems)
        if counts:
            _log.warning("%s: missing values are masked and filled: %s", self.source, ", ".join(counts))
        return masks or None

    def _recover(self, arrays: dict[str, FloatArray], state: str, transition: str) -> None:
        """Takes `X[t+1]` from `next_X[t]` and back, inside trajectories, where one of them is known."""
        now, following = arrays.get(state), arrays.get(transition)
        if now is None or following is None or not (_has_gaps(now) or _has_gaps(following)):
            return
        if not self.owns:
            now, following = now.copy(), following.copy()
        inside = np.ones((len(now) - 1, 1), dtype=bool)
        inside[self.ends[:-1] - 1] = False
        a, b = now[1:], following[:-1]
        known_a, known_b = ~np.isnan(a), ~np.isnan(b)
        np.copyto(a, b, where=inside & known_b & ~known_a)
        np.copyto(b, a, where=inside & known_a & ~known_b)
        arrays[state], arrays[transition] = now, following

    def _fill_column(
        self, values: FloatArray, mask: BoolArray, node: str, column: Column, problems: Problems
    ) -> None:
        if mask.all():
            what = f"'{column.name}' of '{node}' holds no value at all"
            place = f"{node}.{column.name}"
            remedy = "drop the column from the description"
            problems.append(Problem(what, self.source, place, remedy))
            return
        rows = np.arange(len(values))
        gaps = np.flatnonzero(mask)
        owner = np.searchsorted(self.ends, gaps, side="right")
        starts = np.concatenate([[0], self.ends[:-1]])[owner]
        before = np.maximum.accumulate(np.where(mask, -1, rows))[gaps]
        behind = np.minimum.accumulate(np.where(mask, len(rows), rows)[::-1])[::-1][gaps]
        source = np.where(before >= starts, before, np.where(behind < self.ends[owner], behind, -1))
        typical = _typical(values[~mask], column)
        values[gaps] = np.where(source >= 0, values[source], typical)


def _has_gaps(array: FloatArray) -> bool:
    return bool(np.isnan(extremes(array)[0]).any())


def _typical(known: FloatArray, column: Column) -> float:
    if column.type == "continuous":
        return float(np.median(known))
    values, counts = np.unique(known, return_counts=True)
    return float(values[np.argmax(counts)])
