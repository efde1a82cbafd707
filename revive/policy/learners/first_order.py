"""The default policy learner: a first-order gradient through the virtual environment, with a critic.

Rollouts of h steps, differentiated through the reparameterised transitions, the reward, the survival and the policy
(SVG, Heess et al. 2015; SHAC, Xu et al. 2022, arXiv:2204.07137), with survival and a value at every step as in LEQ
(Park and Lee 2024, arXiv:2407.00699):

    r_k  = reward / spread - penalty of the members' disagreement
    G_k  = r_k + gamma g_k ((1 - lambda) Q(s_{k+1}, a_{k+1}) + lambda G_{k+1}),  G_h = Q(s_h, a_h)
    J    = mean_k c_k G_k  (returns "every"),  or  G_0 / h with lambda = 1  (returns "whole")

g_k is 1 while a branch goes on and 0 where it ends, with the gradient of the probability; c_k = g_0 .. g_{k-1}. The
critic regresses on G of the same rollouts and on logged transitions, bootstrapped by a slow copy. Every step is
answered by a random member of the ensemble, so no single member's error can be exploited.

Variants of each half learn side by side in one rollout, from a clone of the behaviour policy. Which of them, at which
moment, is returned is decided by the pessimistic score in the half that it never saw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from revive.nn.ensemble import clip_gradient_by_member
from revive.policy.candidate import Candidate, Snapshots
from revive.policy.constraints import Multipliers
from revive.policy.critic import Critic, Logged, lambda_returns
from revive.policy.doubt import Doubt
from revive.policy.learners.base import PolicyLearner
from revive.policy.penalties import Measure, Penalty
from revive.policy.problem import PolicyProblem
from revive.policy.smoothing import Endings, smoothed_reward, stops_gradient
from revive.policy.starts import Start
from revive.venv.virtual_env import VirtualEnv

VALUE_STEPS = 10.0  # divides returns of every step; the gradient is clipped, so that it hardly matters
LEAST_PENALTY = 1.0  # spreads of the reward that a penalty may reach where staying alive earns nothing
MOST_PENALTY = 10.0  # the same where nothing ends


@dataclass(frozen=True)
class Variant:
    """One of the settings that learn side by side.

    penalty: spreads of the reward that are taken off for each unit of disagreement above that of the logs.
    returns: what is maximised. lr, noise: shares of the learning rate and of the exploration. wide: whether some
    rollouts start away from the logs.
    """

    penalty: float = 0.0
    returns: Literal["every", "whole"] = "every"
    lr: float = 1.0
    noise: float = 1.0
    wide: bool = True

    @property
    def name(self) -> str:
        """As the output shows it."""
        parts = [f"penalty {self.penalty:g}", f"{self.returns} return"]
        parts += [
            f"{word} x {share:g}" for word, share in (("lr", self.lr), ("noise", self.noise)) if share != 1.0
        ]
        return ", ".join(parts if self.wide else [*parts, "logged starts"])


class Experience(NamedTuple):
    """A rollout, copy by copy.

    reward (h, P, B), in spreads; seen (h + 1, P, B, d): what the critic sees; going (h, P, B): 0 where a branch ends,
    None where none does; alive (h + 1, P, B): 1 until it has ended.
    """

    reward: Tensor
    seen: Tensor
    going: Tensor | None
    alive: Tensor


class FirstOrderLearner(PolicyLearner):
    """Copies that learn side by side: as many variants in each half's venv.

    Args:
        problem: what is to be learned, in what.
        variants: arguments of each `Variant`.
        measure: of the members' disagreement, see penalties.py.
        noise: of exploration, in spreads of the logged action.
        iterations, warm_up: actor updates, and critic-only iterations before the first; fewer where the problem's
            budget of simulated steps is smaller.
        branches: rollouts per copy and iteration.
        lr: Adam of the actor, cosine to zero. critic_lr: of the critic, constant.
        gamma, td_lambda: discount and the lambda of the returns.
        done_gamma: the discount where trajectories end by `done`.
        critic_steps, critic_batch: critic updates per iteration, and their size.
        imagined: weight of imagined against logged transitions in the critic's loss.
        target_rate: how fast the slow copy of the critic follows.
        clip: limit of each copy's gradient norm.
        judge_every: iterations between two candidates.
        chunk: iterations per round.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        variants: Sequence[Mapping[str, Any]],
        measure: Measure,
        noise: float,
        iterations: int,
        warm_up: int,
        branches: int,
        lr: float,
        critic_lr: float,
        gamma: float,
        done_gamma: float,
        td_lambda: float,
        critic_steps: int,
        critic_batch: int,
        imagined: float,
        target_rate: float,
        clip: float,
        judge_every: int,
        chunk: int,
    ) -> None:
        super().__init__()
        self.problem, venv = problem, problem.venv
        self.variants = [Variant(**chosen) for chosen in variants]
        count = len(self.variants)
        self.policy = problem.clone.widened(count)
        self._venv = [venv]  # in a list: its weights are fixed and are no part of this module
        self.starts, self.reward, self.reward_spread = problem.starts, problem.reward, problem.reward_spread
        self.horizon, self.warm_up = problem.horizon.steps, warm_up
        self.branches = count * max(1, branches // (venv.members // venv.halves))  # of each member
        per_iteration = venv.members * self.branches * (self.horizon + 1)
        self.iterations = max(1, min(iterations, problem.affordable(per_iteration) - warm_up))
        self.lr, self.critic_lr, self.td_lambda = lr, critic_lr, td_lambda
        self.critic_steps, self.critic_batch, self.target_rate = critic_steps, critic_batch, target_rate
        self.clip, self.judge_every, self.chunk = clip, judge_every, chunk
        self.generator = problem.generator()
        self.endings = Endings(venv, problem.rows, self.policy)
        self.gamma = done_gamma if self.endings.exist else gamma
        self.smoothed = smoothed_reward(self.reward, self.reward_spread, venv, problem.rows, self.policy)
        self.measure = Penalty(measure, Doubt(venv, problem.rows), self.policy)
        self.logged = Logged.of(problem, self.policy)
        self.imagined = 1.0 if self.logged is None else imagined
        self.multipliers = (
            None if problem.constraints is None else Multipliers(problem.constraints, self.policy)
        )
        self._per_copy(noise)
        width = sum(
            venv.codec.width(n) for n in (*venv.replayed_nodes, *venv.graph.states, self.policy.target)
        )
        torch.manual_seed(problem.seed)
        self.critic = Critic(self.policy.copies, width).to(problem.device)
        self.slow_critic = Critic(self.policy.copies, width).to(problem.device).requires_grad_(False)
        self.slow_critic.load_state_dict(self.critic.state_dict())
        self.snapshots = Snapshots(self.policy, "first_order", [variant.name for variant in self.variants])

    @classmethod
    def unsuited(cls, problem: PolicyProblem) -> str | None:
        """Where a numpy function stands between the action and what follows."""
        node = stops_gradient(problem.venv, problem.target)
        return (
            None
            if node is None
            else f"the numpy function of '{node}' passes on no gradient, as torch's would"
        )

    @property
    def venv(self) -> VirtualEnv:
        return self._venv[0]

    def _per_copy(self, noise: float) -> None:
        """Tables (P, 1) of what differs between the copies."""
        device, halves = self.problem.device, self.venv.halves

        def table(values: list[float]) -> Tensor:
            return torch.tensor(values * halves, device=device).unsqueeze(1)

        self._penalty = table([v.penalty for v in self.variants])
        self._whole = table([float(v.returns == "whole") for v in self.variants])
        self._mix = self._whole + (1.0 - self._whole) * self.td_lambda
        self._step_size = table([v.lr for v in self.variants])
        self.policy.noise = table([noise * v.noise for v in self.variants]).unsqueeze(-1)  # (P, 1, 1)
        mean = float(self.problem.row_reward.mean()) / self.reward_spread
        self._most = max(LEAST_PENALTY, 0.5 * mean) if self.endings.exist else MOST_PENALTY

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
                self._step(actor_optimizer)
            self.watch(loss.detach(), iteration + 1)
            self._fit_critic(seen, critic_optimizer)
            if acting and ((done + 1) % self.judge_every == 0 or done + 1 == self.iterations):
                self.snapshots.take(done + 1)
            value = seen.reward.mean() * self.reward_spread
        self.note("rollout_reward", value.detach())

    def _step(self, optimizer: Any) -> None:
        """An update of the actor, by every copy's own share of the step."""
        if bool((self._step_size == 1.0).all()):
            optimizer.step()
            return
        before = [p.detach().clone() for p in self.policy.net.parameters()]
        optimizer.step()
        with torch.no_grad():
            for p, old in zip(self.policy.net.parameters(), before, strict=True):
                p.copy_(old + (p - old) * self._step_size.view(-1, *[1] * (p.dim() - 1)))

    # -- the two losses ------------------------------------------------------------------------

    def _rollout(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """h + 1 steps, of which the last one is there for its action; and what was given."""
        venv, steps = self.venv, self.horizon + 1
        begin = self._starts(steps)
        others = tuple(name for name in venv.graph.learned if name != self.policy.target)
        noise = venv.noise(steps, self.branches, self.generator, others)
        per_half = venv.members // venv.halves
        shifts = torch.randint(
            per_half, (steps,), generator=self.generator, device=self.generator.device
        ).tolist()
        actor = self.policy.actor(generator=self.generator)
        rolled = venv.rollout(
            begin.state, begin.given, steps, past=begin.past, actor=actor, noise=noise, shifts=shifts
        )
        return rolled, begin.given

    def _starts(self, steps: int) -> Start:
        """Each variant's branches side by side."""
        each, plain = self.branches // len(self.variants), replace(self.starts, wide=0.0)
        parts = [
            (self.starts if variant.wide else plain).draw(each, steps, self.generator)
            for variant in self.variants
        ]
        return Start.joined(parts)

    def _imagine(self) -> Experience:
        """A rollout as the losses see it, with its gradient."""
        rolled, given = self._rollout()
        known = {**given, **rolled}
        names = (*self.venv.replayed_nodes, *self.venv.graph.states, self.policy.target)
        seen = self._by_copy(torch.cat([known[name] for name in names], dim=-1))
        taken = {name: value[:-1] for name, value in rolled.items()}
        if self.smoothed is None:
            reward = self.reward(self.policy.codec.decode(taken)) / self.reward_spread  # (h, M, B)
        else:
            reward = self.smoothed(taken, self.generator)
        going = self.endings.going(taken, self.generator)
        reward = self._by_copy(reward.unsqueeze(-1)).squeeze(-1)
        if bool((self._penalty > 0).any()):
            reward = reward - self._charge(taken, {name: value[1:] for name, value in known.items()})
        alive = torch.ones_like(seen[..., 0])
        if going is not None:
            going = self._by_copy(going.unsqueeze(-1)).squeeze(-1)
            alive = torch.cat([alive[:1], going.detach().cumprod(0)])
        if self.multipliers is not None:
            physical = self.policy.codec.decode(taken)
            self.multipliers.learn(physical, alive[:-1])
            reward = reward - self.multipliers.charge(physical)
        return Experience(reward, seen, going, alive)

    def _charge(self, taken: Mapping[str, Tensor], later: Mapping[str, Tensor]) -> Tensor:
        """The penalty of every step, (h, P, B): bounded, so that no branch is better off dead."""
        doubt = self.measure.of(taken, later, self._worth, self.generator)
        return self._most * torch.tanh(self._penalty * torch.relu(doubt - self.measure.free) / self._most)

    def _worth(self, known: Mapping[str, Tensor]) -> Tensor:
        """`Q(s, pi(s))` of states, node -> (T, M, B, d), to each copy: (T, P, B)."""
        names = (*self.venv.replayed_nodes, *self.venv.graph.states)
        seen, leaves = (
            self._by_copy(torch.cat([known[name] for name in which], dim=-1))
            for which in (self.policy.inputs, names)
        )
        action = self.policy(seen.transpose(0, 1).flatten(1, 2)).unflatten(1, (len(seen), -1)).transpose(0, 1)
        return self._values(self.slow_critic, torch.cat([leaves, action], dim=-1))

    def _by_copy(self, x: Tensor) -> Tensor:
        return self.policy.by_copy(x)

    def _actor_loss(self) -> tuple[Tensor, Experience]:
        """The loss, summed over copies, and what the critic learns from."""
        made = self._imagine()
        value = self._values(self.slow_critic, made.seen[1:])
        returns = lambda_returns(made.reward, value, self.gamma, self._mix, made.going)  # (h, P, B)
        weight = made.alive[:-1]
        every = (weight * returns).sum(0) / weight.sum(0).clamp_min(1.0)
        gained = torch.where(self._whole > 0, returns[0] / self.horizon, every / VALUE_STEPS)
        going = None if made.going is None else made.going.detach()
        seen = Experience(made.reward.detach(), made.seen.detach(), going, made.alive)
        return -gained.mean(1).sum(), seen

    def _values(self, critic: Critic, seen: Tensor) -> Tensor:
        """seen (T, P, B, d) -> (T, P, B)."""
        steps, copies, branches, width = seen.shape
        flat = seen.transpose(0, 1).reshape(copies, -1, width)
        return critic(flat).reshape(copies, steps, branches).transpose(0, 1)

    def _fit_critic(self, made: Experience, optimizer: Any) -> None:
        with torch.no_grad():
            values = self._values(self.slow_critic, made.seen[1:])
            targets = lambda_returns(made.reward, values, self.gamma, self.td_lambda, made.going)
            copies, width = made.seen.shape[1], made.seen.shape[-1]
            x = made.seen[:-1].transpose(0, 1).reshape(copies, -1, width)
            y = targets.transpose(0, 1).reshape(copies, -1)
            weight = made.alive[:-1].transpose(0, 1).reshape(copies, -1)
        own = 0 if self.logged is None else self.critic_batch // 2
        if self.logged is not None:
            logged, wanted = self.logged.draw(
                own * self.critic_steps, self.slow_critic, self.policy, self.gamma, self.generator
            )
        for step in range(self.critic_steps):
            pick = torch.randint(
                x.shape[1],
                (self.critic_batch - own,),
                generator=self.generator,
                device=self.generator.device,
            )
            batch, target, share = x[:, pick], y[:, pick], weight[:, pick] * self.imagined
            if self.logged is not None:
                rows = slice(step * own, (step + 1) * own)
                batch, target = (
                    torch.cat([batch, logged[:, rows]], 1),
                    torch.cat([target, wanted[:, rows]], 1),
                )
                share = torch.cat([share, torch.full_like(wanted[:, rows], 1.0 - self.imagined)], 1)
            loss = (self.critic(batch) - target).square() * share
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
        found = {
            "iterations": self.iterations,
            "horizon": self.horizon,
            "variants": [variant.name for variant in self.variants],
            "reward_smoothed": self.smoothed is not None,
            "critic_sees_logs": self.logged is not None,
        }
        return self.told(found)

    # -- resuming ------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["learner"] = {
            "generator": self.generator.get_state(),
            "snapshots": self.snapshots.state(),
            "diverged": self.diverged,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"]["policy.noise"] = self.policy.noise  # what was set counts, not what was
        state = checkpoint["learner"]
        self.generator.set_state(state["generator"])
        self.snapshots.load(state["snapshots"])
        self.diverged = state.get("diverged")
