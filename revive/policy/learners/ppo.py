"""A likelihood-ratio gradient in the virtual environment: it needs no gradient of the reward, nor of the venv.

Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347): rollouts of h steps with a policy that explores,
then several epochs over them of

    max  E min(rho A, clip(rho, 1 - eps, 1 + eps) A),   rho = pi(a | s) / pi_old(a | s)

with generalised advantages `A_k = G_k - V(s_k)`, `G_k = r_k + gamma g_k ((1 - lambda) V(s_{k+1}) + lambda G_{k+1})`,
`G_h = V(s_h)` (Schulman et al. 2015, arXiv:1506.02438); g_k is 0 where a branch ends by `done`, and the end of the
rollout is a time-out. `a` is what is drawn before the bounds of the action, so that its density is that of the heads.
V is learned in units of the returns. A copy whose policy has moved further than the target KL waits for new rollouts.

Variants pay for the members' disagreement: `r - min(lambda u+, cap)`, u+ the excess over the logs (or MOPO's or
MOBILE's measure, see penalties.py), less its mean over the steps of the batch: doubt never makes an early end
attractive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor, nn

from revive.nn import heads
from revive.nn.ensemble import LinearSkipNet
from revive.nn.heads import Outputs
from revive.policy.critic import lambda_returns
from revive.policy.learners.exploring import Exploration, ExploringLearner
from revive.policy.problem import PolicyProblem
from revive.policy.transitions import discounted, ended
from revive.policy.updates import set_step_size, step

RATE = 0.1  # by which the unit of the returns follows them
STD_RANGE = (-4.0, 0.5)  # of the logarithm of exploration's spread


class Batch(NamedTuple):
    """Steps of rollouts, (P, n, ...); weight is 0 after the end of a branch.

    x: what the policy saw; leaves: what the value sees; raw: what was drawn; log_prob: of it, then.
    advantage, target: of the policy and of the value, the latter in the unit of the returns.
    """

    x: Tensor
    leaves: Tensor
    raw: Tensor
    log_prob: Tensor
    advantage: Tensor
    target: Tensor
    weight: Tensor


class Ppo(ExploringLearner):
    """Copies that learn side by side: as many variants in each half's venv.

    Args:
        problem: what is to be learned, in what.
        iterations, warm_up: rollouts with updates of the policy, and before them those for the value alone; fewer
            where the problem's budget of simulated steps is smaller.
        epochs, minibatch: passes over the steps of an iteration, and steps per update and copy.
        value_lr: Adam, constant.
        td_lambda, clip_ratio, target_kl: lambda of the returns, eps, and where a copy stops.
        entropy: weight of the policy's entropy.
        shared: see `Exploration`.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        iterations: int,
        warm_up: int,
        epochs: int,
        minibatch: int,
        value_lr: float,
        td_lambda: float,
        clip_ratio: float,
        target_kl: float,
        entropy: float,
        **shared: Unpack[Exploration],
    ) -> None:
        super().__init__(problem, "ppo", **shared)
        venv, device, copies = problem.venv, problem.device, self.policy.copies
        self.repeat = problem.repeat
        self.horizon = -(-problem.horizon.steps // self.repeat) * self.repeat  # whole decisions
        affordable = self.rollouts.copies.affordable(self.horizon)
        self.warm_up = min(warm_up, affordable // 2)
        self.iterations = max(1, min(iterations, affordable - self.warm_up))
        self.epochs, self.minibatch, self.value_lr = epochs, minibatch, value_lr
        self.td_lambda, self.clip_ratio, self.target_kl = td_lambda, clip_ratio, target_kl
        self.entropy = entropy
        # where nothing ends, an offset of the reward says nothing
        self.offset = 0.0 if self.ends else float(problem.row_reward.mean())
        torch.manual_seed(problem.seed)  # the weights that are drawn now
        spread = torch.full((copies, 1, self.policy.layout.ordered), shared["noise"])
        self.log_std = nn.Parameter(spread.log().to(device))
        seen = [n for n in self.policy.inputs if n not in (*venv.replayed_nodes, *venv.graph.states)]
        self.leaves = (*venv.replayed_nodes, *venv.graph.states, *seen)
        width = sum(self.policy.codec.width(name) for name in self.leaves)
        self.value = LinearSkipNet(copies, width, 1, shared["hidden"]).to(device)
        self._take_unit()

    center: Tensor
    spread: Tensor

    def _take_unit(self) -> None:
        """The unit of the returns, (P, 1) each, from the logs."""
        problem, copies = self.problem, self.policy.copies
        reward = (problem.row_reward - self.offset) / problem.reward_spread
        earned = discounted(reward, 1.0 - ended(problem), problem.rows, self.gamma)
        self.register_buffer("center", earned.mean().expand(copies, 1).clone())
        self.register_buffer("spread", earned.std().clamp_min(1.0).expand(copies, 1).clone())

    # -- what Lightning asks for ---------------------------------------------------------------

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam([*self.policy.net.parameters(), self.log_std], lr=self.lr, fused=True),
            torch.optim.Adam(self.value.parameters(), lr=self.value_lr, fused=True),
        ]

    @property
    def rounds(self) -> int:
        return -(-(self.warm_up + self.iterations) // self.chunk)

    def round(self, number: int) -> None:
        policy_optimizer, value_optimizer = self.own_optimizers()
        set_step_size(value_optimizer, self.value_lr)
        earned = torch.zeros((), device=self.problem.device)
        for iteration in range(
            number * self.chunk, min((number + 1) * self.chunk, self.warm_up + self.iterations)
        ):
            done = iteration - self.warm_up
            batch, earned = self._collect()
            self.slow_down(policy_optimizer, done)
            loss = self._learn(batch, policy_optimizer if done >= 0 else None, value_optimizer)
            self.watch(loss, iteration + 1)
            self.hand_in(done + 1)
        self.note("rollout_reward", earned)

    # -- rollouts ------------------------------------------------------------------------------

    @torch.no_grad()
    def _collect(self) -> tuple[Batch, Tensor]:
        """The steps of one iteration, and the mean reward of a step."""
        seen: list[Tensor] = []
        drawn: list[Tensor] = []

        def act(x: Tensor) -> Tensor:
            shape = (*x.shape[:-1], self.policy.layout.width)
            eps = torch.randn(*shape, generator=self.generator, device=x.device)
            seen.append(x)
            drawn.append(heads.sample(self._explored(x), self.policy.layout, eps))
            return self.policy.bounded(drawn[-1])

        rolled = self.rollouts.roll(self.horizon, act)
        reward, alive, earned = self.rollouts.paid(rolled, self.offset, self._worth)
        reward, alive = by_decision(reward, alive, self.gamma, self.repeat)
        x, raw = torch.stack(seen), torch.stack(drawn)
        due = {name: rolled.known[name][:: self.repeat] for name in self.leaves}
        leaves = self.policy.by_copy(torch.cat([due[name] for name in self.leaves], dim=-1))
        flat = _flat(leaves)
        value = self._worth(due)  # (h + 1, P, n), h decisions
        returns = lambda_returns(reward, value[1:], self.gamma**self.repeat, self.td_lambda, alive[1:])
        advantage, target, weight = (_flat(s) for s in (returns - value[:-1], returns, alive[:-1]))
        self._follow(target, weight)
        x, raw = _flat(x[:-1]), _flat(raw[:-1])
        log_prob = self._log_prob(self._explored(x), raw)
        batch = Batch(
            x,
            flat[:, : x.shape[1]],
            raw,
            log_prob,
            _standardised(advantage, weight),
            (target - self.center) / self.spread,
            weight,
        )
        return batch, earned

    def _worth(self, known: Mapping[str, Tensor]) -> Tensor:
        """Of states, node -> (T, M, B, d), to each copy: (T, P, n)."""
        leaves = self.policy.by_copy(torch.cat([known[name] for name in self.leaves], dim=-1))
        return self._value(_flat(leaves)).unflatten(1, (len(leaves), -1)).transpose(0, 1)

    def _follow(self, target: Tensor, weight: Tensor) -> None:
        """Let the unit of the returns follow them: (P, n) each."""
        count = weight.sum(1, keepdim=True).clamp_min(1.0)
        mean = (target * weight).sum(1, keepdim=True) / count
        std = (((target - mean).square() * weight).sum(1, keepdim=True) / count).sqrt()
        self.center.lerp_(mean, RATE)
        self.spread.lerp_(std, RATE).clamp_min_(1e-2)

    # -- updates -------------------------------------------------------------------------------

    def _learn(self, batch: Batch, policy_optimizer: Any, value_optimizer: Any) -> Tensor:
        """Epochs over the steps; a copy that has moved far enough stays where it is. No optimizer: no update.

        Returns the last losses, summed: a number as long as all of them are.
        """
        loss = last = torch.zeros((), device=batch.x.device)
        active = torch.ones(self.policy.copies, dtype=torch.bool, device=batch.x.device)
        moved = [*self.policy.net.parameters(), self.log_std]
        for _ in range(self.epochs):
            order = torch.randperm(batch.x.shape[1], generator=self.generator, device=batch.x.device)
            for pick in order.split(self.minibatch):
                part = Batch(*(table.index_select(1, pick) for table in batch))
                error = (self.value(part.leaves).squeeze(-1) - part.target).square() * part.weight
                last = error.mean(1).sum()
                step(value_optimizer, last, self.value.parameters(), self.clip)
                if policy_optimizer is None or not bool(active.any()):
                    continue
                loss, kl = self._policy_loss(part)
                active = active & (kl <= self.target_kl)
                step(policy_optimizer, loss.sum(), moved, self.clip, active)
        return (last + loss.sum()).detach()

    def _policy_loss(self, part: Batch) -> tuple[Tensor, Tensor]:
        """The loss and how far each copy has moved from what drew the batch: (P,) each."""
        out = self._explored(part.x)
        difference = self._log_prob(out, part.raw) - part.log_prob
        ratio = difference.exp()
        clipped = ratio.clamp(1.0 - self.clip_ratio, 1.0 + self.clip_ratio)
        gain = torch.minimum(ratio * part.advantage, clipped * part.advantage)
        count = part.weight.sum(1).clamp_min(1.0)
        gain = gain + self.entropy * self._entropy(out)
        kl = ((ratio - 1.0 - difference).detach() * part.weight).sum(1) / count  # Schulman's estimate, >= 0
        return -(gain * part.weight).sum(1) / count, kl

    def _explored(self, x: Tensor) -> Outputs:
        """What the policies draw from, with the exploration that they have learned: (P, n, ...)."""
        return self.policy.distribution(x)._replace(log_std=self.log_std.clamp(*STD_RANGE))

    def _log_prob(self, out: Outputs, raw: Tensor) -> Tensor:
        """Of what was drawn, (P, n)."""
        return -heads.terms(out, self.policy.layout, raw).sum(-1)

    def _entropy(self, out: Outputs) -> Tensor:
        """Up to a constant of each dimension, (P, n)."""
        layout = self.policy.layout
        total = out.log_std.sum(-1).expand(out.mean.shape[:-1])
        for start, stop in layout.blocks:
            assert out.logits is not None
            log_p = out.logits[..., start - layout.ordered : stop - layout.ordered].log_softmax(-1)
            total = total - (log_p.exp() * log_p).sum(-1)
        return total

    def _value(self, leaves: Tensor) -> Tensor:
        """leaves (P, n, d) -> (P, n), in spreads of the reward."""
        return self.center + self.spread * self.value(leaves).squeeze(-1)

    # -- what is asked of every learner ------------------------------------------------------------

    def notes(self) -> dict[str, Any]:
        return self.told(
            {"iterations": self.iterations, "horizon": self.horizon, "variants": list(self.taken.variants)}
        )


def by_decision(reward: Tensor, alive: Tensor, gamma: float, repeat: int) -> tuple[Tensor, Tensor]:
    """Of steps, reward (h, ...) and alive (h + 1, ...), to those of decisions that hold for `repeat` of them.

    A decision earns `sum_i gamma^i alive_i r_i` over its steps (Sutton et al. 1999, Artificial
    Intelligence 112: options).
    """
    if repeat == 1:
        return reward, alive
    share = gamma ** torch.arange(repeat, device=reward.device, dtype=reward.dtype)
    parts = (reward * alive[:-1]).unflatten(0, (-1, repeat))
    return (parts * share.view(1, -1, *[1] * (reward.dim() - 1))).sum(1), alive[::repeat]


def _flat(series: Tensor) -> Tensor:
    """(T, P, B, ...) -> (P, T * B, ...)."""
    return series.transpose(0, 1).flatten(1, 2)


def _standardised(advantage: Tensor, weight: Tensor) -> Tensor:
    """Mean zero and spread one over each copy's steps, (P, n)."""
    count = weight.sum(1, keepdim=True).clamp_min(1.0)
    centered = advantage - (advantage * weight).sum(1, keepdim=True) / count
    variance = (centered.square() * weight).sum(1, keepdim=True) / count
    return centered / (variance.sqrt() + 1e-6)
