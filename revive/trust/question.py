"""What a causal card asks: which columns are moved, which ones follow, and what else was known at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from revive.data.causal_checks import ancestors
from revive.data.explained import design
from revive.data.trajectories import BoolArray, FloatArray, Trajectories
from revive.graph.decision_graph import DecisionGraph, NodeKind

_CLOCKS = (NodeKind.STEP, NodeKind.TRAJECTORY)


@dataclass(frozen=True)
class Move:
    """A column of the treatments: a decision column `steps` ago. level: of a category, where it is one."""

    node: str
    column: str
    steps: int = 0
    level: float | None = None


@dataclass(frozen=True)
class Question:
    """One transition and what moves it; arrays in physical units, one row for each row of the logs.

    moves, moved: the present decisions (N, k). earlier, before: the same some steps ago, as far as the transition
    sees them (N, l). covariates: all else that the transition or the decisions see (N, p), and the logged column that
    each of them comes from. states: the state columns
    among it (N, r). outputs, change: columns of the transition and how much they change in the step (N, q).
    known: (N,) rows without missing values.
    """

    transition: str
    moves: tuple[Move, ...]
    moved: FloatArray
    earlier: tuple[Move, ...]
    before: FloatArray
    covariates: FloatArray
    covariate_names: tuple[str, ...]
    states: FloatArray
    outputs: tuple[str, ...]
    change: FloatArray
    known: BoolArray


def questions(logs: Trajectories, graph: DecisionGraph) -> Iterator[Question]:
    """One for each transition that a decision reaches within a step; columns that never vary are left out."""
    for transition in graph.transitions:
        above = ancestors(graph, transition) - {transition}
        decisions = [name for name in graph.decisions if name in above and name in logs.arrays]
        if decisions and transition in logs.arrays and graph.state_of(transition) in logs.arrays:
            found = _question(logs, graph, transition, decisions, above)
            if found is not None:
                yield found


def _question(
    logs: Trajectories, graph: DecisionGraph, transition: str, decisions: list[str], above: set[str]
) -> Question | None:
    outputs, change = _changes(logs, graph, transition)
    moves = [move for name in decisions for move in _moves(logs, graph, name)]
    if not moves or not outputs:
        return None
    past = [n for n in graph.nodes if n in above and _is_past_decision(graph, n) and n in logs.arrays]
    seen = above.union({graph.state_of(transition)}, *(ancestors(graph, name) for name in decisions))
    leaves = [
        name
        for name in graph.leaves
        if name in seen and graph[name].kind not in _CLOCKS and not _is_past_decision(graph, name)
    ]
    kept_by_rollouts = [n for n in graph.histories if n in seen and n not in leaves]
    known = [n for n in (*leaves, *kept_by_rollouts) if not _is_past_decision(graph, n)]
    behind = [move for name in past for move in _earlier(logs, graph, name)]
    used = [*known, *decisions, *past, transition, graph.state_of(transition)]
    return Question(
        transition,
        tuple(move for move, _ in moves),
        np.column_stack([values for _, values in moves]),
        tuple(move for move, _ in behind),
        np.column_stack([values for _, values in behind]) if behind else np.zeros((logs.rows, 0)),
        design(logs, graph, known),
        tuple(_names(logs, graph, known)),
        design(logs, graph, [name for name in graph.states if name in logs.arrays]),
        tuple(outputs),
        change,
        _complete(logs, used),
    )


def _changes(logs: Trajectories, graph: DecisionGraph, transition: str) -> tuple[list[str], FloatArray]:
    """The ordered columns of a transition that vary, and their changes (N, q)."""
    now, then = logs.arrays[graph.state_of(transition)], logs.arrays[transition]
    change = np.asarray(then - now)
    kept = [
        (number, column.name)
        for number, column in enumerate(graph.columns(transition))
        if column.type != "category" and change[:, number].std() > 0
    ]
    return [name for _, name in kept], change[:, [number for number, _ in kept]]


def _moves(logs: Trajectories, graph: DecisionGraph, node: str) -> Iterator[tuple[Move, FloatArray]]:
    """The columns of a decision; a category as one column for each of its values but the most frequent."""
    for number, column in enumerate(graph.columns(node)):
        values = logs.arrays[node][:, number]
        if values.min() == values.max():
            continue
        if column.type != "category":
            yield Move(node, column.name), values
            continue
        levels, counts = np.unique(values, return_counts=True)
        for level in np.delete(levels, counts.argmax()):
            yield Move(node, column.name, 0, float(level)), (values == level).astype(np.float64)


def _earlier(logs: Trajectories, graph: DecisionGraph, node: str) -> Iterator[tuple[Move, FloatArray]]:
    """The frames of a decision's history that vary, without the present one."""
    spec = graph[node].history
    assert spec is not None
    columns = graph.columns(spec.source)
    for frame in range(spec.length):
        age = spec.lookback - frame
        for number, column in enumerate(columns):
            values = logs.arrays[node][:, frame * len(columns) + number]
            if age > 0 and column.type != "category" and values.min() < values.max():
                yield Move(spec.source, column.name, age), values


def _names(logs: Trajectories, graph: DecisionGraph, nodes: list[str]) -> Iterator[str]:
    """The logged column behind each column of `design`; histories count with what they are the past of."""
    for name in nodes:
        if name in logs.arrays:
            width = graph[graph.source_of(name)].width
            for number, column in enumerate(graph.columns(name)):
                own = graph.columns(graph.source_of(name))[number % width].name
                levels = column.values if column.type == "category" and column.values else (None,)
                yield from [own] * len(levels)


def _is_past_decision(graph: DecisionGraph, name: str) -> bool:
    spec = graph[name].history
    return spec is not None and spec.source in graph.decisions


def _complete(logs: Trajectories, names: list[str]) -> BoolArray:
    known = np.ones(logs.rows, dtype=bool)
    for name in names:
        if logs.missing is not None and name in logs.missing:
            known &= ~logs.missing[name].any(axis=1)
        if name in logs.arrays:
            known &= np.isfinite(logs.arrays[name]).all(axis=1)
    return known


def declared_effect(graph: DecisionGraph, transition: str, move: Move, output: str) -> str | None:
    """`increasing` or `decreasing`, where the description says so of a move and an output of the transition."""
    for name in ancestors(graph, transition):
        for effect in graph[name].effects:
            spec = graph[effect.input].history
            source = effect.input if spec is None else spec.source
            if source == move.node and effect.output_column == output and effect.direction is not None:
                column = effect.input_column
                if column == move.column or column.endswith(f"_{move.column}"):
                    return effect.direction
    return None
