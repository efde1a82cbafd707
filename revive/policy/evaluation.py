"""What a policy is worth in the virtual environments: rollouts from logged states, member by member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.reward import Reward
from revive.venv.virtual_env import Actor, VirtualEnv


@dataclass(frozen=True)
class TestBed:
    """Fixed starts and noise, so that all that is compared meets the same luck (common random numbers).

    Every half's members start from, and replay the exogenous values of, that half's own rows.
    """

    __test__ = False

    venv: VirtualEnv
    rows: Rows
    reward: Reward
    start: dict[str, Tensor]
    given: dict[str, Tensor]
    noise: dict[str, Tensor]
    horizon: int

    @classmethod
    def make(
        cls, venv: VirtualEnv, rows: Rows, reward: Reward, *, starts: int, horizon: int, seed: int
    ) -> TestBed:
        """`starts` branches per half, spread evenly over its rows; each is run through every member of it."""
        generator = torch.Generator().manual_seed(seed)
        per_half = venv.members // venv.halves
        first = torch.cat([_spread(part, starts).expand(per_half, -1) for part in rows.parts])  # (M, B)
        index = rows.reflected(first, horizon)
        given = rows.at(index, venv.graph.exogenous)
        start = rows.at(first, venv.graph.states)
        noise = {
            name: torch.randn(horizon, 1, starts, venv.graph[name].width, generator=generator).expand(
                -1, venv.members, -1, -1
            )
            for name in venv.graph.learned
        }
        return cls(venv, rows, reward, start, given, noise, horizon)

    @torch.no_grad()
    def rewards(self, actor: Actor | None, replaced: Sequence[str] = ()) -> Tensor:
        """Mean reward per step of every branch, (M, B); without an actor the behaviour policy acts."""
        noise = {name: eps for name, eps in self.noise.items() if actor is None or name != actor.node}
        rolled = self.venv.rollout(self.start, self.given, self.horizon, actor=actor, noise=noise)
        return self.reward(self.venv.codec.decode(rolled)).mean(0)


def _spread(part: range, count: int) -> Tensor:
    return torch.linspace(part.start, part.stop - 1, count + 1)[:-1].long()


def pessimistic_score(per_member: Tensor, caution: float = 1.0) -> Tensor:
    """`S = mean_m J_m - c * std_m J_m` over the last axis, the members of the half that judges."""
    return per_member.mean(-1) - caution * per_member.std(-1, unbiased=False)
