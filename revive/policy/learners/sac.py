"""Off-policy in the virtual environment: short rollouts from logged rows, beside the logged transitions themselves.

Soft actor-critic (Haarnoja et al. 2018, arXiv:1812.05905) on branched rollouts (Janner et al. 2019, arXiv:1906.08253)
whose reward is charged for the members' disagreement (as in MOPO or MOBILE where asked, see penalties.py):

    Q(s, a)  <-  r - charge + gamma g (min Q'(s', a') - alpha log pi(a' | s')),   a' ~ pi(s')
    pi: max E min Q(s, a) - alpha log pi(a | s),   alpha: so that the entropy comes to its target

g is 0 where `done` ends the branch. Variants differ in the charge. Before the policy moves, the critics learn what the
logs themselves earned. Exploration has one spread for each dimension, learned; a choice among values passes a
gradient as if it were soft (straight through), and its entropy is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor

from revive.policy.action_value import ActionValue
from revive.policy.learners.exploring import Exploration, ExploringLearner
from revive.policy.problem import PolicyProblem
from revive.policy.soft import SoftActor
from revive.policy.transitions import Transitions, not_logged, other_leaves
from revive.policy.updates import follow, set_step_size, step


class Steps(NamedTuple):
    """Transitions of every copy, (P, n, ...); weight is 0 after the end of a branch."""

    x: Tensor
    next_x: Tensor
    action: Tensor
    reward: Tensor
    going: Tensor
    weight: Tensor


class Sac(ExploringLearner):
    """Copies that learn side by side: as many variants in each half's venv.

    Args:
        problem: what is to be learned, in what.
        iterations, warm_up: rollouts with updates, and updates of the critics alone before the first; iterations are
            fewer where the problem's budget of simulated steps is smaller.
        steps: of each rollout.
        kept: iterations whose rollouts are remembered.
        updates, actor_every: of the critics per iteration, and how many of them make one of the policy.
        batch, real: transitions per update and copy, and which share of them was logged.
        critic_lr, alpha_lr: Adam.
        target_rate: how fast the slow critics follow.
        shared: see `Exploration`.
    """

    memory: Tensor

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        iterations: int,
        warm_up: int,
        steps: int,
        kept: int,
        updates: int,
        actor_every: int,
        batch: int,
        real: float,
        critic_lr: float,
        alpha_lr: float,
        target_rate: float,
        **shared: Unpack[Exploration],
    ) -> None:
        super().__init__(problem, "sac", **shared)
        device, copies, action = problem.device, self.policy.copies, self.policy.layout.width
        self.steps, self.kept, self.warm_up = steps, kept, warm_up
        self.iterations = min(iterations, self.rollouts.copies.affordable(steps))
        self.updates, self.actor_every, self.batch, self.real = updates, actor_every, batch, real
        self.critic_lr, self.alpha_lr, self.target_rate = critic_lr, alpha_lr, target_rate
        self.rows = Transitions.of(problem, self.gamma)
        self.leaves = (*self.policy.inputs, *other_leaves(problem))
        torch.manual_seed(problem.seed)  # the weights that are drawn now
        width = self.rows.x.shape[1]
        self.critic = ActionValue(copies, width, action, shared["hidden"]).to(device)
        self.slow_critic = ActionValue(copies, width, action, shared["hidden"]).to(device)
        self.slow_critic.requires_grad_(False).load_state_dict(self.critic.state_dict())
        self.soft = SoftActor(self.policy, shared["noise"], self.generator)
        self._sizes = [width, width, action, 1, 1, 1]
        per_copy = steps * self.rollouts.copies.branches * problem.venv.members // copies
        self.register_buffer("memory", torch.zeros(kept, copies, per_copy, sum(self._sizes), device=device))

    @classmethod
    def unsuited(cls, problem: PolicyProblem) -> str | None:
        return not_logged(problem)

    # -- what Lightning asks for ---------------------------------------------------------------

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam([*self.policy.net.parameters(), self.soft.log_std], lr=self.lr, fused=True),
            torch.optim.Adam(self.critic.parameters(), lr=self.critic_lr, fused=True),
            torch.optim.Adam([self.soft.log_alpha], lr=self.alpha_lr),
        ]

    @property
    def rounds(self) -> int:
        return -(-self.iterations // self.chunk)

    def round(self, number: int) -> None:
        actor_optimizer, critic_optimizer, _ = self.own_optimizers()
        set_step_size(critic_optimizer, self.critic_lr)
        if number == 0:
            self._learn_returns(critic_optimizer)
        for iteration in range(number * self.chunk, min((number + 1) * self.chunk, self.iterations)):
            self.slow_down(actor_optimizer, iteration)
            earned = self._collect(iteration % self.kept)
            for update in range(self.updates):
                loss = self._update(min(iteration + 1, self.kept), update % self.actor_every == 0)
            self.watch(loss, iteration + 1)
            self.hand_in(iteration + 1)
        self.note("rollout_reward", earned)
        self.note("temperature", self.soft.log_alpha.detach().exp().mean())

    # -- rollouts ------------------------------------------------------------------------------

    @torch.no_grad()
    def _collect(self, slot: int) -> Tensor:
        """Short rollouts into the memory's slot; their mean reward."""
        policy = self.policy
        rolled = self.rollouts.roll(self.steps, lambda x: self.soft.act(policy, x)[0])
        paid = self.rollouts.paid(rolled, self.rows.offset * self.problem.reward_spread, self._worth)
        x = policy.by_copy(torch.cat([rolled.known[name] for name in self.leaves], dim=-1))
        action = policy.by_copy(rolled.taken[policy.target])  # (steps, P, n, width); x has a step more
        series = [s.unsqueeze(-1) for s in (paid.reward, paid.alive[1:], paid.alive[:-1])]
        made = torch.cat([x[:-1], x[1:], action, *series], dim=-1)
        self.memory[slot] = made.transpose(0, 1).flatten(1, 2)
        return paid.earned

    def _worth(self, known: Mapping[str, Tensor]) -> Tensor:
        """`min Q(s, pi(s))` of states, node -> (T, M, B, d), to each copy: (T, P, n)."""
        x = self.policy.by_copy(torch.cat([known[name] for name in self.leaves], dim=-1))
        flat = x.transpose(0, 1).flatten(1, 2)
        value = self.slow_critic(flat, self.policy(flat[..., : self.rows.seen])).amin(0)
        return value.unflatten(1, (len(x), -1)).transpose(0, 1)

    def _remembered(self, filled: int, count: int) -> Steps:
        """Drawn from the slots that are filled, `count` for every copy."""
        copies, per_copy = self.memory.shape[1:3]
        draw = torch.randint(
            filled * per_copy, (copies, count), generator=self.generator, device=self.generator.device
        )
        copy = torch.arange(copies, device=draw.device).unsqueeze(1)
        picked = self.memory[draw // per_copy, copy, draw % per_copy].split(self._sizes, dim=-1)
        x, next_x, action, *rest = picked
        return Steps(x, next_x, action, *(column.squeeze(-1) for column in rest))

    def _batch(self, filled: int) -> Steps:
        """Remembered and logged transitions side by side."""
        logged = round(self.real * self.batch)
        made = self._remembered(filled, self.batch - logged)
        rows = self.rows.drawn(self.policy.copies, logged, self.generator)
        real = Steps(rows.x, rows.next_x, rows.action, rows.reward, rows.going, torch.ones_like(rows.reward))
        return Steps(*(torch.cat(pair, dim=1) for pair in zip(made, real, strict=True)))

    # -- updates -------------------------------------------------------------------------------

    def _learn_returns(self, optimizer: Any) -> None:
        """The critics learn what the logs' own actions earned."""
        for _ in range(self.warm_up):
            rows = self.rows.drawn(self.policy.copies, self.batch, self.generator)
            loss = (self.critic(rows.x, rows.action) - rows.earned).square().mean(-1).sum()
            step(optimizer, loss, self.critic.parameters(), 10 * self.clip)
        self.slow_critic.load_state_dict(self.critic.state_dict())

    def _update(self, filled: int, acting: bool) -> Tensor:
        """One of the critics, and where it is time of the actor and its temperature; returns the losses, summed."""
        actor_optimizer, critic_optimizer, alpha_optimizer = self.own_optimizers()
        batch = self._batch(filled)
        critic_loss = self._critic_loss(batch)
        step(critic_optimizer, critic_loss, self.critic.parameters(), 10 * self.clip)
        follow(self.slow_critic, self.critic, self.target_rate)
        if not acting:
            return critic_loss.detach()
        loss, entropy = self._actor_loss(batch)
        step(actor_optimizer, loss, [*self.policy.net.parameters(), self.soft.log_std], self.clip)
        step(alpha_optimizer, self.soft.temperature_loss(entropy), [self.soft.log_alpha], self.clip)
        return (critic_loss + loss).detach()

    def _critic_loss(self, batch: Steps) -> Tensor:
        """Squared error of both critics, summed over the copies."""
        with torch.no_grad():
            action, log_prob = self.soft.act(self.policy, batch.next_x[..., : self.rows.seen])
            soft = self.slow_critic(batch.next_x, action).amin(0) - self.soft.alpha * log_prob
            target = batch.reward + self.gamma * batch.going * soft
        error = (self.critic(batch.x, batch.action) - target).square() * batch.weight
        return error.mean(-1).sum()

    def _actor_loss(self, batch: Steps) -> tuple[Tensor, Tensor]:
        """The loss, summed over copies, and each copy's entropy, (P,)."""
        action, log_prob = self.soft.act(self.policy, batch.x[..., : self.rows.seen])
        self.critic.requires_grad_(False)
        value = self.critic(batch.x, action).amin(0)
        self.critic.requires_grad_(True)
        loss = (self.soft.alpha * log_prob - value) * batch.weight
        return loss.mean(1).sum(), -log_prob.detach().mean(1)

    # -- what is asked of every learner ------------------------------------------------------------

    def notes(self) -> dict[str, Any]:
        return self.told(
            {"iterations": self.iterations, "steps": self.steps, "variants": list(self.taken.variants)}
        )
