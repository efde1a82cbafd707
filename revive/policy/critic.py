"""The value of a state under the policy, per copy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from revive.nn.ensemble import LinearSkipNet

VALUE_SCALE = 10.0  # discounted sums are larger than the rewards they sum


class Critic(nn.Module):
    """`V(leaves)` for P copies: (P, B, inputs) -> (P, B), in units of the logged reward's spread."""

    def __init__(self, copies: int, inputs: int, hidden: tuple[int, ...] = (64, 64)) -> None:
        super().__init__()
        self.inputs = inputs
        self.net = LinearSkipNet(copies, inputs, 1, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).squeeze(-1) * VALUE_SCALE


def lambda_returns(reward: Tensor, next_value: Tensor, gamma: float, mix: float) -> Tensor:
    """TD(lambda) returns: `G_k = r_k + gamma * ((1 - mix) V_{k+1} + mix G_{k+1})`, `G_h = V_h`.

    reward, next_value (h, ...) -> (h, ...); the end of the rollout is a time-out, never a terminal state.
    """
    out = torch.empty_like(reward)
    following = next_value[-1]
    for k in range(reward.shape[0] - 1, -1, -1):
        following = reward[k] + gamma * ((1.0 - mix) * next_value[k] + mix * following)
        out[k] = following
    return out
