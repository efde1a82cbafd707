"""Warnings about what the logs can teach at all: who decides from what, and whether anything varies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from revive.data.explained import design, unexplained
from revive.data.finding import Evidence, Finding, warning
from revive.graph.decision_graph import DecisionGraph

_LEAST_OVERLAP: Final = 0.01  # share of the action's variance that must be left given its inputs
_FOLLOWS: Final = 0.7  # what is left must fall to this share for an unseen input to explain an action


def undecided(evidence: Evidence) -> Iterator[Finding]:
    """Actions that follow so exactly from what decides them that their own effect cannot be told."""
    for node in evidence.graph.decisions:
        if node not in evidence.sample.arrays:
            continue
        left = overlap(evidence, node, evidence.graph[node].inputs)
        for number, column in enumerate(evidence.graph.columns(node)):
            if left is None or np.isnan(left[number]) or left[number] >= _LEAST_OVERLAP:
                continue
            what = f"'{column.name}' follows from the inputs of '{node}' up to {left[number]:.2g} of its "
            what += "variance, so what it does cannot be told from what they do"
            remedy = "log some variation of the action, or declare what is known as 'effects'"
            yield warning("no-overlap", what, remedy, node, column.name)


def overlap(evidence: Evidence, node: str, inputs: tuple[str, ...]) -> np.ndarray | None:
    """(d,) the unexplained share of variance of each column of `node` given `inputs`; NaN if it is constant.

    A category column counts by how often each of its values is taken. None where there are too few rows.
    """
    sample = evidence.small_sample
    x = design(sample, evidence.graph, inputs)
    targets, owner = [], []
    for number, column in enumerate(evidence.graph.columns(node)):
        values = sample.arrays[node][:, number]
        choices = column.values if column.type == "category" and column.values else (None,)
        targets += [values if choice is None else values == choice for choice in choices]
        owner += [number] * len(choices)
    y = np.column_stack(targets).astype(np.float64)
    left = unexplained(x, y, sample.ends, neighbours=True)
    if left is None:
        return None
    weight = np.where(np.isnan(left), 0.0, y.var(axis=0))
    share = np.full(evidence.graph[node].width, np.nan)
    for number in range(len(share)):
        mine = np.asarray(owner) == number
        if weight[mine].sum() > 0:
            share[number] = float(np.nansum(left[mine] * weight[mine]) / weight[mine].sum())
    return share


def unseen_inputs(evidence: Evidence) -> Iterator[Finding]:
    """Decision nodes that do not see what the transitions that depend on them use."""
    graph = evidence.graph
    for node in graph.decisions:
        seen = ancestors(graph, node)
        seen |= {spec.source for name in seen if (spec := graph[name].history) is not None}
        for transition in graph.transitions:
            if node not in ancestors(graph, transition):
                continue
            hidden = [name for name in graph[transition].inputs if graph[name].is_leaf and name not in seen]
            for name in hidden:
                yield _unseen(evidence, node, transition, name)


def _unseen(evidence: Evidence, node: str, transition: str, hidden: str) -> Finding:
    inputs = evidence.graph[node].inputs
    what = f"'{transition}' uses '{hidden}', which '{node}' does not see"
    remedy = "right if whoever decided did not see it either; else add it to the inputs"
    if {node, hidden} <= {*evidence.sample.arrays}:
        without = overlap(evidence, node, inputs)
        with_it = overlap(evidence, node, (*inputs, hidden))
        if without is not None and with_it is not None:
            before, after = float(np.nansum(without)), float(np.nansum(with_it))
            if after < _FOLLOWS * before:
                what += (
                    f", but the logged '{node}' follows it: given it too, {after / before:.0%} of what was "
                )
                what += "unexplained is left"
                remedy = f"add '{hidden}' to the inputs of '{node}'"
    return warning("unseen-input", what, remedy, node)


def ancestors(graph: DecisionGraph, node: str) -> set[str]:
    """`node` and everything that it is computed from within a step."""
    found = {node}
    waiting = [node]
    while waiting:
        fresh = set(graph[waiting.pop()].inputs) - found
        found |= fresh
        waiting += fresh
    return found
