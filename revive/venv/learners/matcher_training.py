"""Matchers in training: rollouts beside the logged rows that they began with, and rollouts of earlier iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from revive.venv.learners.episodes import Episodes
from revive.venv.learners.matching import Matchers, energy, flat, groups_of, known_rows
from revive.venv.problem import VenvProblem


class MatcherArguments(TypedDict):
    """What matchers are and how they learn; the meanings are those of `MatcherTraining`."""

    matchers: Sequence[Sequence[str]] | None
    hidden: Sequence[int]
    matcher_lr: float
    matcher_steps: int
    batch: int
    penalty: float
    smoothing: float
    replay: int
    pause_below: float


class MatcherTraining(nn.Module):
    """The matchers of all members, and what they learn from.

    Args:
        problem: what is to be learned.
        matchers: nodes that each matcher sees, a list of lists; None for one that sees all of them.
        hidden: layers of matchers.
        matcher_lr, matcher_steps: Adam's step size, and updates for each rollout.
        batch: rows per member of an update.
        penalty: c of the gradient penalty. smoothing: share of logged rows that count as false.
        replay: earlier rollouts of which half of the false rows are taken.
        pause_below: no update of a member whose matchers' loss is smaller.
    """

    def __init__(
        self,
        problem: VenvProblem,
        *,
        matchers: Sequence[Sequence[str]] | None,
        hidden: Sequence[int],
        matcher_lr: float,
        matcher_steps: int,
        batch: int,
        penalty: float,
        smoothing: float,
        replay: int,
        pause_below: float,
    ) -> None:
        super().__init__()
        self.problem, self.lr, self.steps, self.batch = problem, matcher_lr, matcher_steps, batch
        self.penalty, self.smoothing, self.replay, self.pause_below = penalty, smoothing, replay, pause_below
        torch.manual_seed(problem.seed + 1)
        self.nets = Matchers(problem, groups_of(problem, matchers), hidden)
        self.replayed: list[list[Tensor]] = []

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.nets.parameters(), lr=self.lr, betas=(0.5, 0.9), fused=True)

    def update(self, episodes: Episodes, optimizer: Any, rng: torch.Generator) -> Tensor:
        """Teach the matchers; how well they told rollouts from logs before, (M,)."""
        real, fake = (self.nets.features(flat(part)) for part in (episodes.data, episodes.rolled))
        weight = self._known(episodes)
        count, told = real[0].shape[1], None
        for _ in range(self.steps):
            drawn, other = (
                torch.randint(count, (self.batch,), generator=rng, device=rng.device) for _ in range(2)
            )
            made = [self._with_earlier(number, part[:, other], rng) for number, part in enumerate(fake)]
            loss, apart = self.nets.loss(
                [part[:, drawn] for part in real],
                made,
                [part[:, drawn] for part in weight],
                penalty=self.penalty,
                smoothing=self.smoothing,
                generator=rng,
            )
            told = apart if told is None else told
            optimizer.zero_grad(set_to_none=True)  # also what a generator's loss left behind
            (loss * (apart >= self.pause_below)).sum().backward()
            optimizer.step()
        if self.replay:
            part = torch.randint(count, (self.batch,), generator=rng, device=rng.device)
            self.replayed = [*self.replayed, [one[:, part].detach() for one in fake]][-self.replay :]
        assert told is not None
        return told

    def _with_earlier(self, number: int, made: Tensor, rng: torch.Generator) -> Tensor:
        """Half of the rows of earlier rollouts, where there are some: (M, N, F)."""
        if not self.replayed:
            return made
        half = made.shape[1] // 2
        earlier = torch.cat([one[number] for one in self.replayed], dim=1)
        part = torch.randint(earlier.shape[1], (half,), generator=rng, device=rng.device)
        return torch.cat([made[:, half:], earlier[:, part]], dim=1)

    def energy(self, episodes: Episodes) -> Tensor:
        """The energy distance between rollouts and logs in what matchers see, at most 10: (M,)."""
        real, fake = (self.nets.features(flat(part)) for part in (episodes.data, episodes.rolled))
        return energy(real, fake, self._known(episodes)).nan_to_num(10.0).clamp(0.0, 10.0)

    def _known(self, episodes: Episodes) -> list[Tensor]:
        return [known_rows(self.problem, group, episodes.index, episodes.valid) for group in self.nets.groups]
