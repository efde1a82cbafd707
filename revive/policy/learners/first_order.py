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

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from revive.nn.ensemble import clip_gradient_by_member
from revive.policy.candidate import Candidate, Snapshots
from revive.policy.critic import Critic, Logged, lambda_returns
from revive.policy.learners.backtracking import Backtracking
from revive.policy.learners.base import PolicyLearner
from revive.policy.learners.imagined import Experience, Imagination, Variant
from revive.policy.penalties import Measure
from revive.policy.problem import PolicyProblem
from revive.policy.rollouts import Copies
from revive.policy.smoothing import stops_gradient
from revive.policy.updates import cosine, follow, set_step_size, step

VALUE_STEPS = 10.0  # divides returns of every step; the gradient is clipped, so that it hardly matters


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
        check_every: iterations between two looks at whether a copy has fallen below its start (backtracking.py).
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
        check_every: int,
        judge_every: int,
        chunk: int,
    ) -> None:
        super().__init__()
        self.problem, self.horizon, self.warm_up = problem, problem.horizon.steps, warm_up
        self.variants = [Variant(**chosen) for chosen in variants]
        self.policy = problem.started(len(self.variants))
        self.generator = problem.generator()
        copies = Copies(
            problem,
            self.policy,
            penalties=[variant.penalty for variant in self.variants],
            measure=measure,
            branches=branches,
            generator=self.generator,
        )
        made = Imagination(copies, self.variants)
        # in a list: the venv's weights are fixed and are no part of this module
        self._imagined, self.multipliers = [made], copies.multipliers
        self.iterations = max(1, min(iterations, copies.affordable(self.horizon) - warm_up))
        self.lr, self.critic_lr, self.td_lambda = lr, critic_lr, td_lambda
        self.critic_steps, self.critic_batch, self.target_rate = critic_steps, critic_batch, target_rate
        self.clip, self.check_every, self.judge_every, self.chunk = clip, check_every, judge_every, chunk
        self.gamma = done_gamma if made.endings.exist else gamma
        self.logged = Logged.of(problem, self.policy)
        self.imagined = 1.0 if self.logged is None else imagined
        self._per_copy(noise)
        width = sum(problem.venv.codec.width(name) for name in (*made.leaves, self.policy.target))
        torch.manual_seed(problem.seed)
        self.critic = Critic(self.policy.copies, width).to(problem.device)
        self.slow_critic = Critic(self.policy.copies, width).to(problem.device).requires_grad_(False)
        self.slow_critic.load_state_dict(self.critic.state_dict())
        self.backtracking = None if problem.constraints else Backtracking(problem, self.policy)
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
    def imagination(self) -> Imagination:
        return self._imagined[0]

    def _per_copy(self, noise: float) -> None:
        """Tables (P, 1) of what differs between the copies."""
        device, halves = self.problem.device, self.problem.venv.halves

        def table(values: list[float]) -> Tensor:
            return torch.tensor(values * halves, device=device).unsqueeze(1)

        self._whole = table([float(v.returns == "whole") for v in self.variants])
        self._mix = self._whole + (1.0 - self._whole) * self.td_lambda
        self._step_size = table([v.lr for v in self.variants])
        self.policy.noise = table([noise * v.noise for v in self.variants]).unsqueeze(-1)  # (P, 1, 1)

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
        set_step_size(critic_optimizer, self.critic_lr)
        value = torch.zeros((), device=self.problem.device)
        for iteration in range(*self.chunks[number]):
            acting = iteration >= self.warm_up
            done = iteration - self.warm_up
            with torch.set_grad_enabled(acting):
                loss, seen = self._actor_loss()
            if acting:
                set_step_size(actor_optimizer, cosine(self.lr, done, self.iterations))
                actor_optimizer.zero_grad(set_to_none=True)
                loss.backward()
                clip_gradient_by_member(self.policy.net.parameters(), self.clip)
                self._step(actor_optimizer)
            self.watch(loss.detach(), iteration + 1)
            self._fit_critic(seen, critic_optimizer)
            if acting and self.backtracking and (done + 1) % self.check_every == 0:
                self.backtracking.check(actor_optimizer.optimizer)
            if acting and ((done + 1) % self.judge_every == 0 or done + 1 == self.iterations):
                self.snapshots.take(done + 1)
            value = seen.reward.mean() * self.problem.reward_spread
        self.note("rollout_reward", value.detach())

    def _step(self, optimizer: Any) -> None:
        """An update of the actor, by every copy's own share of the step."""
        share = self._step_size
        if self.backtracking:
            share = share * self.backtracking.share.unsqueeze(1)
        if bool((share == 1.0).all()):
            optimizer.step()
            return
        before = [p.detach().clone() for p in self.policy.net.parameters()]
        optimizer.step()
        with torch.no_grad():
            for p, old in zip(self.policy.net.parameters(), before, strict=True):
                part = share.view(-1, *[1] * (p.dim() - 1))
                p.copy_(torch.where(part == 1.0, p, old + (p - old) * part))

    # -- the two losses ------------------------------------------------------------------------

    def _worth(self, known: Mapping[str, Tensor]) -> Tensor:
        """`Q(s, pi(s))` of states, node -> (T, M, B, d), to each copy: (T, P, B)."""
        seen, leaves = (
            self.policy.by_copy(torch.cat([known[name] for name in which], dim=-1))
            for which in (self.policy.inputs, self.imagination.leaves)
        )
        action = self.policy(seen.transpose(0, 1).flatten(1, 2)).unflatten(1, (len(seen), -1)).transpose(0, 1)
        return self._values(self.slow_critic, torch.cat([leaves, action], dim=-1))

    def _actor_loss(self) -> tuple[Tensor, Experience]:
        """The loss, summed over copies, and what the critic learns from."""
        made = self.imagination.imagine(self._worth)
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
        for number in range(self.critic_steps):
            pick = torch.randint(
                x.shape[1],
                (self.critic_batch - own,),
                generator=self.generator,
                device=self.generator.device,
            )
            batch, target, share = (table.index_select(1, pick) for table in (x, y, weight))
            share = share * self.imagined
            if self.logged is not None:
                rows = slice(number * own, (number + 1) * own)
                batch, target = (
                    torch.cat([batch, logged[:, rows]], 1),
                    torch.cat([target, wanted[:, rows]], 1),
                )
                share = torch.cat([share, torch.full_like(wanted[:, rows], 1.0 - self.imagined)], 1)
            loss = ((self.critic(batch) - target).square() * share).mean(1).sum()
            step(optimizer, loss, self.critic.parameters(), self.clip * 10)
        follow(self.slow_critic, self.critic, self.target_rate)

    # -- what is asked of every learner ------------------------------------------------------------

    def candidates(self) -> list[Candidate]:
        return self.snapshots.candidates()

    def notes(self) -> dict[str, Any]:
        found = {
            "iterations": self.iterations,
            "horizon": self.horizon,
            "variants": [variant.name for variant in self.variants],
            "reward_smoothed": self.imagination.smoothed is not None,
            "critic_sees_logs": self.logged is not None,
        }
        if self.backtracking and bool(self.backtracking.fallen.any()):
            found["taken_back"] = self.backtracking.fallen.int().tolist()
        return self.told(found)

    # -- resuming ------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["learner"] = {
            "generator": self.generator.get_state(),
            "snapshots": self.snapshots.state(),
            "backtracking": self.backtracking.state() if self.backtracking else None,
            "diverged": self.diverged,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"]["policy.noise"] = self.policy.noise  # what was set counts, not what was
        state = checkpoint["learner"]
        self.generator.set_state(state["generator"])
        self.snapshots.load(state["snapshots"])
        if self.backtracking and state.get("backtracking"):
            self.backtracking.load(state["backtracking"])
        self.diverged = state.get("diverged")
