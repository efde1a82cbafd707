"""The legal limits of what users hand to models, in physical units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from revive.errors import Problem, UserError, suggestion
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.limits import OUTSIDE, Outside, beyond, clipped

Arrays = dict[str, NDArray[np.float64]]


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
