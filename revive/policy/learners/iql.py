"""Model-free and in-sample: no action is ever asked for that was not logged.

Implicit Q-learning (Kostrikov, Nair and Levine 2021, arXiv:2110.06169). A value of states is the tau-expectile of
the logged actions' values, which for tau -> 1 is the best of them; critics follow it; and the policy repeats logged
actions, the more so the better they are (advantage-weighted regression, Peng et al. 2019, arXiv:1910.00177):

    V(s):     min E |tau - 1(u < 0)| u^2,   u = min Q'(s, a) - V(s)
    Q(s, a):  min E (r + gamma (1 - done) V(s') - Q(s, a))^2
    pi:       min E w |pi(s) - a|,          w = min(exp(beta A / D), 100),   A = min Q'(s, a) - V(s)

D is the mean absolute advantage of the batch, so that beta has no unit. Variants differ in tau.
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from revive.policy.clone import difference
from revive.policy.learners.offline import Course, OfflineLearner, advantage_weights
from revive.policy.problem import PolicyProblem
from revive.policy.transitions import Transitions
from revive.policy.updates import step


class Iql(OfflineLearner):
    """All variants of both halves learn side by side, each from the rows of its own half.

    Args:
        problem: what is to be learned.
        expectiles: tau above, one variant each, between .5 (the mean) and 1 (the best).
        temperature: beta above; 0 clones the logs.
        course: see `Course`.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        expectiles: list[float],
        temperature: float,
        **course: Unpack[Course],
    ) -> None:
        super().__init__(problem, "iql", [f"expectile {tau:g}" for tau in expectiles], **course)
        self.temperature = temperature
        self.expectile = self._per_copy(expectiles).unsqueeze(1)  # (P, 1)
        self.value = self._value(1, of_states=True)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        value = torch.optim.Adam(self.value.parameters(), lr=self.course["critic_lr"], fused=True)
        return [*super().configure_optimizers(), value]

    def critic_loss(self, rows: Transitions) -> Tensor:
        with torch.no_grad():
            target = rows.reward + self.gamma * rows.going * self.value(rows.next_x).squeeze(0)
        return (self.critic(rows.x, rows.action) - target).square().mean(-1).sum()

    def learn_more(self, rows: Transitions, others: list[Any]) -> None:
        step(others[0], self.value_loss(rows), self.value.parameters(), 10 * self.course["clip"])

    def value_loss(self, rows: Transitions) -> Tensor:
        """The expectile regression, summed over the copies."""
        above = self._advantage(rows)
        weight = torch.where(above.detach() > 0, self.expectile, 1.0 - self.expectile)
        return (weight * above.square()).mean(-1).sum()

    def actor_loss(self, rows: Transitions) -> Tensor:
        """Cloning of what was logged, each row by its weight."""
        weight = advantage_weights(self._advantage(rows).detach(), self.temperature)
        return difference(self.policy, self.seen(rows), rows.action, weight).sum()

    def _advantage(self, rows: Transitions) -> Tensor:
        """Of the logged actions, (P, n); a gradient reaches the value of the state alone."""
        with torch.no_grad():
            q = self.slow_critic(rows.x, rows.action).amin(0)
        above: Tensor = q - self.value(rows.x).squeeze(0)
        return above
