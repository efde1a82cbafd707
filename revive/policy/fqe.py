"""What a policy is worth by the logs alone: fitted Q evaluation, which knows no venv.

On the rows of one half (Le, Voloshin and Yue 2019, arXiv:1903.08738; as an opponent to model rollouts Voloshin et al.
2019, arXiv:1911.06854),

    Q(s, a) <- r + gamma (1 - done) Q'(s', pi(s')),   worth per step (1 - gamma) mean Q(s, pi(s)) over given states s

Beside it stands the same of the logs' own controller, with the action that was logged next in place of pi(s'): its
answer is known, and what the two estimates get wrong alike cancels in their difference. Targets stay within what the
logged rewards allow. It says little about actions far from the logged ones; where it contradicts the venv, one of the
two is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.action_value import ActionValue
from revive.policy.policy import Policy
from revive.policy.transitions import Transitions, not_logged
from revive.policy.updates import cosine, follow, set_step_size, step
from revive.venv.virtual_env import VirtualEnv

HIDDEN, BATCH, LR, RATE, CLIP = (64, 64), 256, 1e-3, 0.01, 10.0
WARM_UP = 0.2  # share of the updates in which the logs' own returns are learned
ROOM = 0.2  # by which targets may exceed what the logged rewards allow


@dataclass(frozen=True)
class Logs:
    """Logged rows and whose value is asked for; what `Transitions.of` needs."""

    venv: VirtualEnv
    rows: Rows
    clone: Policy
    target: str
    row_reward: Tensor

    @property
    def reward_spread(self) -> float:
        """Standard deviation of the logged reward."""
        return max(float(self.row_reward.std()), 1e-6)


@dataclass(frozen=True)
class Worth:
    """Per step, discounted, by the rows of one half: of the policy, and of the logs' own controller."""

    policy: float
    logs: float

    @property
    def gain(self) -> float:
        return self.policy - self.logs


def fitted_q(
    logs: Logs, starts: Sequence[Tensor], *, gamma: float, updates: int, seed: int
) -> list[Worth] | str:
    """The worth of `logs.clone`, a policy of one copy, by each half's rows, or why the logs cannot say it.

    starts: for each half, the rows from whose states it is asked for.
    """
    if (reason := not_logged(logs)) is not None:
        return reason
    rows, halves = Transitions.of(logs, gamma), len(starts)
    torch.manual_seed(seed)
    critic, slow = (
        ActionValue(2 * halves, rows.x.shape[1], logs.clone.layout.width, HIDDEN).to(rows.x.device)
        for _ in range(2)
    )
    slow.load_state_dict(critic.state_dict())
    generator = torch.Generator(rows.x.device).manual_seed(seed)
    optimizer = torch.optim.Adam(critic.parameters(), lr=LR, fused=True)
    low, high = _allowed(rows, gamma)
    for update in range(updates):
        set_step_size(optimizer, cosine(LR, update, updates))
        drawn = rows.drawn(2 * halves, BATCH, generator)
        known = _known(drawn)
        with torch.no_grad():
            following = slow(drawn.next_x, _next_action(logs.clone, drawn)).mean(0)
            target = (drawn.reward + gamma * drawn.going * following).clamp(low, high)
            target = drawn.earned if update < WARM_UP * updates else target
        loss = ((critic(drawn.x, drawn.action) - target).square() * known).mean(-1).sum()
        step(optimizer, loss, critic.parameters(), CLIP)
        follow(slow, critic, RATE)
    return _worth(logs, rows, critic, starts, gamma)


def _known(rows: Transitions) -> Tensor:
    """Whether the next action is known, copy by copy (policy, logs) for each half: (P, n)."""
    known = torch.maximum(rows.known, 1.0 - rows.going)  # after an end none is needed
    return torch.cat([torch.ones_like(known[0::2]).unsqueeze(1), known[1::2].unsqueeze(1)], 1).flatten(0, 1)


@torch.no_grad()
def _next_action(policy: Policy, rows: Transitions) -> Tensor:
    """(P, n, width): of the policy, and as it was logged, in turn."""
    seen = rows.next_x[0::2, :, : rows.seen]  # (halves, n, d)
    own = policy(seen.reshape(1, -1, seen.shape[-1])).reshape(*seen.shape[:2], -1)
    return torch.stack([own, rows.next_action[1::2]], 1).flatten(0, 1)


def _allowed(rows: Transitions, gamma: float) -> tuple[float, float]:
    """The least and the largest discounted sum of logged rewards, with some room."""
    low, high = float(rows.reward.min()) / (1.0 - gamma), float(rows.reward.max()) / (1.0 - gamma)
    if not bool(rows.going.all()):
        low, high = min(low, 0.0), max(high, 0.0)
    room = ROOM * (high - low)
    return low - room, high + room


@torch.no_grad()
def _worth(
    logs: Logs, rows: Transitions, critic: ActionValue, starts: Sequence[Tensor], gamma: float
) -> list[Worth]:
    index = torch.stack(list(starts)).repeat_interleave(2, 0).to(rows.x.device)  # (P, n)
    x, action = rows.x[index], rows.action[index].clone()
    seen = x[0::2, :, : rows.seen]
    action[0::2] = logs.clone(seen.reshape(1, -1, seen.shape[-1])).reshape(*seen.shape[:2], -1)
    value = (1.0 - gamma) * critic(x, action).mean((0, 2)) + rows.offset  # (P,)
    policy, own = (value * logs.reward_spread).view(-1, 2).T.tolist()
    return [Worth(*pair) for pair in zip(policy, own, strict=True)]


def discounted_mean(reward: Tensor, gamma: float) -> Tensor:
    """The same measure of rollouts, (T, ...) -> (...): a mean per step with weights that fall by gamma."""
    weight = gamma ** torch.arange(len(reward), device=reward.device, dtype=reward.dtype)
    return torch.tensordot(weight / weight.sum(), reward, dims=1)
