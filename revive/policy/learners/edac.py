"""Model-free: the least of many critics, kept apart where they would all be wrong in the same way.

SAC-N and EDAC (An et al. 2021, arXiv:2110.01548). Soft actor-critic on logged transitions, with N critics:

    Q_i(s, a) <- r + gamma (1 - done) (min_j Q_j'(s', a') - alpha log pi(a' | s')),   a' ~ pi(s')
    pi:          max E min_j Q_j(s, a) - alpha log pi(a | s)

The minimum over N critics is low where they disagree, that is away from the logs. They only disagree if their slopes in
the action differ, so the critics also minimise the mean cosine between these at logged actions,

    eta / (N - 1) sum_{i != j} <g_i, g_j> / N,   g_i = grad_a Q_i(s, a) / |grad_a Q_i(s, a)|

which is eta where all are parallel. Variants differ in eta; 0 is SAC-N. In an action of one dimension a slope has a
sign and no direction, so there eta changes nothing.
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from revive.policy.learners.offline import Course, OfflineLearner
from revive.policy.problem import PolicyProblem
from revive.policy.soft import SoftActor
from revive.policy.transitions import Transitions
from revive.policy.updates import step

FLAT = 1e-6  # slope of a critic that has no direction


class Edac(OfflineLearner):
    """All variants of both halves learn side by side, each from the rows of its own half.

    Args:
        problem: what is to be learned.
        etas: eta above, one variant each.
        critics: N above.
        noise: of exploration at the start, in spreads of the logged action.
        alpha_lr: Adam of the temperature.
        course: see `Course`.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        etas: list[float],
        critics: int,
        noise: float,
        alpha_lr: float,
        **course: Unpack[Course],
    ) -> None:
        super().__init__(problem, "edac", [f"diversity {eta:g}" for eta in etas], critics, **course)
        self.eta, self.alpha_lr = self._per_copy(etas), alpha_lr
        self.diverse = max(etas) > 0 and critics > 1 and self.policy.layout.width > 1
        self.soft = SoftActor(self.policy, noise, self.generator)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        _, critics = super().configure_optimizers()
        actor = [*self.policy.net.parameters(), self.soft.log_std]
        return [
            torch.optim.Adam(actor, lr=self.course["lr"], fused=True),
            critics,
            torch.optim.Adam([self.soft.log_alpha], lr=self.alpha_lr),
        ]

    def critic_loss(self, rows: Transitions) -> Tensor:
        with torch.no_grad():
            action, log_prob = self.soft.act(self.policy, rows.next_x[..., : rows.seen])
            following = self.slow_critic(rows.next_x, action).amin(0) - self.soft.alpha * log_prob
            target = rows.reward + self.gamma * rows.going * following
        if not self.diverse:
            return (self.critic(rows.x, rows.action) - target).square().mean(-1).sum()
        action = rows.action.detach().repeat(self.critic.count, 1, 1, 1).requires_grad_()  # each critic's own
        value = self.critic(rows.x, action)  # (N, P, n)
        return (value - target).square().mean(-1).sum() + (self.eta * alignment(value, action)).sum()

    def actor_loss(self, rows: Transitions) -> Tensor:
        return self._actor_loss(rows)[0]

    def _actor_loss(self, rows: Transitions) -> tuple[Tensor, Tensor]:
        """The loss, summed over copies, and each copy's entropy, (P,)."""
        action, log_prob = self.soft.act(self.policy, self.seen(rows))
        value = self.valued(rows, action).amin(0)
        loss = self.soft.alpha * log_prob - value
        return loss.mean(1).sum(), -log_prob.detach().mean(1)

    def act_better(self, rows: Transitions, optimizer: Any, others: list[Any]) -> None:
        loss, entropy = self._actor_loss(rows)
        clip = self.course["clip"]
        step(optimizer, loss, [*self.policy.net.parameters(), self.soft.log_std], clip)
        step(others[0], self.soft.temperature_loss(entropy), [self.soft.log_alpha], clip)


def alignment(value: Tensor, action: Tensor) -> Tensor:
    """The mean cosine between the slopes of different critics in the action, (P,), with a gradient for the critics.

    value (N, P, n) of actions (N, P, n, width) that have a gradient: with each critic's own, all slopes come at once.
    """
    (slopes,) = torch.autograd.grad(value.sum(), action, create_graph=True)
    unit = slopes / (slopes.square().sum(-1, keepdim=True) + FLAT**2).sqrt()
    count = len(value)
    together = unit.sum(0).square().sum(-1) - unit.square().sum((0, -1))  # over the pairs i != j
    return together.mean(-1) / (count * (count - 1))
