"""Models on plain tables: a row for each plant, a column for each number, in physical units. No torch, no pandas.

What a model remembers is part of its table, so that a call answers for itself: earlier values of a column `X` stand in
columns `ts-1_X`, `ts-2_X`, ... (steps ago), and the number of the step in a column of its own. They are optional.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from revive.bundles.opened import Bundle
from revive.errors import Problems, suggestion
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import side_by_side
from revive.graph.limits import limits
from revive.runtime.codec import codec_of
from revive.runtime.policy import Policy

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Field:
    """A column of a table. required: false for what was before, which counts as not known where it is missing."""

    name: str
    column: Column
    required: bool = True

    def to_json(self) -> dict[str, Any]:
        """What is worth saying about it, for the metadata of a model."""
        told = {key: getattr(self.column, key) for key in ("units", "min", "max", "description")}
        choices = self.column.choices
        found = {**told, "values": None if choices is None else list(choices)}
        return {"name": self.name, "type": self.column.type} | {
            key: value for key, value in found.items() if value is not None
        }


class Inputs:
    """The table that a model reads.

    nodes: those that the model needs, histories and the step counter among them. middle: the middle of the logged
    values of a node, (d,), physical, which stands for what was decided before the first step.

    Earlier values that are missing are those of the step after them, as if the plant had rested there.
    """

    def __init__(
        self, graph: DecisionGraph, nodes: Sequence[str], middle: Callable[[str], Array] | None = None
    ) -> None:
        self.graph, self.nodes, self._middle = graph, tuple(nodes), middle
        present = [name for node in nodes for name in self._seen_now(node)]
        self.present = tuple(dict.fromkeys(present))
        fields = [Field(c.name, c) for node in self.present for c in graph.columns(node)]
        fields += [Field(c.name, c, required=False) for node in nodes for c in self._optional(node)]
        self.fields = tuple({field.name: field for field in reversed(fields)}.values())[::-1]

    def _seen_now(self, node: str) -> tuple[str, ...]:
        spec = self.graph[node].history
        if spec is None:
            return () if node == self.graph.step else (node,)
        known = spec.source not in self.graph.decisions or spec.source in self.nodes
        return (spec.source,) if known else ()

    def _optional(self, node: str) -> tuple[Column, ...]:
        spec = self.graph[node].history
        if node == self.graph.step or spec is None:
            return self.graph.columns(node) if node == self.graph.step else ()
        columns = self.graph.columns(node)
        return columns if spec.delay else columns[: -len(columns) // spec.length]

    def read(self, table: Any) -> dict[str, Array]:
        """Node -> (N, d). table: name -> (N,), or a frame. Columns of other names are ignored.

        Raises UserError for columns that are missing, and values that are no finite numbers.
        """
        known = {str(name): table[name] for name in getattr(table, "columns", table)}
        problems = Problems()
        values = {field.name: self._column(field, known, problems) for field in self.fields}
        problems.raise_if_any()
        found = {name: value for name, value in values.items() if value is not None}
        rows = len(next(iter(found.values()))) if found else 0
        return {node: self._node(node, found, rows) for node in self.nodes}

    @staticmethod
    def _column(field: Field, known: Mapping[str, ArrayLike], problems: Problems) -> Array | None:
        place = f"column '{field.name}'"
        if field.name not in known:
            if field.required:
                problems.add("is missing", place=place, remedy=suggestion(field.name, known))
            return None
        try:
            value = np.asarray(known[field.name], dtype=np.float64).reshape(-1)
        except (TypeError, ValueError):
            problems.add("holds values that are no numbers", place=place)
            return None
        if not np.isfinite(value).all() and (field.required or np.isinf(value).any()):
            problems.add("holds values that are not finite", place=place)
        return value

    def _node(self, node: str, known: Mapping[str, Array], rows: int) -> Array:
        spec = self.graph[node].history
        columns = self.graph.columns(node)
        if spec is None:
            return np.stack([np.nan_to_num(known.get(c.name, np.zeros(rows))) for c in columns], axis=-1)
        width = len(columns) // spec.length
        unknown = self._newest(spec.source, known, rows)
        frames = []
        for start in range(len(columns) - width, -1, -width):
            frame = np.stack(
                [known.get(c.name, np.full(rows, np.nan)) for c in columns[start : start + width]], axis=-1
            )
            is_present = spec.delay == 0 and start == len(columns) - width
            frames.append(unknown if is_present else np.where(np.isnan(frame), unknown, frame))
            unknown = frames[-1] if spec.source in self.present else unknown
        return np.hstack(frames[::-1])

    def _newest(self, source: str, known: Mapping[str, Array], rows: int) -> Array:
        """What stands for values that nobody knows."""
        if source in self.present:
            return np.stack([known[c.name] for c in self.graph.columns(source)], axis=-1)
        assert self._middle is not None
        return np.tile(self._middle(source), (rows, 1))


class PolicyTable:
    """A policy from a table of what it sees to a table of what it does."""

    def __init__(self, policy: Policy) -> None:
        policy.require_each_step("a table")
        self.policy = policy
        self.inputs = Inputs(policy.graph, policy.inputs, policy.middle)
        self.outputs = tuple(Field(c.name, c) for c in policy.graph.columns(policy.target))

    def __call__(self, table: Any) -> dict[str, Array]:
        """Column -> (N,). Raises UserError as `Inputs.read` does."""
        policy = self.policy
        action = side_by_side(policy.graph, policy.target, policy.act(self.inputs.read(table)))
        return {field.name: action[:, i] for i, field in enumerate(self.outputs)}


def venv_inputs(graph: DecisionGraph) -> Inputs:
    """The table of one step of a venv: its leaves and what is decided in them."""
    used = {source for name in graph.order for source in graph[name].inputs}
    step = (graph.step,) if graph.step else ()
    leaves = (name for name in graph.leaves if name in used or name in graph.states)
    return Inputs(graph, tuple(dict.fromkeys((*leaves, *graph.decisions, *graph.histories, *step))))


def venv_outputs(graph: DecisionGraph) -> dict[str, tuple[Field, ...]]:
    """Node -> fields of all that a step computes; columns of the next state are called `next_X`."""
    computed = (n for n in graph.order if n not in graph.decisions and graph[n].history is None)
    return {node: _renamed(graph, node) for node in computed}


def _renamed(graph: DecisionGraph, node: str) -> tuple[Field, ...]:
    prefix = "next_" if node in graph.transitions else ""
    return tuple(Field(f"{prefix}{column.name}", column) for column in graph.columns(node))


def of_bundle(bundle: Bundle) -> tuple[Inputs, tuple[Field, ...]]:
    """The table that a model reads, and the columns that it answers with."""
    graph = bundle.graph
    if bundle.kind == "venv":
        return venv_inputs(graph), tuple(chain(*venv_outputs(graph).values()))
    target = bundle.target
    return Inputs(graph, graph[target].inputs), tuple(Field(c.name, c) for c in graph.columns(target))


def example(bundle: Bundle) -> dict[str, list[float]]:
    """A row that the model of a bundle answers: the middle of the logged values. Raises UserError as `Bundle` does."""
    graph, tensors, row = bundle.graph, bundle.tensors(), {}
    for node in of_bundle(bundle)[0].present:
        codec = codec_of(graph, node, tensors)
        middle = codec.decode(np.zeros((1, codec.layout.width)))[0]
        low, high = limits(graph.columns(node))
        legal = np.clip([float(f"{value:.6g}") for value in middle], low, high)
        row.update({c.name: [float(value)] for c, value in zip(graph.columns(node), legal, strict=True)})
    return row
