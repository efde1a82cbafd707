"""What a controller must remember between its calls: the last values of what it sees and does. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import HistorySpec

Array = NDArray[np.float64]


class Memory:
    """The histories among a policy's inputs, kept up to date; and the step counter, where it sees one.

    What was before the first step can be told (`begin`). Where it is not, the first value seen stands for the ones
    before it, and the middle of the logged values, (d,), which `middle` tells of a node, for what was decided; `untold`
    says where: source of a history -> (B, d), true in rows and columns of which nothing was told. A decision holds for
    `repeat` steps of its plant.
    """

    def __init__(
        self, graph: DecisionGraph, inputs: Sequence[str], middle: Callable[[str], Array], repeat: int = 1
    ) -> None:
        self.graph, self.middle, self.repeat = graph, middle, repeat
        self.specs: dict[str, HistorySpec] = {
            name: spec for name in inputs if (spec := graph[name].history) is not None
        }
        self.counter = graph.step if graph.step in inputs else None
        self.past: dict[str, Array] = {}
        self.untold: dict[str, NDArray[np.bool_]] = {}
        self.steps: Array | None = None
        self._done: Array | None = None  # in the last step, (B, d)
        self._filled: dict[str, Array] = {}  # the past of this step; it is kept only where the step succeeds

    def shown(self, target: str) -> tuple[str, ...]:
        """What has to be seen in each step: the inputs of the target, and what histories among them are of."""
        kept = {*self.specs, self.counter, target, *(part for part, _ in self.graph[target].parts)}
        sources = [
            self.specs[name].source if name in self.specs else name for name in self.graph[target].inputs
        ]
        return tuple(dict.fromkeys(name for name in sources if name not in kept))

    @property
    def remembered(self) -> tuple[str, ...]:
        """The nodes of which values before the present step are needed."""
        return tuple(dict.fromkeys(spec.source for spec in self.specs.values() if spec.lookback))

    def begin(
        self, plants: int, rows: NDArray[np.int64] | None = None, before: Mapping[str, Array] | None = None
    ) -> None:
        """Begin anew with so many plants, or only in the rows (indices) of those that were started again.

        before: node -> (T, rows, d), physical, its values before the first step, the oldest one first; the oldest
        stands for those before it. NaN where a value is not known.
        """
        index = slice(None) if rows is None else rows
        if rows is None or self.steps is None:
            self.steps, self.past, self.untold = np.zeros((plants, 1)), {}, {}
        self.steps[index] = 0.0
        for name, spec in self.specs.items():
            width = self.graph[spec.source].width
            past = self.past.setdefault(name, np.full((plants, spec.lookback * width), np.nan))
            told = (before or {}).get(spec.source)
            past[index] = np.nan if told is None else _last(told, spec.lookback)
            unknown = self.untold.setdefault(spec.source, np.ones((plants, width), dtype=bool))
            unknown[index] = True if told is None else np.isnan(told[-1])

    def resume(self, row: int, steps: float, past: Mapping[str, Array]) -> None:
        """Go on with one plant where it stood: the number of its steps, and of every history its frames, (d,)."""
        self.steps[row] = steps  # type: ignore[index]
        for name, frames in past.items():
            self.past[name][row] = frames
            self.untold[self.specs[name].source][row] = False

    def assumed(self, seen: Mapping[str, Array]) -> dict[str, Array]:
        """Node -> (B, d), what stands for its values before the first step; NaN where they were told.

        seen: of the first step, node -> (B, d).
        """
        found = {}
        for node in self.remembered:
            unknown = self.untold[node]
            stood = seen[node] if node in seen else np.tile(self.middle(node), (len(unknown), 1))
            found[node] = np.where(unknown, stood, np.nan)
        return found

    def complete(
        self, seen: Mapping[str, Array], done: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """`seen` (node -> (B, d), physical) with the histories and the counter that are not in it.

        done: what is decided in this step, where it is known already: it stands for what nobody has told of before.
        """
        full = dict(seen)
        known = 1 if self.steps is None else len(self.steps)
        rows = len(next(iter(seen.values()))) if seen else known
        if self.steps is None or len(self.steps) != rows:
            self.begin(rows)
        for node in done or {}:
            if node in self.untold:
                self.untold[node] &= self.steps > 0.0  # type: ignore[operator]
        for name, spec in self.specs.items():
            if name not in full:
                full[name] = self._history(name, spec, seen, done or {})
        if self.counter and self.counter not in full:
            full[self.counter] = self.steps.copy()  # type: ignore[union-attr]
        return full

    def held(self, action: Array) -> Array:
        """(B, d): the decision `action` in plants where one is due in this step, else what was done before."""
        if self.repeat == 1 or self.steps is None or self._done is None or self._done.shape != action.shape:
            return action
        return np.where(self.steps % self.repeat == 0, action, self._done)

    def advance(self, seen: Mapping[str, Array], action: Mapping[str, Array]) -> None:
        """Remember what was seen and done in this step; `action`: node -> (B, d), of all nodes that are decided."""
        self._done = np.concatenate(list(action.values()), axis=-1) if action else None
        if self.steps is not None:
            self.steps += 1.0
        for name, spec in self.specs.items():
            value = action.get(spec.source, seen.get(spec.source))
            past = self._filled.pop(name, self.past.get(name))
            if past is not None and value is not None:
                self.past[name] = np.hstack([past, value])[:, value.shape[1] :]

    def _history(
        self, name: str, spec: HistorySpec, seen: Mapping[str, Array], done: Mapping[str, Array]
    ) -> Array:
        present = seen.get(spec.source)
        if spec.delay == 0 and present is None:
            raise UserError(f"'{spec.source}' is missing, of which the policy needs the last values")
        past = self.past[name]
        if np.isnan(past).any():
            known = done.get(spec.source) if present is None else present
            first = np.tile(self.middle(spec.source), (len(past), 1)) if known is None else known
            past = np.where(np.isnan(past), np.tile(first, (1, spec.lookback)), past)
        self._filled[name] = past
        if spec.delay == 0:
            return np.hstack([past, present])  # type: ignore[list-item]
        return past[:, : past.shape[1] // spec.lookback * spec.length]


def _last(told: Array, frames: int) -> Array:
    """The last so many of (T, B, d), side by side, (B, frames * d); the oldest one stands for those before it."""
    at = np.maximum(np.arange(len(told) - frames, len(told)), 0)
    return np.moveaxis(told[at], 0, 1).reshape(told.shape[1], -1)
