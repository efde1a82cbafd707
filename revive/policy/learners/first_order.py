"""The default policy learner: a first-order gradient through the virtual environment, with a critic.

Actor: `J = E[ sum_{k<h} gamma^k r_k + gamma^h V(s_h) ] / h`, differentiated through the reparameterised
transitions, the reward and the policy (SVG, Heess et al. 2015; SHAC, Xu et al. 2022, arXiv:2204.07137).
Critic: `V(s_k)` regresses on the TD(lambda) return of the same rollouts, bootstrapped by a slow copy.
Every step is answered by a random member of the ensemble, so no single member's error can be exploited.

Two copies learn side by side, one in each half's venv, from a clone of the behaviour policy. Which copy,
at which moment, is returned is decided by the pessimistic score in the half that the copy never saw.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from revive.nn.ensemble import clip_gradient_by_member
from revive.policy.candidate import Candidate, Snapshots
from revive.policy.critic import Critic, lambda_returns
from revive.policy.learners.base import PolicyLearner
from revive.policy.problem import PolicyProblem
from revive.venv.virtual_env import VirtualEnv


class Experience(NamedTuple):
    """rewards (h, P, B); what the critic sees (h + 1, P, B, d); 1 until a branch has ended (h + 1, P, B)."""

    reward: Tensor
    leaves: Tensor
    alive: Tensor


class FirstOrderLearner(PolicyLearner):
    """Two copies that learn side by side, one in each half's venv.

    Args:
        problem: what is to be learned, in what.
        noise: of exploration, in spreads of the logged action.
        iterations, warm_up: actor updates, and critic-only iterations before the first.
        branches: rollouts per copy and iteration.
        lr: Adam of the actor, cosine to zero. critic_lr: of the critic, constant.
        gamma, td_lambda: discount and the lambda of the critic's targets.
        critic_steps, critic_batch: critic updates per iteration, and their size.
        target_rate: how fast the slow copy of the critic follows.
        clip: limit of each copy's gradient norm.
        judge_every: iterations between two candidates.
        chunk: iterations per round.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        noise: float,
        iterations: int,
        warm_up: int,
        branches: int,
        lr: float,
        critic_lr: float,
        gamma: float,
        td_lambda: float,
        critic_steps: int,
        critic_batch: int,
        target_rate: float,
        clip: float,
        judge_every: int,
        chunk: int,
    ) -> None:
        super().__init__()
        self.problem, venv = problem, problem.venv
        self.policy = problem.clone.widened(1)
        self.policy.noise.fill_(noise)
        self._venv = [venv]  # in a list: its weights are fixed and are no part of this module
        self.starts, self.reward, self.reward_spread = problem.starts, problem.reward, problem.reward_spread
        self.horizon, self.iterations, self.warm_up = problem.horizon.steps, iterations, warm_up
        self.branches = max(1, branches // (venv.members // venv.halves))  # of each member
        self.lr, self.critic_lr, self.gamma, self.td_lambda = lr, critic_lr, gamma, td_lambda
        self.critic_steps, self.critic_batch, self.target_rate = critic_steps, critic_batch, target_rate
        self.clip, self.judge_every, self.chunk = clip, judge_every, chunk
        self.generator = problem.generator()
        torch.manual_seed(problem.seed)  # the weights that are drawn now
        width = sum(venv.codec.width(name) for name in (*venv.replayed_nodes, *venv.graph.states))
        self.critic = Critic(self.policy.copies, width).to(problem.device)
        self.slow_critic = Critic(self.policy.copies, width).to(problem.device).requires_grad_(False)
        self.slow_critic.load_state_dict(self.critic.state_dict())
        self.snapshots = Snapshots(self.policy, "first_order", [""])

    @property
    def venv(self) -> VirtualEnv:
        return self._venv[0]

    # -- what Lightning asks for ---------------------------------------------------------------

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(self.policy.net.parameters(), lr=self.lr, fused=True),
            torch.optim.Adam(self.critic.parameters(), lr=self.critic_lr, fused=True),
        ]

    @property
    def chunks(self) -> list[tuple[int, int]]:
        """Ranges of iterations, one for each round."""
        total = self.warm_up + self.iterations
        return [(i, min(i + self.chunk, total)) for i in range(0, total, self.chunk)]

    @property
    def rounds(self) -> int:
        return len(self.chunks)

    def round(self, number: int) -> None:
        actor_optimizer, critic_optimizer = self.own_optimizers()
        critic_optimizer.optimizer.param_groups[0]["lr"] = self.critic_lr  # not what a checkpoint says
        value = torch.zeros((), device=self.problem.device)
        for iteration in range(*self.chunks[number]):
            acting = iteration >= self.warm_up
            done = iteration - self.warm_up
            with torch.set_grad_enabled(acting):
                loss, seen = self._actor_loss()
            if acting:
                for group in actor_optimizer.optimizer.param_groups:
                    group["lr"] = self.lr * 0.5 * (1.0 + math.cos(math.pi * done / self.iterations))
                actor_optimizer.zero_grad(set_to_none=True)
                loss.backward()
                clip_gradient_by_member(self.policy.net.parameters(), self.clip)
                actor_optimizer.step()
            self._fit_critic(seen, critic_optimizer)
            if acting and ((done + 1) % self.judge_every == 0 or done + 1 == self.iterations):
                self.snapshots.take(done + 1)
            value = seen.reward.mean() * self.reward_spread
        self.note("rollout_reward", value.detach())

    # -- the two losses ------------------------------------------------------------------------

    def _actor_loss(self) -> tuple[Tensor, Experience]:
        """The loss, summed over copies, and what the critic learns from."""
        venv, h = self.venv, self.horizon
        begin = self.starts.draw(self.branches, h + 1, self.generator)
        others = tuple(name for name in venv.graph.learned if name != self.policy.target)
        noise = venv.noise(h, self.branches, self.generator, others)
        per_half = venv.members // venv.halves
        shifts = torch.randint(
            per_half, (h,), generator=self.generator, device=self.generator.device
        ).tolist()
        actor = self.policy.actor(generator=self.generator)
        rolled = venv.rollout(
            begin.state, begin.given, h, past=begin.past, actor=actor, noise=noise, shifts=shifts
        )
        reward = self.reward(self.policy.codec.decode(rolled)) / self.reward_spread  # (h, M, B)
        alive = venv.alive(rolled)
        alive = torch.ones_like(torch.cat([reward[:1], reward])) if alive is None else alive
        by_copy = self.policy.by_copy
        reward, alive = (by_copy(s.unsqueeze(-1)).squeeze(-1) for s in (reward * alive[:-1], alive))
        leaves = by_copy(self._critic_inputs(rolled, begin.given))
        discount = self.gamma ** torch.arange(h, dtype=reward.dtype, device=reward.device)
        end = self.slow_critic(leaves[-1]) * alive[-1]
        value = (discount.view(-1, 1, 1) * reward).sum(0) + self.gamma**h * end  # (P, B)
        return -(value.mean(1) / h).sum(), Experience(reward.detach(), leaves.detach(), alive)

    def _critic_inputs(self, rolled: dict[str, Tensor], given: dict[str, Tensor]) -> Tensor:
        """Every leaf that is given or a state, at steps 0 .. h: (h + 1, M, B, d)."""
        graph = self.venv.graph
        series = [given[name] for name in self.venv.replayed_nodes]
        for name in graph.states:  # the state at h is what followed from step h - 1
            series.append(torch.cat([rolled[name], rolled[graph.next_of(name)][-1:]]))
        return torch.cat(series, dim=-1)

    def _fit_critic(self, seen: Experience, optimizer: Any) -> None:
        with torch.no_grad():
            steps, copies, branches, width = seen.leaves.shape
            flat = seen.leaves.transpose(0, 1).reshape(copies, -1, width)
            values = self.slow_critic(flat).reshape(copies, steps, branches).transpose(0, 1) * seen.alive
            targets = lambda_returns(seen.reward, values[1:], self.gamma, self.td_lambda)  # (h, P, B)
            x = seen.leaves[:-1].transpose(0, 1).reshape(copies, -1, width)
            y = targets.transpose(0, 1).reshape(copies, -1)
            weight = seen.alive[:-1].transpose(0, 1).reshape(copies, -1)
        for _ in range(self.critic_steps):
            pick = torch.randint(
                x.shape[1], (self.critic_batch,), generator=self.generator, device=self.generator.device
            )
            loss = (self.critic(x[:, pick]) - y[:, pick]).square() * weight[:, pick]
            optimizer.zero_grad(set_to_none=True)
            loss.mean(1).sum().backward()
            clip_gradient_by_member(self.critic.parameters(), self.clip * 10)
            optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(self.slow_critic.parameters(), self.critic.parameters(), strict=True):
                slow.lerp_(fast, self.target_rate)

    # -- what is asked of every learner ------------------------------------------------------------

    def candidates(self) -> list[Candidate]:
        return self.snapshots.candidates()

    def notes(self) -> dict[str, Any]:
        return {"iterations": self.iterations, "horizon": self.horizon}

    # -- resuming ------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["learner"] = {
            "generator": self.generator.get_state(),
            "snapshots": self.snapshots.state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"]["policy.noise"] = self.policy.noise  # what was set counts, not what was
        state = checkpoint["learner"]
        self.generator.set_state(state["generator"])
        self.snapshots.load(state["snapshots"])
