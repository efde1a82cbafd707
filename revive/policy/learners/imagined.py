"""Rollouts that a first-order learner differentiates: what they earn, where they end, what disagreement costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from revive.policy.penalties import Worth
from revive.policy.rollouts import Copies
from revive.policy.smoothing import Endings, smoothed_reward
from revive.policy.starts import Start

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


class Imagination:
    """Rollouts of a policy's copies, every variant of a half in its own share of the branches.

    variants: of each half; `copies` pays the penalty of each.
    """

    def __init__(self, copies: Copies, variants: Sequence[Variant]) -> None:
        problem, policy, venv, rows = copies.problem, copies.policy, copies.venv, copies.problem.rows
        self.copies, self.variants, self.horizon = copies, variants, problem.horizon.steps
        self.spread = problem.reward_spread
        self.endings = Endings(venv, rows, policy)
        self.smoothed = smoothed_reward(problem.reward, self.spread, venv, rows, policy)
        mean = float(problem.row_reward.mean()) / self.spread
        self.most = max(LEAST_PENALTY, 0.5 * mean) if self.endings.exist else MOST_PENALTY

    @property
    def leaves(self) -> tuple[str, ...]:
        """What a critic sees of a step beside the action."""
        venv = self.copies.venv
        return (*venv.replayed_nodes, *venv.graph.states)

    def imagine(self, worth: Worth) -> Experience:
        """A rollout as the losses see it, with its gradient. worth: of states, to each copy, (T, P, B)."""
        copies, policy, generator = self.copies, self.copies.policy, self.copies.generator
        steps = self.horizon + 1  # the last step is there for its action
        begin = self._starts(steps)
        rolled = copies.rolled(begin, steps, policy.actor(generator=generator))
        known = {**begin.given, **rolled}
        seen = policy.by_copy(torch.cat([known[name] for name in (*self.leaves, policy.target)], dim=-1))
        taken = {name: value[:-1] for name, value in rolled.items()}
        reward = self._earned(taken)
        going = self.endings.going(taken, generator)
        if copies.paying:
            later = {name: value[1:] for name, value in known.items()}
            doubt = copies.doubt(taken, later, worth)
            excess = copies.penalty * torch.relu(doubt - copies.measure.free)
            reward = reward - self.most * torch.tanh(excess / self.most)  # no branch is better off dead
        alive = torch.ones_like(seen[..., 0])
        if going is not None:
            going = copies.by_copy(going)
            alive = torch.cat([alive[:1], going.detach().cumprod(0)])
        return Experience(copies.constrained(reward, taken, alive[:-1]), seen, going, alive)

    def _earned(self, taken: Mapping[str, Tensor]) -> Tensor:
        """The reward of every step in its spreads, (h, P, B)."""
        copies = self.copies
        if self.smoothed is None:
            reward = copies.problem.reward(copies.policy.codec.decode(taken)) / self.spread
        else:
            reward = self.smoothed(taken, copies.generator)
        return copies.by_copy(reward)

    def _starts(self, steps: int) -> Start:
        """Each variant's branches side by side."""
        copies, starts = self.copies, self.copies.problem.starts
        each = copies.branches // len(self.variants)
        plain = replace(starts, wide=0.0)
        parts = [
            (starts if variant.wide else plain).draw(each, steps, copies.generator)
            for variant in self.variants
        ]
        return Start.joined(parts)
