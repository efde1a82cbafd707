"""Nodes out of data frames, and the legal limits of what users hand to models, in physical units."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.limits import OUTSIDE, Outside, beyond, clipped

Arrays = dict[str, NDArray[np.float64]]


def nodes_of_frame(
    values: Mapping[str, ArrayLike],
    needed: Sequence[str],
    graph: DecisionGraph,
    optional: Collection[str | None] = (),
) -> Mapping[str, ArrayLike]:
    """The nodes, (B, d), of a frame with a column of each name; anything else as it is.

    Histories are never columns of a frame. Raises UserError for columns that are missing, but not where all those
    of an optional node are.
    """
    names = getattr(values, "columns", None)
    if isinstance(values, Mapping) or names is None or not hasattr(values, "to_numpy"):
        return values
    known, found, problems = [str(name) for name in names], {}, Problems()
    for node in needed:
        if graph[node].history is not None:
            continue
        own = [column.name for column in graph.columns(node)]
        missing = [name for name in own if name not in known]
        if not missing:
            found[node] = np.column_stack([np.asarray(values[name], dtype=object) for name in own])
        elif node not in optional or len(missing) < len(own):
            what = f"the frame has no column '{missing[0]}' of the node '{node}'"
            problems.add(what, remedy=suggestion(missing[0], known))
    problems.raise_if_any()
    return found


def legal(arrays: Arrays, graph: DecisionGraph, outside: Outside) -> Arrays:
    """The values within their declared limits. Raises UserError where they are not and that is refused."""
    if outside not in OUTSIDE:
        raise UserError(Problem(f"outside cannot be {outside!r}", remedy=suggestion(str(outside), OUTSIDE)))
    columns = {name: _columns(graph, name) for name in arrays}
    if outside == "clip":
        return {name: clipped(columns[name], value) for name, value in arrays.items()}
    problems = [p for name, value in arrays.items() for p in beyond(name, columns[name], value)]
    if problems:
        raise UserError(*problems)
    return arrays


def _columns(graph: DecisionGraph, node: str) -> tuple[Column, ...]:
    """The columns of a node; of a history those of its source, frame by frame."""
    spec = graph[node].history
    return tuple(graph.columns(node)) if spec is None else (*graph.columns(spec.source),) * spec.length
