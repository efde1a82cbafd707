"""The memory of many plants, each known by its name: histories, step counters, and how often it left the logs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from revive.errors import Problem, UserError
from revive.graph.joint import side_by_side, split
from revive.runtime.codec import Array
from revive.runtime.policy import Policy

WINDOW: Final = 100  # judged rows that are looked back upon
ALLOWED: Final = 5  # of them that may be unlike the logs


@dataclass
class Plant:
    """One plant.

    past: history -> its frames before the next step, none before the first. assumed: node -> (d,), what stood for its
    values before the first step, NaN where they were told. recent: unlike or not.
    """

    steps: float = 0.0
    past: dict[str, Array] = field(default_factory=dict)
    assumed: dict[str, Array] = field(default_factory=dict)
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))

    @property
    def unlike(self) -> int:
        """Of the last rows, how many were not like the logs."""
        return sum(self.recent)

    @property
    def in_range(self) -> bool:
        """Whether the model knows where the plant is.

        1 % of the logs' own rows are far (see Envelope), so more than 5 in 100 come by chance once in 1900 windows.
        """
        return self.unlike <= ALLOWED


class Plants:
    """Plants that are answered together in one batch, whichever of them a request names."""

    def __init__(self, policy: Policy, most: int = 10_000) -> None:
        self.policy, self.most = policy, most
        self.known: dict[str, Plant] = {}

    def admit(self, names: Sequence[str]) -> None:
        """Raises UserError where there would be more plants than the memory was meant for."""
        new = sum(name not in self.known for name in names)
        if len(self.known) + new > self.most:
            what = f"{len(self.known)} plants are remembered, and {new} more would be too many"
            remedy = f"POST /reset forgets plants; serve with --plants N for more than {self.most}"
            raise UserError(Problem(what, place="plants", remedy=remedy))

    def act(
        self,
        names: Sequence[str],
        arrays: Mapping[str, Array],
        done: Array | None,
        before: Mapping[str, Mapping[str, Array]] | None = None,
    ) -> Array:
        """One step of the named plants: arrays, node -> (N, d), physical, to the action (N, d).

        done (N, d): what is done in fact, where that is not the action; it is what the next step remembers, and in the
        first step it stands for what was done before. before: plant -> what `Memory.begin` is told of it.
        """
        plants = [self.known.get(name) or Plant() for name in names]
        memory, target = self.policy.memory(), self.policy.target
        memory.begin(len(plants))
        for number, (name, plant) in enumerate(zip(names, plants, strict=True)):
            if plant.steps:
                memory.resume(number, plant.steps, plant.past)
            else:
                memory.begin(len(plants), np.array([number]), (before or {}).get(name))
        full = memory.complete(arrays, {} if done is None else split(self.policy.graph, target, done))
        stood = memory.assumed(arrays)
        graph = self.policy.graph
        action = side_by_side(graph, target, self.policy.act(full))
        memory.advance(arrays, split(graph, target, action if done is None else done))
        for number, (name, plant) in enumerate(zip(names, plants, strict=True)):
            self.known[name] = plant
            plant.assumed = {} if plant.steps else {node: value[number] for node, value in stood.items()}
            plant.steps += 1.0
            plant.past = {history: memory.past[history][number].copy() for history in memory.specs}
        return action

    def require_first(self, names: Iterable[str]) -> None:
        """Raises UserError where one of the plants has made a step: then it is known what was before."""
        for name in names:
            if name in self.known:
                what = (
                    f"plant '{name}' is at step {int(self.known[name].steps)}: what was before is remembered"
                )
                remedy = 'leave "before" out, or say "restart": true as well'
                raise UserError(Problem(what, place="before", remedy=remedy))

    def forget(self, names: Iterable[str] | None) -> list[str]:
        """Begin anew: the named plants, or all of them; returns those that were known."""
        found = [name for name in (list(self.known) if names is None else names) if name in self.known]
        for name in found:
            del self.known[name]
        return found

    @property
    def out_of_range(self) -> list[str]:
        """The plants that the model does not know any more."""
        return [name for name, plant in self.known.items() if not plant.in_range]
