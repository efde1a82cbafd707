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

    Before the first step the first value seen stands for the ones before it, and the middle of the logged
    values, (d,), which `middle` tells of a node, for what was decided.
    """

    def __init__(self, graph: DecisionGraph, inputs: Sequence[str], middle: Callable[[str], Array]) -> None:
        self.graph, self.middle = graph, middle
        self.specs: dict[str, HistorySpec] = {
            name: spec for name in inputs if (spec := graph[name].history) is not None
        }
        self.counter = graph.step if graph.step in inputs else None
        self.past: dict[str, Array] = {}
        self.steps: Array | None = None

    def shown(self, target: str) -> tuple[str, ...]:
        """What has to be seen in each step: the inputs of the target, and what histories among them are of."""
        kept = {*self.specs, self.counter, target}
        sources = [
            self.specs[name].source if name in self.specs else name for name in self.graph[target].inputs
        ]
        return tuple(dict.fromkeys(name for name in sources if name not in kept))

    def forget(self, rows: Array | None = None) -> None:
        """Begin anew, everywhere or in the rows (indices) of plants that were started again."""
        if rows is None:
            self.past, self.steps = {}, None
        elif self.steps is not None:
            self.steps[rows] = 0.0
            for past in self.past.values():
                past[rows] = np.nan  # filled with what is seen next

    def complete(self, seen: Mapping[str, Array]) -> dict[str, Array]:
        """`seen` (node -> (B, d), physical) with the histories and the counter that are not in it."""
        full = dict(seen)
        rows = len(next(iter(seen.values()))) if seen else 1
        if self.steps is None or len(self.steps) != rows:
            self.steps = np.zeros((rows, 1))
        for name, spec in self.specs.items():
            if name not in full:
                full[name] = self._history(name, spec, seen, rows)
        if self.counter and self.counter not in full:
            full[self.counter] = self.steps.copy()
        return full

    def advance(self, seen: Mapping[str, Array], action: Mapping[str, Array]) -> None:
        """Remember what was seen and done in this step."""
        if self.steps is not None:
            self.steps += 1.0
        for name, spec in self.specs.items():
            value = action.get(spec.source, seen.get(spec.source))
            if name in self.past and value is not None:
                self.past[name] = np.hstack([self.past[name], value])[:, value.shape[1] :]

    def _history(self, name: str, spec: HistorySpec, seen: Mapping[str, Array], rows: int) -> Array:
        present = seen.get(spec.source)
        if spec.delay == 0 and present is None:
            raise UserError(f"'{spec.source}' is missing, of which the policy needs the last values")
        past = self.past.get(name)
        if past is None or len(past) != rows or np.isnan(past).any():
            first = np.tile(self.middle(spec.source), (rows, 1)) if present is None else np.asarray(present)
            fresh = np.tile(first, (1, spec.lookback))
            kept = past is not None and len(past) == rows
            past = np.where(np.isnan(past), fresh, past) if kept else fresh  # type: ignore[arg-type]
            self.past[name] = past
        if spec.delay == 0:
            return np.hstack([past, present])  # type: ignore[list-item]
        return past[:, : past.shape[1] // spec.lookback * spec.length]
