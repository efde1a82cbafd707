"""What a controller must remember between its calls: the last values of what it sees and does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from revive.errors import UserError
from revive.graph.limits import clipped
from revive.graph.nodes import HistorySpec
from revive.policy.policy import Policy

Array = NDArray[np.float64]
Controller = Callable[[Mapping[str, Array]], dict[str, Array]]


class Memory:
    """The histories among a policy's inputs, kept up to date; and the step counter, where it sees one.

    Before the first step the first value seen stands for the ones before it, and the middle of the logged
    values for what was decided.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy, graph = policy, policy.graph
        self.specs: dict[str, HistorySpec] = {
            name: spec for name in policy.inputs if (spec := graph[name].history) is not None
        }
        self.counter = graph.step if graph.step in policy.inputs else None
        self._past: dict[str, Array] = {}
        self._steps = 0

    def complete(self, seen: Mapping[str, Array]) -> dict[str, Array]:
        """`seen` (node -> (B, d), physical) with the histories and the counter that are not in it."""
        full = dict(seen)
        rows = len(next(iter(seen.values()))) if seen else 1
        for name, spec in self.specs.items():
            if name not in full:
                full[name] = self._history(name, spec, seen, rows)
        if self.counter and self.counter not in full:
            full[self.counter] = np.full((rows, 1), float(self._steps))
        return full

    def advance(self, seen: Mapping[str, Array], action: Mapping[str, Array]) -> None:
        """Remember what was seen and done in this step."""
        self._steps += 1
        for name, spec in self.specs.items():
            value = action.get(spec.source, seen.get(spec.source))
            if name in self._past and value is not None:
                self._past[name] = np.hstack([self._past[name], value])[:, value.shape[1] :]

    def _history(self, name: str, spec: HistorySpec, seen: Mapping[str, Array], rows: int) -> Array:
        present = seen.get(spec.source)
        if spec.delay == 0 and present is None:
            raise UserError(f"'{spec.source}' is missing, of which the policy needs the last values")
        if name not in self._past:
            first = self._middle(spec.source, rows) if present is None else np.asarray(present)
            self._past[name] = np.tile(first, (1, spec.lookback))
        past = self._past[name]
        if spec.delay == 0:
            return np.hstack([past, present])  # type: ignore[list-item]
        return past[:, : past.shape[1] // spec.lookback * spec.length]

    def _middle(self, node: str, rows: int) -> Array:
        codec = self.policy.codec[node]
        return codec.decode(torch.zeros(rows, codec.width, dtype=torch.float64)).numpy()


def controller(policy: Policy) -> Controller:
    """The policy's deterministic action on dicts of arrays (B, d), physical units, with a memory of its own."""
    memory = Memory(policy)

    @torch.no_grad()
    def act(seen: Mapping[str, Array]) -> dict[str, Array]:
        full = memory.complete(seen)
        missing = [name for name in policy.inputs if name not in full]
        if missing:
            raise UserError(f"{', '.join(missing)} is not shown, but the policy needs it")
        parts = [policy.codec[n].encode(torch.as_tensor(full[n], dtype=torch.float64)) for n in policy.inputs]
        decided = policy(torch.cat(parts, dim=-1)[None])[0]
        physical = policy.codec[policy.target].decode(decided.double()).numpy()
        action = {policy.target: clipped(policy.graph.columns(policy.target), physical)}
        memory.advance(seen, action)
        return action

    return act
