"""The memory of many plants, each known by its name: histories, step counters, and how often it left the logs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from revive.errors import Problem, UserError
from revive.runtime.codec import Array
from revive.runtime.policy import Policy

WINDOW: Final = 100  # judged rows that are looked back upon
ALLOWED: Final = 5  # of them that may be unlike the logs


@dataclass
class Plant:
    """One plant. past: history -> its frames before the next step, none before the first. recent: unlike or not."""

    steps: float = 0.0
    past: dict[str, Array] = field(default_factory=dict)
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

    def act(self, names: Sequence[str], arrays: Mapping[str, Array], done: Array | None) -> Array:
        """One step of the named plants: arrays, node -> (N, d), physical, to the action (N, d).

        done (N, d): what is done in fact, where that is not the action; it is what the next step remembers.
        """
        if not arrays:  # a policy that sees nothing but its own past
            return np.concatenate([self._stepped([name], {}, _one(done, i)) for i, name in enumerate(names)])
        return self._stepped(names, arrays, done)

    def _stepped(self, names: Sequence[str], arrays: Mapping[str, Array], done: Array | None) -> Array:
        plants = [self.known.get(name) or Plant() for name in names]
        memory, graph, target = self.policy.memory(), self.policy.graph, self.policy.target
        memory.steps = np.array([[plant.steps] for plant in plants])
        for name, spec in memory.specs.items():
            empty = np.full(spec.lookback * graph[spec.source].width, np.nan)
            memory.past[name] = np.stack([plant.past.get(name, empty) for plant in plants])
        action = self.policy.act(memory.complete(arrays))[target]
        memory.advance(arrays, {target: action if done is None else done})
        for number, (name, plant) in enumerate(zip(names, plants, strict=True)):
            self.known[name] = plant
            plant.steps += 1.0
            plant.past = {history: memory.past[history][number].copy() for history in memory.specs}
        return action

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


def _one(done: Array | None, row: int) -> Array | None:
    return None if done is None else done[row : row + 1]
