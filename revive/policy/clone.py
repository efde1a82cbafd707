"""A policy that does what the logs' controller did: where policy learning starts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from revive.policy.policy import Policy
from revive.policy.starts import Starts
from revive.venv.virtual_env import VirtualEnv


def clone_behaviour(
    policy: Policy, venv: VirtualEnv, starts: Starts, *, updates: int, batch: int, lr: float, seed: int
) -> float:
    """Distil each half's behaviour node (its members' mean) into the copy of that half; -> the last loss.

    The states are those that training will start from, so that the clone is defined wherever it begins.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(policy.net.parameters(), lr=lr, fused=True)
    per_member = max(1, batch * policy.copies // venv.members)
    loss = torch.zeros(())
    for update in range(updates):
        with torch.no_grad():
            state, given = starts.draw(per_member, 1, generator)
            values = venv.rollout(state, given, 1)
            answer = _mean_over_half(venv, values, policy.target)  # (P, B, d)
            x = torch.cat([values[name][0] for name in policy.inputs], -1)
            x = x.reshape(policy.copies, -1, x.shape[-1])
        for group in optimizer.param_groups:
            group["lr"] = lr * 0.5 * (1.0 + math.cos(math.pi * update / updates))
        loss = torch.nn.functional.huber_loss(policy(x), answer, reduction="none").mean((1, 2)).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return float(loss.detach()) / policy.copies


def _mean_over_half(venv: VirtualEnv, values: dict[str, Tensor], target: str) -> Tensor:
    """What a half's members would decide on average in each of the half's rows: (P, members * B, d)."""
    row = {name: value[0] for name, value in values.items()}  # (M, B, d)
    x, _ = venv.node_inputs(target, row)
    halves = x.reshape(venv.halves, 1, -1, x.shape[-1]).expand(-1, venv.members // venv.halves, -1, -1)
    mean, _ = venv.model(target)(halves.reshape(venv.members, -1, x.shape[-1]), None)
    return mean.reshape(venv.halves, -1, *mean.shape[1:]).mean(1)
