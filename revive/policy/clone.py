"""A policy that does what the logs' controller did: where policy learning starts."""

from __future__ import annotations

import torch
from torch import Tensor

from revive.policy.bounds import soft_clip
from revive.policy.policy import Policy
from revive.policy.starts import Starts
from revive.policy.updates import cosine, set_step_size
from revive.venv.virtual_env import VirtualEnv


def clone_behaviour(
    policy: Policy, venv: VirtualEnv, starts: Starts, *, updates: int, batch: int, lr: float, seed: int
) -> float:
    """Distil each half's behaviour node (its members' mean) into the copy of that half; -> the last loss.

    The states are those that training will start from, so that the clone is defined wherever it begins.
    """
    generator = torch.Generator(venv.device).manual_seed(seed)
    optimizer = torch.optim.Adam(policy.net.parameters(), lr=lr, fused=True)
    per_member = max(1, batch * policy.copies // venv.members)
    loss = torch.zeros((), device=venv.device)
    for update in range(updates):
        with torch.no_grad():
            begin = starts.draw(per_member, 1, generator)
            values = {
                **venv.rollout(begin.state, begin.given, 1, past=begin.past),
                **venv.rollout(begin.state, begin.given, 1, past=begin.past, actor=policy.actor()),
            }
            answer = _mean_over_half(venv, values, policy.target)
            x = torch.cat([values[name][0] for name in policy.inputs], -1)
            x = x.reshape(policy.copies, -1, x.shape[-1])
        set_step_size(optimizer, cosine(lr, update, updates))
        loss = difference(policy, x, answer).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return float(loss.detach()) / policy.copies


def difference(policy: Policy, x: Tensor, answer: Tensor, weight: Tensor | None = None) -> Tensor:
    """Huber on the ordered dimensions, cross-entropy on the categories: (P,). weight: of the rows, (P, n)."""
    layout, out = policy.layout, policy.distribution(x)
    ordered = layout.ordered
    mean = soft_clip(out.mean, policy.low, policy.high)
    error = torch.nn.functional.huber_loss(mean, answer[..., :ordered], reduction="none")
    error = error if weight is None else error * weight.unsqueeze(-1)
    loss = error.sum((1, 2)) / x.shape[1]
    for start, stop in layout.blocks:
        assert out.logits is not None
        likely = torch.log_softmax(out.logits[..., start - ordered : stop - ordered], dim=-1)
        chosen = (answer[..., start:stop] * likely).sum(-1)
        loss = loss - (chosen if weight is None else chosen * weight).mean(1)
    return loss


def _mean_over_half(venv: VirtualEnv, values: dict[str, Tensor], target: str) -> Tensor:
    """What a half's members decide on average in each of the half's rows: (P, members * B, d).

    Means of the ordered dimensions, probabilities of the categories.
    """
    row = {name: value[0] for name, value in values.items()}  # (M, B, d)
    x, _ = venv.node_inputs(target, row)
    per_half = venv.members // venv.halves
    everyone = x.reshape(venv.halves, 1, -1, x.shape[-1]).expand(-1, per_half, -1, -1)
    out = venv.model(target)(everyone.reshape(venv.members, -1, x.shape[-1]), None)
    parts = [out.mean]
    for start, stop in venv.codec.layout(target).blocks:
        assert out.logits is not None
        offset = venv.codec.layout(target).ordered
        parts.append(out.logits[..., start - offset : stop - offset].softmax(-1))
    return torch.cat(parts, -1).reshape(venv.halves, per_half, -1, sum(p.shape[-1] for p in parts)).mean(1)
