"""Data frames of pandas and polars: nodes out of them, and frames of the same kind back. Neither library is imported.

A frame has a column of each name; the columns of a transition are called `next_` and the column. Histories are no
columns of a frame.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revive.errors import Problems, suggestion
from revive.graph.decision_graph import DecisionGraph
from revive.graph.names import transition_name


def is_frame(values: Any) -> bool:
    """Whether it is a data frame of pandas or polars."""
    return not isinstance(values, Mapping) and hasattr(values, "columns") and hasattr(values, "to_numpy")


def names_of(graph: DecisionGraph, node: str) -> list[str]:
    """What the columns of a node are called in a frame; none of a history."""
    if graph[node].history is not None:
        return []
    told = transition_name if node in graph.transitions else str
    return [told(column.name) for column in graph.columns(node)]


def nodes_of(
    values: Any, needed: Sequence[str], graph: DecisionGraph, optional: Collection[str | None] = ()
) -> Mapping[str, Any]:
    """The needed nodes, (B, d), as they stand in a frame, be they numbers or not; anything else as it is.

    Raises UserError for columns that are missing, but not where all those of an optional node are.
    """
    if not is_frame(values):
        return values  # type: ignore[no-any-return]
    known, found, problems = {str(name) for name in values.columns}, {}, Problems()
    for node in needed:
        own = names_of(graph, node)
        missing = [name for name in own if name not in known]
        if own and not missing:
            found[node] = np.column_stack([np.asarray(values[name], dtype=object) for name in own])
        elif missing and (node not in optional or len(missing) < len(own)):
            what = f"the frame has no column '{missing[0]}' of the node '{node}'"
            problems.add(what, remedy=suggestion(missing[0], sorted(known)))
    problems.raise_if_any()
    return found


def nodes_in(values: Any, graph: DecisionGraph) -> Mapping[str, Any]:
    """All nodes, (B, d), whose columns a frame has; anything else as it is."""
    known = {str(name) for name in values.columns} if is_frame(values) else set()
    return nodes_of(values, [n for n in graph.nodes if known.issuperset(names_of(graph, n))], graph)


def framed(like: Any, found: Mapping[str, NDArray[Any]], graph: DecisionGraph) -> Any:
    """A frame of the kind of `like`, with its index, of the columns of `found`: node -> (B, d)."""
    made: dict[str, Any] = {}
    for node, value in found.items():
        made.update(zip(names_of(graph, node), value.T, strict=False))  # none of a history
    return made_like(like, made)


def framed_series(like: Any, found: Mapping[str, NDArray[Any]], graph: DecisionGraph) -> Any:
    """A frame of the kind of `like` of node -> (T, B, d), a row for each step of each branch, branch by branch.

    The columns `branch`, the index of `like` or a number, and `step`, from 0, come first, with `_` behind their names
    where the graph has such columns. What is no node is a column itself.
    """
    steps, branches = next(iter(found.values())).shape[:2]
    labels = (
        np.asarray(like.index) if hasattr(like, "index") and len(like) == branches else np.arange(branches)
    )
    made: dict[str, Any] = {}
    for node, value in found.items():
        names = names_of(graph, node) if node in graph else [node]
        made.update(zip(names, value.transpose(2, 1, 0).reshape(value.shape[2], -1), strict=False))
    told = {"branch": np.repeat(labels, steps), "step": np.tile(np.arange(steps), branches)}
    return type(like)({f"{name}_" if name in made else name: value for name, value in told.items()} | made)


def joined(frame: Any, fresh: Any) -> Any:
    """The columns of two frames, those of `fresh` where both have them."""
    made = {str(name): frame[name] for name in frame.columns}
    return made_like(frame, made | {str(name): fresh[name] for name in fresh.columns})


def made_like(like: Any, columns: Mapping[str, Any]) -> Any:
    """A frame of the kind of `like` with these columns, and its index where it has one and as many rows."""
    rows = len(next(iter(columns.values()))) if columns else 0
    index = {"index": like.index} if hasattr(like, "index") and len(like) == rows else {}
    return type(like)(dict(columns), **index)
