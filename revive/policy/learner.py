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
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from revive.nn.ensemble import clip_gradient_by_member
from revive.policy.critic import Critic, lambda_returns
from revive.policy.evaluation import TestBed, pessimistic_score
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.policy.starts import Starts
from revive.venv.virtual_env import VirtualEnv


class Experience(NamedTuple):
    """rewards (h, P, B); what the critic sees (h + 1, P, B, d); 1 until a branch has ended (h + 1, P, B)."""

    reward: Tensor
    leaves: Tensor
    alive: Tensor


@dataclass
class Candidate:
    """A policy at one moment: its score in the other half, and why it may not be chosen."""

    iteration: int
    copy: int
    score: float
    gain: float
    mean: float
    rejected: str | None
    weights: dict[str, Tensor]


class FirstOrderLearner(pl.LightningModule):
    """Improves `policy` in place and collects `candidates`.

    Args:
        policy: two copies, already cloned from the behaviour policy.
        venv, reward, starts: what it learns in. bed: what it is judged on, with the halves swapped.
        reward_spread: standard deviation of the logged reward; rewards are divided by it.
        reward_limit: no mean reward above it is believed (the largest that was logged).
        horizon: steps of a rollout.
        iterations, warm_up: actor updates, and critic-only iterations before the first.
        branches: rollouts per copy and iteration.
        lr: Adam of the actor, cosine to zero. critic_lr: of the critic, constant.
        gamma, td_lambda: discount and the lambda of the critic's targets.
        critic_steps, critic_batch: critic updates per iteration, and their size.
        target_rate: how fast the slow copy of the critic follows.
        clip: limit of each copy's gradient norm.
        judge_every: iterations between two candidates. caution: c of the score mean - c * std.
        chunk: iterations per Lightning step.
        seed: of every draw.
    """

    def __init__(
        self,
        policy: Policy,
        venv: VirtualEnv,
        reward: Reward,
        starts: Starts,
        bed: TestBed,
        *,
        reward_spread: float,
        reward_limit: float,
        horizon: int,
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
        caution: float,
        chunk: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.policy, self.reward, self.starts, self.bed = policy, reward, starts, bed
        self._venv = [venv]  # in a list: its weights are fixed and are no part of this module
        self.reward_spread, self.reward_limit = max(reward_spread, 1e-6), reward_limit
        self.horizon, self.iterations, self.warm_up = horizon, iterations, warm_up
        per_copy = venv.members // policy.copies
        self.branches = max(1, branches // per_copy)  # of each member
        self.lr, self.critic_lr, self.gamma, self.td_lambda = lr, critic_lr, gamma, td_lambda
        self.critic_steps, self.critic_batch, self.target_rate = critic_steps, critic_batch, target_rate
        self.clip, self.judge_every, self.caution, self.chunk = clip, judge_every, caution, chunk
        self.generator = torch.Generator().manual_seed(seed)
        width = sum(venv.codec.width(name) for name in (*venv.replayed_nodes, *venv.graph.states))
        self.critic = Critic(policy.copies, width)
        self.slow_critic = Critic(policy.copies, width).requires_grad_(False)
        self.slow_critic.load_state_dict(self.critic.state_dict())
        self.candidates: list[Candidate] = []
        self._clone_scores: Tensor | None = None

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
        """Ranges of iterations, one for each of Lightning's epochs."""
        total = self.warm_up + self.iterations
        return [(i, min(i + self.chunk, total)) for i in range(0, total, self.chunk)]

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader([0])  # type: ignore[arg-type]

    def on_train_start(self) -> None:
        self.venv.requires_grad_(False)
        if not self.candidates:
            self.judge(0)

    def training_step(self, _: object) -> None:
        actor_optimizer, critic_optimizer = self.optimizers()  # type: ignore[misc, attr-defined]
        critic_optimizer.optimizer.param_groups[0]["lr"] = self.critic_lr  # not what a checkpoint says
        value = torch.zeros(())
        for iteration in range(*self.chunks[self.current_epoch]):
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
                self.judge(done + 1)
            value = seen.reward.mean() * self.reward_spread
        self.log("rollout_reward", value.detach())
        self.log("score", max(candidate.score for candidate in self.candidates))

    # -- the two losses ------------------------------------------------------------------------

    def _actor_loss(self) -> tuple[Tensor, Experience]:
        """The loss, summed over copies, and what the critic learns from."""
        venv, h, copies = self.venv, self.horizon, self.policy.copies
        begin = self.starts.draw(self.branches, h + 1, self.generator)
        others = tuple(name for name in venv.graph.learned if name != self.policy.target)
        noise = venv.noise(h, self.branches, self.generator, others)
        shifts = torch.randint(venv.members // venv.halves, (h,), generator=self.generator).tolist()
        actor = self.policy.actor(generator=self.generator)
        rolled = venv.rollout(
            begin.state, begin.given, h, past=begin.past, actor=actor, noise=noise, shifts=shifts
        )
        reward = self.reward(self.policy.codec.decode(rolled)) / self.reward_spread  # (h, M, B)
        alive = venv.alive(rolled)
        alive = torch.ones(h + 1, *reward.shape[1:]) if alive is None else alive
        reward, alive = (series.reshape(len(series), copies, -1) for series in (reward * alive[:-1], alive))
        leaves = self._critic_inputs(rolled, begin.given).reshape(h + 1, copies, -1, self.critic.inputs)
        discount = self.gamma ** torch.arange(h, dtype=reward.dtype)
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
            pick = torch.randint(x.shape[1], (self.critic_batch,), generator=self.generator)
            loss = (self.critic(x[:, pick]) - y[:, pick]).square() * weight[:, pick]
            optimizer.zero_grad(set_to_none=True)
            loss.mean(1).sum().backward()
            clip_gradient_by_member(self.critic.parameters(), self.clip * 10)
            optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(self.slow_critic.parameters(), self.critic.parameters(), strict=True):
                slow.lerp_(fast, self.target_rate)

    # -- the choice ----------------------------------------------------------------------------

    @torch.no_grad()
    def judge(self, iteration: int) -> None:
        """Score both copies, each in the half it did not learn in, and note them as candidates."""
        per_branch = self.bed.rewards(self.policy.actor(swap=True))  # (M, B)
        per_member = per_branch.mean(1).view(self.policy.copies, -1).flip(0)  # row i: copy i elsewhere
        scores = pessimistic_score(per_member, self.caution)
        if self._clone_scores is None:
            self._clone_scores = scores
        weights = {name: value.clone() for name, value in self.policy.state_dict().items()}
        for copy in range(self.policy.copies):
            mean = float(per_member[copy].mean())
            rejected = None
            if not math.isfinite(mean):
                rejected = "its rollouts diverge"
            elif mean > self.reward_limit:
                rejected = "it promises more than the logs ever saw"
            gain = float(scores[copy] - self._clone_scores[copy])
            self.candidates.append(
                Candidate(iteration, copy, float(scores[copy]), gain, mean, rejected, weights)
            )

    def best(self) -> Candidate:
        """The admissible candidate that gains most over the clone in the same venv; the clone counts too."""
        admissible = [candidate for candidate in self.candidates if candidate.rejected is None]
        return max(admissible or self.candidates[:1], key=lambda candidate: candidate.gain)

    # -- resuming ------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["learner"] = {
            "generator": self.generator.get_state(),
            "candidates": [vars(candidate) for candidate in self.candidates],
            "clone_scores": self._clone_scores,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"]["policy.noise"] = self.policy.noise  # what was set counts, not what was
        state = checkpoint["learner"]
        self.generator.set_state(state["generator"])
        self.candidates = [Candidate(**candidate) for candidate in state["candidates"]]
        self._clone_scores = state["clone_scores"]
