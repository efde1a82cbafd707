"""Single columns of a node in model space: those that a network does not see, and those that are copied."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.codec import Codec, NodeCodec
from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import Copy


def seen_dimensions(graph: DecisionGraph, codec: Codec, name: str) -> list[bool] | None:
    """(inputs,) which model-space dimensions of its inputs the network of a node sees; None for all of them."""
    hidden, only = set(graph[name].unseen), _residual(graph, name)
    if not hidden and only is None:
        return None
    seen: list[bool] = []
    for source in graph[name].inputs:
        one, columns = codec[source], graph.columns(source)
        per_frame = [one.terms[term] for term in one.term_of_dimension]
        for first in range(0, len(columns), len(one.columns)):
            shown = only is None or source in only
            seen += [shown and (source, columns[first + number].name) not in hidden for number in per_frame]
    return seen


def _residual(graph: DecisionGraph, name: str) -> set[str] | None:
    """The inputs of which something is added to what a function of the user says; None for all of them."""
    principles = graph[name].principles
    if principles is None or principles.residual is None:
        return None
    return {
        s
        for s in graph[name].inputs
        if s in principles.residual or _of_history(graph, s) in principles.residual
    }


def _of_history(graph: DecisionGraph, name: str) -> str:
    history = graph[name].history
    return history.source if history else name


@dataclass(frozen=True)
class ColumnCopy:
    """Puts column `taken` of another node in place of column `put` of a node; both are continuous."""

    source: NodeCodec
    taken: int
    target: NodeCodec
    put: int

    @classmethod
    def of(cls, graph: DecisionGraph, codec: Codec, name: str, copy: Copy) -> ColumnCopy:
        """What `copy` says about the node `name`."""

        def position(node: str, column: str) -> int:
            return [found.name for found in graph.columns(node)].index(column)

        return cls(
            codec[copy.source],
            position(copy.source, copy.source_column),
            codec[name],
            position(name, copy.column),
        )

    def __call__(self, value: Tensor, source: Tensor) -> Tensor:
        """value (..., width of the node), source (..., width of the other one), both in model space -> as `value`.

        Worked out in double precision: the codecs' offsets may be large.
        """
        physical = self.source.decode_column(self.taken, source.double())
        moved = self.target.encode_column(self.put, physical).to(value.dtype)
        part = self.target.dimensions(self.put)
        return torch.cat([value[..., : part.start], moved, value[..., part.stop :]], dim=-1)
