"""One step of a model that was just read: nodes that do not fit together show here, and not in the plant."""

from __future__ import annotations

import torch

from revive.policy.policy import Policy
from revive.venv.virtual_env import VirtualEnv


def try_policy(policy: Policy) -> None:
    """Act once on the middle of the logged values. Raises ValueError for an action that is not finite."""
    widths = sum(policy.codec.width(name) for name in policy.inputs)
    with torch.no_grad():
        action = policy(torch.zeros(1, 1, widths))
        _require_finite(policy.target, policy.codec[policy.target].decode(action.double()))


def try_venv(venv: VirtualEnv) -> None:
    """Step once from the middle of the logged values, without functions of the user, which may refuse it.

    Raises ValueError for a value that is not finite.
    """
    if venv.graph.code_files:
        return

    def middle(name: str, *lead: int) -> torch.Tensor:
        return torch.zeros(*lead, venv.members, 1, venv.codec.width(name))

    with torch.no_grad():
        start = {name: middle(name) for name in venv.start_nodes}
        given = {name: middle(name, 1) for name in venv.replayed_nodes}
        past = {}
        for name in venv.graph.histories:
            spec = venv.graph[name].history
            assert spec is not None
            past[name] = torch.zeros(venv.members, 1, venv.codec.width(spec.source) * spec.lookback)
        rolled = venv.rollout(start, given, 1, past=past)
        for name, value in rolled.items():
            _require_finite(name, venv.codec[name].decode(value.double()))


def _require_finite(name: str, value: torch.Tensor) -> None:
    if not bool(torch.isfinite(value).all()):
        raise ValueError(f"'{name}' is not finite")
