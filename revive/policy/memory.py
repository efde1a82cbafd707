"""A policy as a controller with a memory of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from revive.data.memory import Memory
from revive.errors import UserError
from revive.graph.joint import split
from revive.graph.limits import clipped
from revive.policy.policy import Policy

Array = NDArray[np.float64]
Controller = Callable[[Mapping[str, Array]], dict[str, Array]]


def memory_of(policy: Policy) -> Memory:
    """What a policy needs of the past; see `Memory`."""

    def middle(node: str) -> Array:
        codec = policy.codec[node]
        return codec.decode(torch.zeros(codec.width, dtype=torch.float64)).numpy()

    return Memory(policy.graph, policy.inputs, middle, policy.repeat)


def controller(policy: Policy) -> Controller:
    """The policy's deterministic action on dicts of arrays (B, d), physical units, with a memory of its own."""
    memory = memory_of(policy)

    @torch.no_grad()
    def act(seen: Mapping[str, Array]) -> dict[str, Array]:
        full = memory.complete(seen)
        missing = [name for name in policy.inputs if name not in full]
        if missing:
            raise UserError(f"{', '.join(missing)} is not shown, but the policy needs it")
        parts = [policy.codec[n].encode(torch.as_tensor(full[n], dtype=torch.float64)) for n in policy.inputs]
        decided = policy(torch.cat(parts, dim=-1)[None])[0]
        physical = policy.codec[policy.target].decode(decided.double()).numpy()
        action = memory.held(clipped(policy.graph.columns(policy.target), physical))
        done = split(policy.graph, policy.target, action)
        memory.advance(seen, done)
        return done

    return act
