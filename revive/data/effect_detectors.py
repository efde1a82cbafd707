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
from revive.data.trajectories import FloatArray
from revive.graph.names import history_name

_LONGEST: Final = 30  # steps of dead time that are looked for
_SHARE: Final = 0.2  # of a usual trajectory that a dead time may take
_MOST: Final = 60  # pairs of an action and a state that are looked at
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
        """(action, state) -> the effect; without the pairs that there are too few rows or too many columns for."""
        sample = self.evidence.small_sample
        longest = min(_LONGEST, int(_SHARE * np.median(sample.lengths)))
        if longest < 2 or len(self.actions) * len(self.states) > _MOST:
            return {}
        effects: dict[tuple[Column, Column], Effect] = {}
        for state in self.states:
            following = sample.arrays[self.evidence.graph.next_of(state[0])][:, state[1]]
            others = [self._values(other) for other in self._beside(state)]
            known = Past(self._values(state), following, others, sample.starts, sample.ends, longest)
            if known.usable:
                effects |= {(action, state): known.effect(self._values(action)) for action in self.actions}
        return effects

    def _beside(self, state: Column) -> list[Column]:
        """The other columns that are known beside a state, those that go with it most first."""
        others = [other for other in self.states if other != state]
        others += [pair for node in self.evidence.graph.exogenous for pair in self._varying(node)]
        if len(others) <= _OTHERS:
            return others
        mine = self._values(state)
        close = [abs(float(np.corrcoef(mine, self._values(other))[0, 1])) for other in others]
        return [others[k] for k in np.argsort(close)[::-1][:_OTHERS]]

    def _values(self, column: Column) -> FloatArray:
        return self.evidence.small_sample.arrays[column[0]][:, column[1]]

    def acts_on(self, state: Column) -> bool:
        """Whether any action acts on a state column, however late."""
        return any(to == state and effect.likelihood >= ACTS for (_, to), effect in self.found.items())


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
