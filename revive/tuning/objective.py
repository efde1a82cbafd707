"""What is maximised: the reward per step of a candidate, over starts and members.

    F(p) = mean over halves of (mean_m J_m(p) - caution * std_m J_m(p)),   J_m = mean reward per step of member m

with J negated where the smallest reward is looked for. All candidates meet the same starts and noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from revive.tuning.rollout import segments
from revive.tuning.scene import Scene
from revive.tuning.space import Space
from revive.venv.virtual_env import Actor, VirtualEnv

Direction = Literal["max", "min"]
RewardFunction = Callable[[Mapping[str, Tensor]], Tensor]
CELLS = 1_000_000  # steps x members x branches that are rolled out at once
CELLS_WITH_GRADIENT = 200_000
NO_SPREAD = 1e-16  # a variance below it is rounding


@dataclass
class Objective:
    """Judges points of a space in one scene, counts them, and tells `progress` how many it has judged."""

    venv: VirtualEnv
    reward: RewardFunction
    space: Space
    scene: Scene
    direction: Direction
    caution: float = 0.0
    actor: Actor | None = None
    judged: int = 0
    progress: Callable[[int], None] = lambda judged: None

    def on(self, scene: Scene) -> Objective:
        """The same question, asked elsewhere."""
        return replace(self, scene=scene, judged=0, progress=lambda judged: None)

    @torch.no_grad()
    def rewards(self, points: Tensor) -> Tensor:
        """Points (P, D) -> the mean reward per step of every branch, (P, M, S), as the user defined it."""
        self._count(len(points))
        parts = points.split(self._at_once(self.scene.horizon, CELLS))
        return torch.cat([self._mean(part) for part in parts])

    def values(self, points: Tensor) -> Tensor:
        """Points (P, D) -> F (P,), larger is better."""
        return self.score(self.rewards(points))

    def score(self, rewards: Tensor) -> Tensor:
        """(P, M, S) -> F (P,)."""
        sign = 1.0 if self.direction == "max" else -1.0
        per_member = (sign * rewards).mean(-1).unflatten(-1, (self.venv.halves, -1))  # (P, H, M/H)
        spread = per_member.var(-1, unbiased=False).clamp_min(NO_SPREAD).sqrt() - NO_SPREAD**0.5
        return (per_member.mean(-1) - self.caution * spread).mean(-1)

    def gradient(self, points: Tensor, segment: int) -> tuple[Tensor, Tensor]:
        """Points (P, D) -> F (P,) and dF/dpoints (P, D), cut off between segments of so many steps.

        The gradient is zero where the reward does not follow the point in a way that autograd sees.
        """
        self._count(len(points))
        parts = points.split(self._at_once(min(segment, self.scene.horizon), CELLS_WITH_GRADIENT))
        values, slopes = zip(*(self._gradient(part, segment) for part in parts), strict=True)
        return torch.cat(values), torch.cat(slopes)

    def _count(self, points: int) -> None:
        self.judged += points
        self.progress(self.judged)

    def _at_once(self, steps: int, cells: int) -> int:
        return max(1, cells // (steps * self.venv.members * self.scene.branches))

    def _gradient(self, points: Tensor, segment: int) -> tuple[Tensor, Tensor]:
        mean = torch.zeros(len(points), self.venv.members, self.scene.branches, dtype=torch.float64)
        if self.caution:  # how much a member counts depends on where all of them are
            mean = self._mean(points)
        mean.requires_grad_()
        (weight,) = torch.autograd.grad(self.score(mean).sum(), mean)  # dF/dJ of every branch
        points = points.detach().requires_grad_()
        slope, total = torch.zeros_like(points), torch.zeros_like(weight)
        for part in self._sums(points, segment):
            total += part.detach() / self.scene.horizon
            if part.requires_grad:
                loss = (part * weight).sum() / self.scene.horizon
                (found,) = torch.autograd.grad(loss, points, retain_graph=True, allow_unused=True)
                slope += 0.0 if found is None else found
        return self.score(total), slope

    @torch.no_grad()
    def _mean(self, points: Tensor) -> Tensor:
        (total,) = self._sums(points, None)
        return total / self.scene.horizon

    def _sums(self, points: Tensor, segment: int | None) -> Iterator[Tensor]:
        """The reward summed over every segment, (P, M, S) float64; steps behind an end count as zero."""
        codec = (self.actor.codec if self.actor else None) or self.venv.codec
        tuned = {name: self.venv.codec[name].encode(v) for name, v in self.space.physical(points).items()}
        going: Tensor | None = None
        for rolled in segments(self.venv, self.scene, tuned, self.actor, segment):
            rewards, alive = self.reward(codec.decode(rolled)).double(), self.venv.alive(rolled)
            if alive is not None:
                alive = alive if going is None else alive * going
                rewards, going = rewards * alive[:-1], alive[-1]
            yield rewards.sum(0).unflatten(-1, (len(points), -1)).transpose(0, 1)  # (P, M, S)
