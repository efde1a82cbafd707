"""Model-free: twin critics and an actor that stays near the logs, from logged transitions alone.

TD3+BC (Fujimoto and Gu 2021, arXiv:2106.06860) in the form of ReBRAC (Tarasov et al. 2023, arXiv:2305.09836):
critics `Q(s, a) <- r + gamma (1 - done) (min Q'(s', a~) - c |a~ - a'|^2)`, a~ what the slow policy does in s' with
noise, a' what was logged there; actor `max min Q(s, pi(s)) / D - w |pi(s) - a|`, D the mean absolute deviation of Q
over the batch, so that neither the reward's unit nor an offset of it changes what w means. Variants differ in w.

A choice among values is drawn by the policy and passes a gradient as if it were soft (straight through).
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from revive.policy.clone import difference
from revive.policy.learners.offline import SMALLEST, Course, OfflineLearner
from revive.policy.problem import PolicyProblem
from revive.policy.transitions import Transitions
from revive.policy.updates import follow


class Td3Bc(OfflineLearner):
    """All variants of both halves learn side by side, each from the rows of its own half.

    Args:
        problem: what is to be learned.
        actor_weights: w above, one variant each. critic_weight: c above, in spreads of the logged reward.
        target_noise: of the slow policy, in spreads of the logged action.
        course: see `Course`.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        actor_weights: list[float],
        critic_weight: float,
        target_noise: float,
        **course: Unpack[Course],
    ) -> None:
        super().__init__(problem, "td3_bc", [f"behaviour {weight:g}" for weight in actor_weights], **course)
        self.critic_weight = critic_weight
        self.slow_policy = problem.clone.widened(len(actor_weights)).requires_grad_(False)
        self.slow_policy.noise.fill_(target_noise)
        self.actor_weight = self._per_copy(actor_weights)

    def critic_loss(self, rows: Transitions) -> Tensor:
        with torch.no_grad():
            action = self.slow_policy(rows.next_x[..., : rows.seen], self.generator)
            strange = (action - rows.next_action).square().sum(-1) * rows.known
            following = self.slow_critic(rows.next_x, action).amin(0) - self.critic_weight * strange
            target = rows.reward + self.gamma * rows.going * following
        return (self.critic(rows.x, rows.action) - target).square().mean(-1).sum()

    def actor_loss(self, rows: Transitions) -> Tensor:
        """Minus the normalised value, plus the distance from what was logged."""
        seen = self.seen(rows)
        draws = self.generator if self.policy.layout.choices else None
        value = self.valued(rows, self.policy(seen, draws)).amin(0)  # (P, batch)
        unit = (value - value.mean(1, keepdim=True)).detach().abs().mean(1).clamp_min(SMALLEST)
        distance = difference(self.policy, seen, rows.action)
        return (-value.mean(1) / unit + self.actor_weight * distance).sum()

    def act_better(self, rows: Transitions, optimizer: Any, others: list[Any]) -> None:
        super().act_better(rows, optimizer, others)
        rate = self.course["target_rate"] * self.course["actor_every"]
        follow(self.slow_policy.net, self.policy.net, rate)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"]["slow_policy.noise"] = self.slow_policy.noise  # what is set counts
        super().on_load_checkpoint(checkpoint)
