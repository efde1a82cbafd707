"""Model-free: twin critics and an actor that stays near the logs, from logged transitions alone.

TD3+BC (Fujimoto and Gu 2021, arXiv:2106.06860) in the form of ReBRAC (Tarasov et al. 2023, arXiv:2305.09836):
critics `Q(s, a) <- r + gamma (1 - done) (min Q'(s', a~) - c |a~ - a'|^2)`, a~ what the slow policy does in s' with
noise, a' what was logged there; actor `max min Q(s, pi(s)) / D - w |pi(s) - a|`, D the mean absolute deviation of Q
over the batch, so that neither the reward's unit nor an offset of it changes what w means. Variants differ in w.
Before the actor moves, the critics learn the discounted returns of the logs themselves (Jelley et al. 2024,
arXiv:2406.13376), from which temporal differences have a short way to go.

A choice among values is drawn by the policy and passes a gradient as if it were soft (straight through).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from revive.policy.action_value import ActionValue
from revive.policy.candidate import Snapshots
from revive.policy.clone import difference
from revive.policy.learners.base import SnapshotLearner
from revive.policy.problem import PolicyProblem
from revive.policy.transitions import Transitions, not_logged
from revive.policy.updates import follow, step

SMALLEST = 1e-3  # deviation of Q, in spreads of the reward


class Td3Bc(SnapshotLearner):
    """All variants of both halves learn side by side, each from the rows of its own half.

    Args:
        problem: what is to be learned.
        actor_weights: w above, one variant each. critic_weight: c above, in spreads of the logged reward.
        hidden: of the critics.
        updates: of the critics. warm_up: those before the actor's first.
        actor_every: critic updates for each one of the actor.
        batch: rows per update and copy.
        lr: Adam of the actor, cosine to zero. critic_lr: of the critics, likewise.
        gamma: discount. target_rate: how fast the slow copies follow.
        target_noise: of the slow policy, in spreads of the logged action.
        clip: limit of each copy's gradient norm.
        snapshots: moments after the warm-up at which the policies are handed in.
        chunk: critic updates per round.
    """

    simulates = False

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        actor_weights: list[float],
        critic_weight: float,
        hidden: list[int],
        updates: int,
        warm_up: int,
        actor_every: int,
        batch: int,
        lr: float,
        critic_lr: float,
        gamma: float,
        target_rate: float,
        target_noise: float,
        clip: float,
        snapshots: int,
        chunk: int,
    ) -> None:
        super().__init__()
        self.problem, self.critic_weight, self.gamma = problem, critic_weight, gamma
        self.updates, self.warm_up, self.actor_every, self.batch = updates, warm_up, actor_every, batch
        self.lr, self.critic_lr, self.target_rate, self.clip = lr, critic_lr, target_rate, clip
        self.every, self.chunk = max(1, (updates - warm_up) // snapshots), chunk
        self.rows = Transitions.of(problem, gamma)
        self.policy = problem.clone.widened(len(actor_weights)).requires_grad_(True)
        self.slow_policy = problem.clone.widened(len(actor_weights)).requires_grad_(False)
        self.slow_policy.noise.fill_(target_noise)
        copies = self.policy.copies
        weights = torch.tensor(actor_weights, device=problem.device)
        self.actor_weight = weights.repeat(copies // len(weights))
        torch.manual_seed(problem.seed)  # the weights that are drawn now
        self.critic = ActionValue(copies, self.rows.x.shape[1], self.policy.layout.width, hidden)
        self.slow_critic = ActionValue(copies, self.rows.x.shape[1], self.policy.layout.width, hidden)
        self.slow_critic.load_state_dict(self.critic.state_dict())
        self.slow_critic.requires_grad_(False)
        self.critic.to(problem.device)
        self.slow_critic.to(problem.device)
        self.generator = problem.generator()
        self.variants = [f"behaviour {weight:g}" for weight in actor_weights]
        self.taken = Snapshots(self.policy, "td3_bc", self.variants)

    @classmethod
    def unsuited(cls, problem: PolicyProblem) -> str | None:
        return not_logged(problem)

    @property
    def rounds(self) -> int:
        return math.ceil(self.updates / self.chunk)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(self.policy.net.parameters(), lr=self.lr, fused=True),
            torch.optim.Adam(self.critic.parameters(), lr=self.critic_lr, fused=True),
        ]

    def round(self, number: int) -> None:
        actor_optimizer, critic_optimizer = self.own_optimizers()
        for update in range(number * self.chunk, min((number + 1) * self.chunk, self.updates)):
            self._slow_down(actor_optimizer, self.lr, update)
            self._slow_down(critic_optimizer, self.critic_lr, update)
            rows = self.rows.drawn(self.policy.copies, self.batch, self.generator)
            critic_loss = self._critic_loss(rows, update < self.warm_up)
            step(critic_optimizer, critic_loss, self.critic.parameters(), 10 * self.clip)
            follow(self.slow_critic, self.critic, self.target_rate)
            done = update - self.warm_up
            if done >= 0 and done % self.actor_every == 0:
                step(actor_optimizer, self._actor_loss(rows), self.policy.net.parameters(), self.clip)
                follow(self.slow_policy.net, self.policy.net, self.target_rate * self.actor_every)
            if done >= 0 and (done + 1) % self.every == 0:
                self.taken.take(update + 1)
        self.note("critic_loss", critic_loss.detach() / self.policy.copies)

    def _slow_down(self, optimizer: Any, lr: float, update: int) -> None:
        for group in optimizer.optimizer.param_groups:
            group["lr"] = lr * 0.5 * (1.0 + math.cos(math.pi * update / self.updates))

    def _critic_loss(self, rows: Transitions, of_logs: bool) -> Tensor:
        """Squared error of both critics, summed over the copies. of_logs: of what the logs' own actions earned."""
        if of_logs:
            return (self.critic(rows.x, rows.action) - rows.earned).square().mean(-1).sum()
        with torch.no_grad():
            action = self.slow_policy(rows.next_x[..., : rows.seen], self.generator)
            strange = (action - rows.next_action).square().sum(-1) * rows.known
            following = self.slow_critic(rows.next_x, action).amin(0) - self.critic_weight * strange
            target = rows.reward + self.gamma * rows.going * following
        return (self.critic(rows.x, rows.action) - target).square().mean(-1).sum()

    def _actor_loss(self, rows: Transitions) -> Tensor:
        """Of all copies: minus the normalised value, plus the distance from what was logged."""
        seen = rows.x[..., : rows.seen]
        draws = self.generator if self.policy.layout.choices else None
        self.critic.requires_grad_(False)
        value = self.critic(rows.x, self.policy(seen, draws)).amin(0)  # (P, batch)
        self.critic.requires_grad_(True)
        unit = (value - value.mean(1, keepdim=True)).detach().abs().mean(1).clamp_min(SMALLEST)
        distance = difference(self.policy, seen, rows.action)
        return (-value.mean(1) / unit + self.actor_weight * distance).sum()

    def notes(self) -> dict[str, Any]:
        return {"updates": self.updates, "variants": list(self.variants)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"]["slow_policy.noise"] = self.slow_policy.noise  # what is set counts
        super().on_load_checkpoint(checkpoint)
