"""A policy at work on N plants: histories and step counters are kept, arrays or frames come in and go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from revive.data.memory import Array, Memory
from revive.errors import Problem, UserError, nearest, suggestion
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import decided_by, side_by_side, split
from revive.runtime.frames import framed, is_frame, nodes_in, nodes_of

Act = Callable[[Mapping[str, ArrayLike]], Mapping[str, Any]]


class Session:
    """One step of N plants at a time; all of them are answered in one batch.

    act: node -> (N, d) to {target: (N, d)}, in physical units. plants: how many there are; None for as many as the
    first step shows. before: what was before the first step, as of `reset`.
    """

    def __init__(
        self,
        act: Act,
        memory: Memory,
        graph: DecisionGraph,
        target: str,
        plants: int | None = 1,
        before: Any = None,
    ) -> None:
        if plants is not None and plants < 1:
            raise UserError(Problem(f"is {plants}, but there is at least one plant", place="plants"))
        self._act, self.memory, self._graph = act, memory, graph
        self.target, self.plants = target, plants
        self.seen, self.decided = memory.shown(target), decided_by(graph, target)
        self._before = before
        if plants is not None:
            self.reset(before=before)

    def act(self, seen: Any) -> Any:
        """What is seen in this step to what is done in it, in physical units.

        seen: node -> (N, d), or (d,) of one plant; or a pandas or polars frame with a row for each plant and a column
        for each column of the nodes. Returns the same kind: {target: (N, d)}, or a frame of the target's columns.
        Raises UserError for missing nodes, wrong shapes and values that are not finite.
        """
        arrays, single = self._shown(seen)
        full = self.memory.complete(arrays)
        action = self.memory.held(side_by_side(self._graph, self.target, self._act(full)))
        done = split(self._graph, self.target, action)
        self.memory.advance(arrays, done)
        if is_frame(seen):
            return framed(seen, done, self._graph)
        done = split(self._graph, self.target, action[0] if single else action)
        like = next((value for value in seen.values() if hasattr(value, "new_tensor")), None)
        return done if like is None else {name: like.new_tensor(value) for name, value in done.items()}

    __call__ = act

    def track(self, seen: Any, action: Any) -> None:
        """A step that somebody else decided, an operator say: it is remembered, and nothing is answered.

        seen: as of `act`. action: what was done, {target: (N, d) or (d,)}, or a frame. Where nothing was told of the
        time before, this action stands for it. Raises UserError as `act` does.
        """
        arrays, _ = self._shown(seen)  # first: it may say how many plants there are
        given = nodes_of(action, self.decided, self._graph)
        if missing := [name for name in self.decided if name not in given]:
            raise UserError(Problem(f"node '{missing[0]}' is missing", place="action"))
        done = {name: self._array(name, given[name]) for name in self.decided}
        self.memory.complete(arrays, done)
        self.memory.advance(arrays, done)

    def reset(self, rows: Sequence[int] | None = None, before: Any = None) -> None:
        """Begin anew: all plants, or those with these numbers.

        before: what was before the first step, in physical units: the present position of the actuator, {target: (d,)
        or (N, d)}, which is held to have stood there; or rows of the past, the oldest one first, node -> (T, N, d), of
        one plant also (T, d) or a frame. Of what is not told, `assumed` says what stands for it. Nodes whose past the
        policy does not see are ignored. Raises UserError for unknown nodes, wrong shapes, values that are not finite.
        """
        if self.plants is None:  # nothing was seen yet
            self._before = before
            return
        index = None if rows is None else self._numbers(rows)
        count = self.plants if index is None else len(index)
        self.memory.begin(self.plants, index, self._told(before, count))

    @property
    def assumed(self) -> dict[str, str]:
        """Of every node whose past the policy sees and nobody told: what stands for it before the first step."""
        said = {}
        for node in self.memory.remembered:
            untold = self.memory.untold.get(node)
            rows = 0 if untold is None else int(untold.any(axis=1).sum())
            if untold is None or not rows:
                continue
            where = "" if rows == len(untold) else f", in {rows} of {len(untold)} plants"
            said[node] = f"{self._stand_in(node)} stands for what was before the first step{where}"
        return said

    def _stand_in(self, node: str) -> str:
        if node in self.seen:
            return "the first value seen"
        columns = zip(self._graph.columns(node), self.memory.middle(node).tolist(), strict=True)
        return f"the middle of the logged values ({', '.join(f'{c.name} {v:.4g}' for c, v in columns)})"

    # -- what is given -------------------------------------------------------------------------

    def _shown(self, seen: Any) -> tuple[dict[str, Array], bool]:
        """The nodes, (N, d), and whether they came without the axis of plants."""
        nodes = nodes_of(seen, self.seen, self._graph)
        own = {name: value for name, value in nodes.items() if name in self._graph}
        if missing := [n for n in self.seen if n not in own and n not in self._covered(own)]:
            close = nearest(missing[0], nodes)
            remedy = f"did you mean it by '{close}'?" if close else f"needed: {', '.join(self.seen)}"
            raise UserError(Problem(f"node '{missing[0]}' is missing", remedy=remedy))
        single = bool(own) and all(np.ndim(value) == 1 for value in own.values())
        if self.plants is None:
            lead = next((value for name, value in own.items() if name in self.seen), [0.0])
            self.plants = 1 if single or not self.seen else len(lead)
            self.reset(before=self._before)
        return {name: self._array(name, value) for name, value in own.items()}, single and self.plants == 1

    def _covered(self, own: Mapping[str, Any]) -> set[str]:
        """Nodes whose histories are given."""
        return {spec.source for name in own if (spec := self._graph[name].history) is not None}

    def _array(self, name: str, value: Any) -> Array:
        array = _numbers(value, f"node '{name}'")
        if array.ndim == 1 and self.plants == 1:
            array = array[None]
        wanted = (self.plants, self._graph[name].width)
        if array.shape != wanted:
            raise UserError(Problem(f"has shape {array.shape}, not {wanted}", place=f"node '{name}'"))
        return array

    def _numbers(self, rows: Sequence[int]) -> NDArray[np.int64]:
        index = np.asarray(rows, dtype=np.int64).reshape(-1)
        if index.size and not 0 <= index.min() <= index.max() < (self.plants or 0):
            raise UserError(Problem(f"there are only plants 0 to {(self.plants or 0) - 1}", place="rows"))
        return index

    def _told(self, before: Any, plants: int) -> dict[str, Array]:
        """Node -> (T, N, d) of what the user says was before."""
        if before is None:
            return {}
        given = nodes_in(before, self._graph)
        found = {}
        for name, value in given.items():
            if name not in self._graph:
                remedy = suggestion(name, self.memory.remembered)
                raise UserError(Problem(f"there is no node '{name}'", place="before", remedy=remedy))
            if name in self.memory.remembered:
                found[name] = self._past(name, value, plants)
        return found

    def _past(self, name: str, value: Any, plants: int) -> Array:
        width, place = self._graph[name].width, f"before['{name}']"
        array = _numbers(value, place)
        if array.ndim < 2 and array.shape in ((), (width,)):
            array = np.broadcast_to(array, (1, plants, width))
        elif array.ndim == 2:
            array = array[:, None] if plants == 1 else array[None]
        if array.ndim != 3 or array.shape[1:] != (plants, width) or not len(array):
            shown = f"({width},), (T, {width}) or (T, 1, {width})" if plants == 1 else None
            shown = shown or f"({width},), ({plants}, {width}) or (T, {plants}, {width})"
            raise UserError(Problem(f"has shape {np.shape(value)}, not {shown}", place=place))
        if not np.isfinite(array).all():
            raise UserError(Problem("holds values that are not finite", place=place))
        return array

    def __repr__(self) -> str:
        count = "any number of" if self.plants is None else self.plants
        return f"Session({', '.join(self.decided)} <- {', '.join(self.seen)}; {count} plants)"


def _numbers(value: Any, place: str) -> Array:
    try:
        value = value.detach().cpu() if hasattr(value, "detach") else value
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(Problem("holds values that are no numbers", place=place)) from None
