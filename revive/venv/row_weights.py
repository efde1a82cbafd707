"""How much each logged row counts in the one-step loss of a node: `venv.weights.NODE`, an expression of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from revive.data.readers.where import Where
from revive.data.trajectories import FloatArray, Trajectories
from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.decision_graph import DecisionGraph

_WANTED = "a column, or an expression such as  1 + 4 * (temperature > 8)"


def row_weights(
    graph: DecisionGraph, asked: Mapping[str, str], parts: Sequence[Trajectories]
) -> dict[str, Tensor]:
    """Node -> the weight of every row of `parts`, one after the other, with a mean of 1 in each part: (N,).

    asked: learned node -> an expression as of `dataset.where`, of columns in physical units; what is true counts 1.
    Raises UserError with every node that is not learned, unknown column, and weight that is negative or no number.
    """
    problems, found = Problems(), {}
    for name, text in asked.items():
        place = f"venv.weights.{name}"
        if name not in graph.learned:
            remedy = suggestion(name, graph.learned)
            problems.add(f"'{name}' is no node that is learned", place=place, remedy=remedy)
            continue
        try:
            weights = [_of_part(graph, text, part, place) for part in parts]
        except UserError as error:
            problems.extend(error.problems)
            continue
        found[name] = torch.as_tensor(np.concatenate(weights), dtype=torch.float32)
    problems.raise_if_any()
    return found


def _of_part(graph: DecisionGraph, text: str, part: Trajectories, place: str) -> FloatArray:
    expression = Where(text, place, _WANTED)
    columns = {
        column.name: values[:, number]
        for node, values in part.arrays.items()
        if node in graph.nodes and graph.source_of(node) == node
        for number, column in enumerate(graph.columns(node))
    }
    for name in expression.columns:
        if name not in columns:
            what = f"there is no column '{name}'"
            raise UserError(Problem(what, place=place, remedy=suggestion(name, list(columns))))
    weight = expression.numbers(columns, part.rows)
    wrong = ~np.isfinite(weight) | (weight < 0)
    if wrong.any() or not weight.any():
        row = int(wrong.argmax())
        what = f"the weight of row {row} is {weight[row]:g}" if wrong.any() else "no row has a weight"
        raise UserError(
            Problem(what, place=place, remedy="weights are finite and not negative, some above 0")
        )
    scaled: FloatArray = weight / weight.mean()
    return scaled
