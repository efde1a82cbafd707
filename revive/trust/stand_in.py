"""A stand-in for a cause that nobody logged: what lasts in the operator's moves and nothing logged explains.

Where a hidden cause lasts and the operator answers to it, his answer tells of it. With a the action and s what is
logged,

    a = m(s) + d + u,        d lasts, u is fresh in every step,

d stands in for the cause (a proxy in the sense of Kuroki and Pearl 2014, Biometrika 101, "Measurement bias and effect
restoration in causal inference"), and the effect of a on an output y is told by y = f(s, a, d): the fresh moves u are
the operator's own. m and d are found in turn (backfitting; Hastie and Tibshirani 1990, Generalized Additive Models):
m by cross-fitting from a - d, and d as the median of what is left of the steps before and after, the step itself left
out, so that u does not go into d. A move far larger than usual fresh moves is the beginning or the end of an answer, a
door that opens, and belongs to d.

It is assumed that the cause lasts longer than `REACH` steps. What the operator does not answer to is not in it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from revive.data.trajectories import FloatArray, IntArray, Trajectories
from revive.graph.decision_graph import DecisionGraph
from revive.trust.nuisance import blocks_of, crossfitted, features
from revive.trust.question import Question, questions

REACH: Final = 4  # steps before and after
USUAL: Final = 3.0  # robust spreads, up to which a move is fresh
ROUNDS: Final = 12
MOST_ROWS: Final = 20_000  # that are fitted at once


def stand_in(logs: Trajectories, graph: DecisionGraph, transition: str, node: str, column: str) -> FloatArray:
    """The lasting part of the own moves of one action column, (N, 1), in units of the action.

    logs: of all nodes of the graph, which must not hold the stand-in yet. Raises KeyError where the column is no
    action that reaches the transition within a step.
    """
    asked = next((q for q in questions(logs, graph) if q.transition == transition), None)
    names = [] if asked is None else [(m.node, m.column) for m in asked.moves if m.level is None]
    if asked is None or (node, column) not in names:
        raise KeyError(f"{node}.{column}")
    action = logs.arrays[node][:, [c.name for c in graph.columns(node)].index(column)][:, None]
    known = np.column_stack([asked.covariates, asked.before])
    fill = asked.known[:, None]
    action, known = (np.where(fill, x, x[asked.known].mean(axis=0)) for x in (action, known))
    found = np.empty((logs.rows, 1))
    for first, ends in _portions(logs.ends):
        part = slice(first, int(ends[-1]))
        found[part] = _lasting_part(known[part], action[part], ends - first)
    return found


def effect_beside(question: Question, lasting: FloatArray, node: str, column: str, output: str) -> float:
    """The effect of an action on an output, physical units, once its stand-in is among what is known."""
    s = np.column_stack([question.covariates, question.before, lasting])
    kept = question.known
    move = next(i for i, m in enumerate(question.moves) if (m.node, m.column) == (node, column))
    a = question.moved[:, [move]]
    y = question.change[:, [question.outputs.index(output)]]
    s, a, y = s[kept], a[kept], y[kept]
    blocks = blocks_of(np.array([len(s)]))
    told = crossfitted(features(s), np.column_stack([a, y]), blocks)
    r, rest = a - told[:, :1], y - told[:, 1:]
    return float((r * rest).sum() / max(float(np.square(r).sum()), 1e-300))


def _portions(ends: IntArray) -> list[tuple[int, IntArray]]:
    """Rows in equal pieces of at most `MOST_ROWS`: the first row, and where the trajectories in it end."""
    rows = int(ends[-1])
    bounds = np.linspace(0, rows, -(-rows // MOST_ROWS) + 1).astype(np.int64)
    return [
        (int(first), np.unique(np.append(ends[(ends > first) & (ends < last)], last)))
        for first, last in pairwise(bounds)
    ]


def _lasting_part(known: FloatArray, action: FloatArray, ends: IntArray) -> FloatArray:
    """d of the module's docstring, (N, 1)."""
    design, blocks = features(known), blocks_of(np.diff(ends, prepend=0))
    lasting = np.zeros_like(action)
    for _ in range(ROUNDS):
        own = action - crossfitted(design, action - lasting, blocks)
        smooth = _median_around(own[:, 0], ends)[:, None]
        fresh = own - smooth
        usual = USUAL * 1.4826 * np.median(np.abs(fresh))
        lasting = np.where(np.abs(fresh) > usual, own, smooth)
        lasting -= lasting.mean()
    return lasting


def _median_around(x: FloatArray, ends: IntArray) -> FloatArray:
    """(N,) the median of the values up to `REACH` steps before and after each one, itself left out."""
    found = np.empty_like(x)
    first = 0
    for end in ends:
        padded = np.pad(x[first:end], REACH, constant_values=np.nan)
        around = np.delete(sliding_window_view(padded, 2 * REACH + 1), REACH, axis=1)
        alone = end - first == 1
        found[first:end] = 0.0 if alone else np.nanmedian(around, axis=1)
        first = int(end)
    return found
