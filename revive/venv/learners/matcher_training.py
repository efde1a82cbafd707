"""Matchers in training: rollouts beside the logged rows that they began with, and rollouts of earlier iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypedDict, get_args

import torch
from torch import Tensor, nn

from revive.errors import Problem, UserError, suggestion
from revive.venv.learners.episodes import Episodes
from revive.venv.learners.matching import Matchers, energy, groups_of, known_windows
from revive.venv.problem import VenvProblem

MatcherBackbone = Literal["mlp", "residual", "gru", "lstm", "transformer"]
BACKBONES: Final[tuple[str, ...]] = get_args(MatcherBackbone)


class MatcherArguments(TypedDict):
    """What matchers are and how they learn; the meanings are those of `MatcherTraining`."""

    matchers: Sequence[Sequence[str]] | None
    hidden: Sequence[int]
    matcher_backbone: MatcherBackbone
    matcher_window: int
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
        hidden: layers of matchers. matcher_backbone: their kind. matcher_window: steps that those over time see.
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
        matcher_backbone: MatcherBackbone,
        matcher_window: int,
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
        groups = groups_of(problem, matchers)
        self.nets = Matchers(problem, groups, hidden, _backbone(matcher_backbone), _window(matcher_window))
        self.replayed: list[list[Tensor]] = []

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.nets.parameters(), lr=self.lr, betas=(0.5, 0.9), fused=True)

    def update(self, episodes: Episodes, optimizer: Any, rng: torch.Generator) -> Tensor:
        """Teach the matchers; how well they told rollouts from logs before, (M,)."""
        real, fake = (self.nets.seen(part) for part in (episodes.data, episodes.rolled))
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
        real, fake = (self.nets.seen(part) for part in (episodes.data, episodes.rolled))
        return energy(real, fake, self._known(episodes)).nan_to_num(10.0).clamp(0.0, 10.0)

    def _known(self, episodes: Episodes) -> list[Tensor]:
        inside, window = (episodes.index, episodes.valid), self.nets.window
        return [known_windows(self.problem, group, *inside, window) for group in self.nets.groups]


def _backbone(asked: str) -> MatcherBackbone:
    """Raises UserError for a kind of matcher that there is not."""
    if asked not in BACKBONES:
        what = f"there are no matchers of the kind '{asked}'"
        remedy = suggestion(str(asked), BACKBONES)
        raise UserError(Problem(what, place="venv.learner.matcher_backbone", remedy=remedy))
    return asked  # type: ignore[return-value]


def _window(steps: int) -> int:
    """Raises UserError where a matcher would see nothing."""
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        what = f"matchers see at least one step, not {steps!r}"
        raise UserError(Problem(what, place="venv.learner.matcher_window", remedy="2 or more"))
    return steps
