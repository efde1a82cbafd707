"""What callers give and get: arrays, tensors or data frames, in physical units; inside, tensors in double precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from revive.deploy import reading
from revive.errors import Problems, nearest
from revive.graph.decision_graph import DecisionGraph
from revive.graph.limits import Outside, limits
from revive.runtime.frames import framed, framed_series, is_frame, nodes_of

Tensors = dict[str, Tensor]
Kind = Literal["arrays", "tensors", "frame"]


@dataclass(frozen=True)
class Form:
    """How answers are given back: as what was given.

    single: a lone row, without an axis of branches. like: the frame, or one of the tensors, that was given.
    """

    kind: Kind = "arrays"
    single: bool = False
    like: Any = None

    @property
    def with_gradients(self) -> bool:
        return self.kind == "tensors"

    def node(self, value: Tensor) -> Any:
        """One node's values: an array, or a tensor of the type and on the device of those that were given."""
        value = value[..., 0, :] if self.single else value
        if self.kind == "tensors":
            return value.to(self.like.device, self.like.dtype)
        return value.detach().cpu().numpy()

    def nodes(self, found: Mapping[str, Tensor], graph: DecisionGraph) -> Any:
        """Several nodes: {node: value}, or a frame with their columns, `next_` before those of a transition."""
        if self.kind != "frame":
            return {name: self.node(value) for name, value in found.items()}
        arrays = {name: value.detach().cpu().numpy() for name, value in found.items()}
        return framed(self.like, arrays, graph)

    def series(self, found: Mapping[str, Tensor], graph: DecisionGraph) -> Any:
        """Several nodes over time, (T, B, d): likewise, with a row for each step of each branch in a frame."""
        if self.kind != "frame":
            return {name: self.node(value) for name, value in found.items()}
        arrays = {name: value.detach().cpu().numpy() for name, value in found.items()}
        return framed_series(self.like, arrays, graph)


def read(values: Any, needed: Sequence[str], graph: DecisionGraph, lead: int) -> tuple[Tensors, Form]:
    """The needed nodes with `lead` axes before the columns, (B, d) or (T, B, d), float64.

    Raises UserError with all that is wrong.
    """
    problems, found, single = Problems(), {}, False
    like = values if is_frame(values) else None
    nodes = nodes_of(values, needed, graph)
    for name in needed:
        if name not in nodes:
            close = nearest(name, nodes)
            remedy = f"did you mean it by '{close}'?" if close else f"needed: {', '.join(needed)}"
            problems.add(f"node '{name}' is missing", remedy=remedy)
            continue
        given = nodes[name]
        like = given if like is None and isinstance(given, Tensor) else like
        value = _as_tensor(given)
        if value is None:
            problems.add("holds values that are no numbers", place=f"node '{name}'")
            continue
        width = graph[name].width
        if value.ndim == lead == 1 and value.shape[-1] == width:
            value, single = value[None], True
        wanted = ("B", str(width)) if lead == 1 else ("T", "B", str(width))
        if value.ndim != lead + 1 or value.shape[-1] != width:
            problems.add(f"has shape {tuple(value.shape)}, not ({', '.join(wanted)})", place=f"node '{name}'")
        elif not bool(torch.isfinite(value).all()):
            problems.add("holds values that are not finite", place=f"node '{name}'")
        else:
            found[name] = value
    sizes = {name: value.shape[lead - 1] for name, value in found.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} {size}" for name, size in sizes.items())
        problems.add(f"the nodes differ in their number of rows: {shown}")
    problems.raise_if_any()
    kind: Kind = "frame" if is_frame(values) else "tensors" if isinstance(like, Tensor) else "arrays"
    return found, Form(kind, single, like)


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value.double()
    try:
        return torch.tensor(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None


def legal(values: Tensors, graph: DecisionGraph, outside: Outside) -> Tensors:
    """The values within their declared limits. Raises UserError where they are not and that is refused."""
    arrays = {name: value.detach().cpu().numpy() for name, value in values.items()}
    inside = reading.legal(arrays, graph, outside)
    if outside == "refuse":
        return values
    moved = {name: torch.as_tensor(inside[name] - array) for name, array in arrays.items()}
    return {name: value + moved[name].to(value.device) for name, value in values.items()}


def within(value: Tensor, node: str, graph: DecisionGraph) -> Tensor:
    """(..., d), physical units, no farther than the declared limits; histories as they are."""
    if graph[node].history is not None:
        return value
    low, high = limits(graph.columns(node))
    if np.isneginf(low).all() and np.isposinf(high).all():
        return value
    edges = (torch.as_tensor(edge, dtype=value.dtype, device=value.device) for edge in (low, high))
    return value.clamp(*edges)
