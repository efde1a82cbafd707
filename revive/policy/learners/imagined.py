"""Rollouts that a first-order learner differentiates: what they earn, where they end, what disagreement costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from revive.policy.constraints import Multipliers
from revive.policy.penalties import Measure, penalty_of
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem
from revive.policy.rollouts import with_random_members
from revive.policy.smoothing import Endings, smoothed_reward
from revive.policy.starts import Start

LEAST_PENALTY = 1.0  # spreads of the reward that a penalty may reach where staying alive earns nothing
MOST_PENALTY = 10.0  # the same where nothing ends
Worth = Callable[[Mapping[str, Tensor]], Tensor]


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


class Imagination:
    """Rollouts of a policy's copies, every variant of a half in its own share of the branches.

    Args:
        problem, policy: what learns in what.
        variants: of each half.
        measure: of the members' disagreement, see penalties.py.
        branches: of each copy, spread over the members of its half.
        generator: of all draws.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        policy: Policy,
        variants: Sequence[Variant],
        *,
        measure: Measure,
        branches: int,
        generator: torch.Generator,
    ) -> None:
        venv, rows = problem.venv, problem.rows
        self.problem, self.policy, self.venv, self.generator = problem, policy, venv, generator
        self.spread = problem.reward_spread
        self.variants, self.horizon = variants, problem.horizon.steps
        self.branches = len(variants) * max(1, branches // (venv.members // venv.halves))  # of each member
        self.endings = Endings(venv, rows, policy)
        self.smoothed = smoothed_reward(problem.reward, self.spread, venv, rows, policy)
        self.measure = penalty_of(problem, measure, policy)
        self.multipliers = None if problem.constraints is None else Multipliers(problem.constraints, policy)
        penalties = [variant.penalty for variant in variants] * venv.halves
        self.penalty = torch.tensor(penalties, device=problem.device).unsqueeze(1)  # (P, 1)
        mean = float(problem.row_reward.mean()) / self.spread
        self.most = max(LEAST_PENALTY, 0.5 * mean) if self.endings.exist else MOST_PENALTY

    @property
    def leaves(self) -> tuple[str, ...]:
        """What a critic sees of a step beside the action."""
        return (*self.venv.replayed_nodes, *self.venv.graph.states)

    @property
    def per_iteration(self) -> int:
        """Simulated steps of one rollout of all copies."""
        return self.venv.members * self.branches * (self.horizon + 1)

    def imagine(self, worth: Worth) -> Experience:
        """A rollout as the losses see it, with its gradient. worth: of states, to each copy, (T, P, B)."""
        policy, steps = self.policy, self.horizon + 1  # the last step is there for its action
        begin, actor = self._starts(steps), policy.actor(generator=self.generator)
        rolled = with_random_members(self.venv, begin, (steps, self.branches), actor, self.generator)
        known = {**begin.given, **rolled}
        seen = policy.by_copy(torch.cat([known[name] for name in (*self.leaves, policy.target)], dim=-1))
        taken = {name: value[:-1] for name, value in rolled.items()}
        reward = self._earned(taken)
        going = self.endings.going(taken, self.generator)
        if bool((self.penalty > 0).any()):
            doubt = self.measure.of(
                taken, {name: value[1:] for name, value in known.items()}, worth, self.generator
            )
            excess = self.penalty * torch.relu(doubt - self.measure.free)
            reward = reward - self.most * torch.tanh(excess / self.most)  # no branch is better off dead
        alive = torch.ones_like(seen[..., 0])
        if going is not None:
            going = policy.by_copy(going.unsqueeze(-1)).squeeze(-1)
            alive = torch.cat([alive[:1], going.detach().cumprod(0)])
        if self.multipliers is not None:
            physical = policy.codec.decode(taken)
            self.multipliers.learn(physical, alive[:-1])
            reward = reward - self.multipliers.charge(physical)
        return Experience(reward, seen, going, alive)

    def _earned(self, taken: Mapping[str, Tensor]) -> Tensor:
        """The reward of every step in its spreads, (h, P, B)."""
        if self.smoothed is None:
            reward = self.problem.reward(self.policy.codec.decode(taken)) / self.spread
        else:
            reward = self.smoothed(taken, self.generator)
        return self.policy.by_copy(reward.unsqueeze(-1)).squeeze(-1)

    def _starts(self, steps: int) -> Start:
        """Each variant's branches side by side."""
        each, starts = self.branches // len(self.variants), self.problem.starts
        plain = replace(starts, wide=0.0)
        parts = [
            (starts if variant.wide else plain).draw(each, steps, self.generator) for variant in self.variants
        ]
        return Start.joined(parts)
