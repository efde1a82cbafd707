"""Copies that earn less in their own venv than what they started from go back to their best, and step shorter.

While a critic knows little, a few updates may lead out of all that was logged, to where no gradient leads back. A line
search would refuse such steps (Nocedal and Wright 2006, chapter 3); here it is looked at every some iterations, on
fixed starts and noise, so that nothing is drawn and copies that learn well do not notice. A copy that was taken back
waits while its critic learns on, then takes shorter steps, and longer ones again as it gets better.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from revive.policy.evaluation import mean_reward
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem

MARGIN = 0.5  # spreads of the logged reward per step that a copy may lose; see docs/decisions.md
SHORTER = 0.5  # what steps are multiplied by when a copy is taken back,
LONGER = 1.5  # and when it then is better than ever
WAIT = 2  # checks until it moves again


class Backtracking:
    """Judges a policy's copies and takes back those that have fallen.

    share: (P,) of the usual step that each copy takes next; 0 while it waits. fallen: (P,) how often it was taken back.
    """

    def __init__(self, problem: PolicyProblem, policy: Policy) -> None:
        self.policy, self.world = policy, problem.evaluation.repeated(policy.variants)
        self.best = self._values()
        self.least = self.best - MARGIN * problem.reward_spread
        self.kept = [p.detach().clone() for p in policy.net.parameters()]
        self._length = torch.ones_like(self.best)
        self._wait = torch.zeros_like(self.best)
        self.fallen = torch.zeros_like(self.best)

    @property
    def share(self) -> Tensor:
        return torch.where(self._wait > 0, 0.0, self._length)

    @torch.no_grad()
    def check(self, optimizer: torch.optim.Optimizer) -> None:
        """Take back what is below its start, note what is better than ever. optimizer: loses its momentum there."""
        value = self._values()
        fell = ~(value >= self.least)  # what is no number has fallen, too
        better = value > self.best
        self.best = torch.where(better, value, self.best)
        longer = torch.where(better, self._length * LONGER, self._length).clamp_max(1.0)
        self._length = torch.where(fell, self._length * SHORTER, longer)
        self._wait = torch.where(fell, float(WAIT), (self._wait - 1.0).clamp_min(0.0))
        self.fallen += fell
        for p, kept in zip(self.policy.net.parameters(), self.kept, strict=True):
            kept[better] = p[better]
            p[fell] = kept[fell]
            momentum = optimizer.state.get(p, {}).get("exp_avg")
            if momentum is not None:
                momentum[fell] = 0.0

    @torch.no_grad()
    def _values(self) -> Tensor:
        """The mean reward per step of every copy in the venv that it learns in, (P,), as it acts without exploring."""
        actor, world, variants = self.policy.actor(), self.world, self.policy.variants
        reward = mean_reward(world.venv, world.reward, world.roll(actor), actor)  # (M, V * B)
        by_copy = reward.reshape(world.venv.halves, -1, variants, reward.shape[-1] // variants)
        return by_copy.mean((1, 3)).flatten()

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        moving = {"length": self._length, "wait": self._wait, "fallen": self.fallen}
        return {"best": self.best, "kept": self.kept, **moving}

    def load(self, state: dict[str, Any]) -> None:
        """As `state` gave it."""
        self.best, self.kept = state["best"], list(state["kept"])
        self._length, self._wait, self.fallen = state["length"], state["wait"], state["fallen"]
