"""Detectors of how actions act on states: after which dead time, and whether at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from revive.data.derive import is_read
from revive.data.finding import Evidence
from revive.data.lags import ACTS, Effect, Past
from revive.data.proposal import Proposal, quoted
from revive.data.trajectories import FloatArray, IntArray, Trajectories
from revive.graph.names import history_name

_LONGEST: Final = 30  # steps of dead time that are looked for
_SHARE: Final = 0.2  # of a usual trajectory that a dead time may take
_MOST: Final = 60  # pairs of an action and a state that are looked at
_SCREENED: Final = 5e8  # rows times pairs that they are chosen by
_FEWEST: Final = 50  # rows that they are chosen by
_SOON: Final = 4  # steps up to which every delay is tried for that, and every so many behind
_ECHO: Final = (
    3  # steps by which an effect may come later where the same action acts on another state at once
)
_MATTERS: Final = 0.05  # share of what is unexplained that an action has to explain
_OTHERS: Final = 6  # other columns whose past is taken into account

Column = tuple[str, int]


@dataclass(frozen=True)
class Effects:
    """What every action column does to every state column, as far as the logs tell."""

    evidence: Evidence

    @cached_property
    def actions(self) -> list[Column]:
        """The action columns that vary, as (node, number)."""
        return [pair for node in self.evidence.graph.decisions for pair in self._varying(node)]

    @cached_property
    def states(self) -> list[Column]:
        """The state columns that vary and are no category."""
        graph, arrays = self.evidence.graph, self.evidence.small_sample.arrays
        nodes = [n for n in graph.states if is_read(graph, n) and graph.next_of(n) in arrays]
        found = [pair for node in nodes for pair in self._varying(node)]
        return [(node, k) for node, k in found if graph.columns(node)[k].type != "category"]

    def _varying(self, node: str) -> list[Column]:
        evidence = self.evidence
        if node not in evidence.small_sample.arrays:
            return []
        return [(node, k) for k in range(evidence.graph[node].width) if not evidence.is_constant(node, k)]

    @cached_property
    def found(self) -> dict[tuple[Column, Column], Effect]:
        """(action, state) -> the effect, of `pairs`; without those that there are too few rows for."""
        return {pair: effect for pair in self.pairs if (effect := self._effect(*pair)) is not None}

    @cached_property
    def pairs(self) -> list[tuple[Column, Column]]:
        """The pairs of an action and a state that are looked at: all, or of many those that go together most."""
        if self._longest < 2:
            return []
        pairs = [(action, state) for state in self.states for action in self.actions]
        if len(pairs) <= _MOST:
            return pairs
        score = self._going_together().ravel()
        return [pairs[k] for k in np.sort(np.argsort(-score, kind="stable")[:_MOST])]

    @property
    def left_out(self) -> int:
        """How many pairs of an action and a state are not looked at because there are too many."""
        return len(self.actions) * len(self.states) - len(self.pairs) if self.pairs else 0

    @cached_property
    def _longest(self) -> int:
        return min(_LONGEST, int(_SHARE * np.median(self.evidence.small_sample.lengths)))

    def _going_together(self) -> FloatArray:
        """(states, actions) the largest correlation of a state's change with the action now or some steps before."""
        sample = self.evidence.small_sample
        room = int(_SCREENED / (len(self.actions) * len(self.states)))
        rows = _with_past(sample, self._longest)[: max(room, _FEWEST)]
        changes = [self._following(state)[rows] - self._values(state)[rows] for state in self.states]
        delta, moves = _standard(np.stack(changes)), np.stack([self._values(a) for a in self.actions])
        best = np.zeros((len(self.states), len(self.actions)))
        for delay in (*range(_SOON), *range(_SOON, self._longest + 1, _SOON)):
            best = np.maximum(best, np.abs(delta @ _standard(moves[:, rows - delay]).T))
        return best

    def _effect(self, action: Column, state: Column) -> Effect | None:
        if (action, state) not in self._looked_up:
            past = self._past(state)
            self._looked_up[action, state] = past.effect(self._values(action)) if past.usable else None
        return self._looked_up[action, state]

    def _past(self, state: Column) -> Past:
        if state not in self._pasts:
            sample = self.evidence.small_sample
            others = [self._values(other) for other in self._beside(state)]
            known = (self._values(state), self._following(state), others)
            self._pasts[state] = Past(*known, sample.starts, sample.ends, self._longest)
        return self._pasts[state]

    @cached_property
    def _looked_up(self) -> dict[tuple[Column, Column], Effect | None]:
        return {}

    @cached_property
    def _pasts(self) -> dict[Column, Past]:
        return {}

    def _beside(self, state: Column) -> list[Column]:
        """The other columns that are known beside a state, those that go with it most first."""
        known, values = self._everything
        mine = known.index(state)
        if len(known) <= 1 + _OTHERS:
            return known[:mine] + known[mine + 1 :]
        close = np.abs(values @ values[mine])
        return [known[k] for k in np.argsort(close)[::-1][: _OTHERS + 1] if k != mine][:_OTHERS]

    @cached_property
    def _everything(self) -> tuple[list[Column], FloatArray]:
        """All columns that may be known beside a state, and their values (p, N), standardised."""
        graph = self.evidence.graph
        known = self.states + [pair for node in graph.exogenous for pair in self._varying(node)]
        return known, _standard(np.stack([self._values(column) for column in known]))

    def _values(self, column: Column) -> FloatArray:
        return self.evidence.small_sample.arrays[column[0]][:, column[1]]

    def _following(self, state: Column) -> FloatArray:
        return self.evidence.small_sample.arrays[self.evidence.graph.next_of(state[0])][:, state[1]]

    def acts_on(self, state: Column) -> bool:
        """Whether any action acts on a state column, however late; pairs that were left out are looked at now."""
        if self._longest < 2:
            return False
        effects = (self._effect(action, state) for action in self.actions)
        return any(effect is not None and effect.likelihood >= ACTS for effect in effects)


def _with_past(sample: Trajectories, steps: int) -> IntArray:
    """The rows that have so many rows of their trajectory before them."""
    place = np.arange(sample.rows) - np.repeat(sample.starts, sample.lengths)
    return np.flatnonzero(place >= steps)


def _standard(values: FloatArray) -> FloatArray:
    """Rows of mean 0 and length 1; those that do not vary are 0."""
    off = values - values.mean(axis=1, keepdims=True)
    return np.asarray(off / np.maximum(np.linalg.norm(off, axis=1, keepdims=True), 1e-300))


def dead_times(evidence: Evidence, effects: Effects) -> Iterator[Proposal]:
    """Actions that act on a state only after some steps, where no transition sees that many of them."""
    graph = evidence.graph
    for ((action, number), (node, k)), effect in effects.found.items():
        steps = effect.dead_time or 0
        transition = graph.next_of(node)
        at_once = any(e.dead_time == 0 for (doer, _), e in effects.found.items() if doer == (action, number))
        shortest = (
            _ECHO if at_once else 0
        )  # what passes through another state that is logged needs no history
        if steps <= max(shortest, _seen(evidence, transition, action)) or effect.share < _MATTERS:
            continue
        doer, done_to = graph.columns(action)[number].name, graph.columns(node)[k].name
        history = history_name(action)
        inputs = ", ".join(quoted(history if name == action else name) for name in graph[transition].inputs)
        yield Proposal(
            "dead_time",
            (f"{action}.{doer}", f"{node}.{done_to}"),
            float(steps),
            f"the first acts on the second only {steps} steps later (likelihood ratio {effect.likelihood:.0f}); "
            "a model that sees the last action alone cannot know it",
            f"nodes: {{{quoted(action)}: {{ts: {steps + 1}}}}}  # and under graph: {transition}: [{inputs}]",
        )


def _seen(evidence: Evidence, transition: str, action: str) -> int:
    """How many steps back a transition sees an action."""
    specs = (evidence.graph[name].history for name in evidence.graph[transition].inputs)
    return max((spec.lookback for spec in specs if spec is not None and spec.source == action), default=0)
