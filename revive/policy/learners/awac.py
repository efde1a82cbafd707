"""Model-free: critics of the policy itself, and an actor that repeats logged actions, the better ones more often.

Advantage-weighted actor-critic (Nair et al. 2020, arXiv:2006.09359):

    Q(s, a) <- r + gamma (1 - done) min Q'(s', a'),   a' ~ pi(s')
    pi:      min E w |pi(s) - a|,   w = min(exp(A / (lambda D)), 100)
             A = min Q(s, a) - mean_k min Q(s, a_k),   a_k ~ pi(s)

D is the mean absolute advantage of the batch, so that lambda has no unit. Variants differ in lambda. Unlike IQL the
critics are asked about the policy's own actions, which the regression keeps among the logged ones.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from revive.policy.clone import difference
from revive.policy.learners.offline import Course, OfflineLearner, advantage_weights
from revive.policy.problem import PolicyProblem
from revive.policy.transitions import Transitions


class Awac(OfflineLearner):
    """All variants of both halves learn side by side, each from the rows of its own half.

    Args:
        problem: what is to be learned.
        temperatures: lambda above, one variant each; the smaller, the fewer actions are repeated.
        noise: of the policy where its actions are drawn, in spreads of the logged action.
        draws: actions that the value of a state is a mean over.
        course: see `Course`.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        temperatures: list[float],
        noise: float,
        draws: int,
        **course: Unpack[Course],
    ) -> None:
        super().__init__(problem, "awac", [f"temperature {value:g}" for value in temperatures], **course)
        self.policy.noise.fill_(noise)
        self.draws = draws
        self.sharpness = 1.0 / self._per_copy(temperatures).unsqueeze(1)  # (P, 1)

    @torch.no_grad()
    def _drawn(self, x: Tensor, seen: int) -> Tensor:
        """What the policies do in states (P, n, d), with exploration."""
        action: Tensor = self.policy(x[..., :seen], self.generator)
        return action

    def critic_loss(self, rows: Transitions) -> Tensor:
        with torch.no_grad():
            following = self.slow_critic(rows.next_x, self._drawn(rows.next_x, rows.seen)).amin(0)
            target = rows.reward + self.gamma * rows.going * following
        return (self.critic(rows.x, rows.action) - target).square().mean(-1).sum()

    def actor_loss(self, rows: Transitions) -> Tensor:
        """Cloning of what was logged, each row by its weight."""
        weight = advantage_weights(self._advantage(rows), self.sharpness)
        return difference(self.policy, self.seen(rows), rows.action, weight).sum()

    @torch.no_grad()
    def _advantage(self, rows: Transitions) -> Tensor:
        """Of the logged actions over the policy's, (P, n)."""
        own = [
            self.critic(rows.x, self._drawn(rows.x, rows.seen)).amin(0) for _ in range(self.draws)
        ]  # (P, n) each
        return self.critic(rows.x, rows.action).amin(0) - torch.stack(own).mean(0)  # type: ignore[no-any-return]

    def on_load_checkpoint(self, checkpoint: dict[str, object]) -> None:
        checkpoint["state_dict"]["policy.noise"] = self.policy.noise  # type: ignore[index]  # what is set counts
        super().on_load_checkpoint(checkpoint)
