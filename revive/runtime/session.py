"""A policy at work on N plants: histories and step counters are kept, arrays or frames come in and go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from revive.data.memory import Array, Memory
from revive.errors import Problem, UserError, suggestion
from revive.graph.decision_graph import DecisionGraph

Act = Callable[[Mapping[str, ArrayLike]], Mapping[str, Any]]


class Session:
    """One step of N plants at a time; all of them are answered in one batch.

    act: node -> (N, d) to {target: (N, d)}, in physical units. plants: how many there are.
    """

    def __init__(self, act: Act, memory: Memory, graph: DecisionGraph, target: str, plants: int = 1) -> None:
        if plants < 1:
            raise UserError(Problem(f"is {plants}, but there is at least one plant", place="plants"))
        self._act, self.memory, self._graph = act, memory, graph
        self.target, self.plants = target, plants
        self.seen = memory.shown(target)

    def act(self, seen: Any) -> Any:
        """What is seen in this step to what is done in it, in physical units.

        seen: node -> (N, d), or (d,) of one plant; or a pandas or polars frame with a row for each plant and a column
        for each column of the nodes. Returns the same kind: {target: (N, d)} or a frame of the target's columns.
        Raises UserError for missing nodes, wrong shapes and values that are not finite.
        """
        if hasattr(seen, "columns") and hasattr(seen, "to_numpy"):
            return self._framed(seen)
        arrays = {name: self._array(name, value) for name, value in seen.items() if name in self._graph}
        single = self.plants == 1 and all(np.ndim(seen[name]) == 1 for name in arrays)
        action = self._step(arrays)
        return {self.target: action[0] if single else action}

    def reset(self, rows: Sequence[int] | None = None) -> None:
        """Begin anew: all plants, or those with these numbers."""
        self.memory.forget(None if rows is None else np.asarray(rows, dtype=np.int64))

    def _step(self, arrays: Mapping[str, Array]) -> Array:
        full = self.memory.complete(arrays)
        action = np.asarray(self._act(full)[self.target])
        self.memory.advance(arrays, {self.target: action})
        return action

    def _array(self, name: str, value: ArrayLike) -> Array:
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise UserError(Problem("holds values that are no numbers", place=f"node '{name}'")) from None
        if array.ndim == 1 and self.plants == 1:
            array = array[None]
        if array.ndim != 2 or len(array) != self.plants:
            wanted = f"({self.plants}, {self._graph[name].width})"
            raise UserError(Problem(f"has shape {array.shape}, not {wanted}", place=f"node '{name}'"))
        return array

    def _framed(self, frame: Any) -> Any:
        names = [str(name) for name in frame.columns]
        arrays = {}
        for node in self.seen:
            columns = [column.name for column in self._graph.columns(node)]
            missing = [column for column in columns if column not in names]
            if missing:
                what = f"the frame has no column '{missing[0]}' of the node '{node}'"
                raise UserError(Problem(what, remedy=suggestion(missing[0], names)))
            arrays[node] = self._array(node, frame[columns].to_numpy())
        action = self._step(arrays)
        made = {column.name: action[:, i] for i, column in enumerate(self._graph.columns(self.target))}
        index = {"index": frame.index} if hasattr(frame, "index") else {}
        return type(frame)(made, **index)

    def __repr__(self) -> str:
        return f"Session({self.target} <- {', '.join(self.seen)}; {self.plants} plants)"
