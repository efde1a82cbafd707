"""Warnings about rows that cannot be what a plant does: a sensor that stands still, rows in no order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from revive.data.derive import is_read
from revive.data.effect_detectors import Effects
from revive.data.explained import design, unexplained, unexplained_alone
from revive.data.finding import Evidence, Finding, warning
from revive.data.trajectories import FloatArray, IntArray

_STILL: Final = 20  # rows of one value that are worth a word
_TIMES: Final = 10  # times as long as it usually stands still
_LONG: Final = 100  # times as long, where it comes back without a jump
_ALONE: Final = 5  # times as long as any other time, where it changes so often
_STEPS: Final = 100  # times that it changes
_USUAL: Final = 0.95  # quantile of the other standstills, and of steps, that counts as usual
_DISTINCT: Final = 50  # values from which a column is not made of levels
_FILLED: Final = 0.5  # share of missing values from which a standstill is no sensor's
_MOVES: Final = 0.3  # of its usual rate that something else has to go on changing at
_FORGETS: Final = 0.97  # share of the variance of all states that their past must leave
_CHANCE: Final = 2.8  # white noise: the least of q columns in N rows is about 1 - 2.6 log(q) / N
_TOGETHER: Final = 0.3  # correlation from which steps go together
_EFFECTLESS: Final = 1000  # rows from which an effect would be seen


def stuck_sensors(evidence: Evidence) -> Iterator[Finding]:
    """Measured columns that keep one value for long, though they usually move, and others go on moving."""
    graph, data = evidence.graph, evidence.trajectories
    for node, number, column in evidence.logged():
        if node in graph.decisions or column.type != "continuous" or evidence.is_constant(node, number):
            continue
        if len(np.unique(evidence.sample.arrays[node][:, number])) < _DISTINCT:
            continue
        values = data.arrays[node][:, number]
        span = _standstill(values, data.ends)
        filled = None if data.missing is None or node not in data.missing else data.missing[node][:, number]
        if span is not None and filled is not None and filled[slice(*span)].mean() > _FILLED:
            continue  # nothing was logged there, and the value before was taken
        if span is not None and _others_move(evidence, node, number, *span):
            first, behind = span
            what = f"'{column.name}' stands still at {values[first]:g} in rows {first} to {behind - 1} "
            what += f"({behind - first} rows), while others move: a sensor that is stuck?"
            remedy = (
                f'leave these rows out: dataset.where="row < {first} or row >= {behind}", or log it again'
            )
            yield warning("stuck", what, remedy, node, column.name)


def _standstill(values: FloatArray, ends: IntArray) -> tuple[int, int] | None:
    """The first row and the row behind the longest run of one value, where it is remarkably long."""
    fresh = np.append(True, values[1:] != values[:-1])
    fresh[ends[:-1]] = True
    begins = np.flatnonzero(fresh)
    lengths = np.diff(np.append(begins, len(values)))
    longest = int(lengths.argmax())
    first, length = int(begins[longest]), int(lengths[longest])
    others = np.delete(lengths, longest)
    at_extreme = values[first] in (values.min(), values.max())
    if length < _STILL or not len(others) or at_extreme:
        return None
    usual = float(np.quantile(others, _USUAL))
    if length < _TIMES * usual:
        return None
    behind = first + length
    steps = np.abs(np.diff(values))
    inside = behind < len(values) and behind not in ends
    jumps = inside and abs(values[behind] - values[first]) > np.quantile(steps[steps > 0], _USUAL)
    alone = len(others) >= _STEPS and length >= _ALONE * int(others.max())
    return (first, behind) if usual <= 1 or jumps or alone or length >= _LONG * usual else None


def _others_move(evidence: Evidence, node: str, number: int, first: int, behind: int) -> bool:
    """Whether another column goes on changing between two rows, about as often as it does elsewhere.

    Where no action does, the plant itself may stand still, whatever the weather does: then only a state counts.
    """
    arrays, graph = evidence.trajectories.arrays, evidence.graph
    moving: dict[str, list[bool]] = {}
    for other, k, _ in evidence.logged():
        if (other, k) == (node, number) or evidence.is_constant(other, k):
            continue
        changes = np.diff(arrays[other][:, k]) != 0
        moves = changes[first : behind - 1].mean() >= _MOVES * max(changes.mean(), 1e-12)
        moving.setdefault(other, []).append(bool(moves))
    acting = [moves for name in graph.decisions for moves in moving.get(name, [])]
    if acting and not any(acting):
        return any(moves for name in graph.states for moves in moving.get(name, []))
    return not moving or any(map(any, moving.values()))


def rows_in_no_order(evidence: Evidence) -> Iterator[Finding]:
    """States of which the row before says no more than their mean does."""
    graph, sample = evidence.graph, evidence.small_sample
    nodes = [n for n in graph.states if is_read(graph, n) and {n, graph.next_of(n)} <= {*sample.arrays}]
    following = [sample.arrays[graph.next_of(node)] for node in nodes]
    if not nodes or any(column.type == "category" for node in nodes for column in graph.columns(node)):
        return
    known = [name for name in (*graph.leaves, *graph.decisions) if is_read(graph, name)]
    now, then = np.hstack([sample.arrays[node] for node in nodes]), np.hstack(following)
    left = unexplained(design(sample, graph, known), then, sample.ends, waves=False)
    alone = unexplained_alone(now, then, sample.ends)  # of many columns only their own past can be seen
    if left is None or alone is None or np.isnan(left).all():
        return
    least = float(np.nanmin(np.fmin(left, alone)))
    # among very many columns a few seem to depend on their past by chance
    if least < min(_FORGETS, 1 - _CHANCE * np.log(left.size) / sample.rows):
        return
    what = "no state depends on the row before it: 'always the mean' predicts it as well "
    what += f"({least:.0%} of its variance stays unexplained), as if the rows were in no order"
    remedy = "sort the rows by time and keep those of a run together, or log in shorter steps"
    yield warning("no-order", what, remedy)


def actions_without_effect(evidence: Evidence, effects: Effects) -> Iterator[Finding]:
    """Actions of which no state shows an effect, at once or later."""
    if not effects.found or effects.left_out or evidence.small_sample.rows < _EFFECTLESS:
        return
    if any(effects.acts_on(state) for state in effects.states):
        return
    names = ", ".join(f"'{evidence.graph.columns(node)[k].name}'" for node, k in effects.actions)
    what = f"no state shows an effect of {names}, at once or later, so a policy cannot be learned from these logs"
    remedy = "name the right columns as actions, or log while they are moved more than the controller does"
    if outcomes := _moving_with(evidence, effects):
        shown = ", ".join(f"'{name}'" for name in outcomes[:3])
        what += f"; but {shown} moves with them in the same row"
        remedy = (
            f"where {shown} is the outcome of its row, it is no state that the action is decided from: give it a dim "
            f"of its own, outcome, that follows within the step: under graph outcome: [state, action]; else {remedy}"
        )
    yield warning("no-effect", what, remedy, effects.actions[0][0])


def _moving_with(evidence: Evidence, effects: Effects) -> list[str]:
    """The state columns whose steps go along with those of an action in the same row, though it does nothing later."""
    sample, graph = evidence.small_sample, evidence.graph
    inner = np.ones(sample.rows - 1, dtype=bool)
    inner[sample.ends[:-1] - 1] = False

    def steps(node: str, number: int) -> FloatArray:
        return np.diff(sample.arrays[node][:, number])[inner]

    def alike(one: FloatArray, other: FloatArray) -> float:
        return abs(float(np.corrcoef(one, other)[0, 1])) if one.std() > 0 < other.std() else 0.0

    acting = [steps(*action) for action in effects.actions]
    return [
        graph.columns(node)[number].name
        for node, number in effects.states
        if any(alike(steps(node, number), action) > _TOGETHER for action in acting)
    ]
