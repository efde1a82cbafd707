"""What the multi-step learner does next: rounds at one step that double, a network that grows, then longer rollouts.

Nodes that rollouts do not test go on alone as long as that helps. Where readings are noisy, filters take the place of
rollouts.

A `Course` decides from what was judged alone, so that a run which is resumed takes the same way. It holds plain JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from revive.errors import Problem, UserError

FEWEST = 30  # updates that a venv can be trained with at all
REPEAT, REPEATS = 0.05, 2  # a multi-step stage that lowers the error by more is done again, so often
REFILTER, REFILTERS = 0.02, 4  # the same of a filter stage
ROUNDS, ALONE, CURRICULUM, END = range(4)  # phases
MOST_ALONE = 3  # rounds
HARDLY = 0.15  # a long multi-step stage that helps no larger share of the members is the last one


@dataclass(frozen=True)
class Stage:
    """So many updates at one loss horizon with hidden layers of these widths; the step size falls as a cosine.

    filtered: over windows of that many steps, each predicted from all readings before it. alone: of those nodes only
    that rollouts do not test.
    """

    horizon: int
    updates: int
    lr: float
    hidden: tuple[int, ...]
    filtered: bool = False
    alone: bool = False

    @property
    def is_round(self) -> bool:
        """Whether it is one of the one-step rounds of all nodes."""
        return self.horizon == 1 and not self.alone

    def step_size(self, update: int) -> float:
        """A cosine from `lr` to zero, after a short rise: Adam's first steps are as long as later ones."""
        rise = min(20, self.updates // 10)
        risen = min(1.0, (update + 1) / (rise + 1))
        return self.lr * risen * 0.5 * (1.0 + math.cos(math.pi * update / self.updates))


@dataclass(frozen=True)
class Tried:
    """What a stage was and did.

    fall: share of the held-out error that went. kept: share of the members that it helped. stays: False where a
    wider network, or a filter, was given up again.
    """

    horizon: int
    hidden: list[int]
    updates: int
    error: float
    fall: float
    kept: float
    stays: bool
    filtered: bool = False
    alone: bool = False


@dataclass
class Course:
    """The stages that may come, and the way through them.

    rounds: of one step, as they follow each other. curriculum: multi-step stages. filters: what comes in their place
    where readings are noisy; None for nothing. budget: updates in all.
    least_fall: a round that lowers the held-out error by a smaller share is the last one, but for the first round.
    """

    rounds: Sequence[Stage]
    curriculum: Sequence[Stage]
    filters: Stage | None
    budget: int
    least_fall: float
    tried: list[Tried] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    place: tuple[int, int] = (ROUNDS, 0)  # the phase, and which of its stages
    repeated: int = 0

    def __post_init__(self) -> None:
        if self.budget < FEWEST:
            what = f"{self.budget} updates are too few to train anything"
            raise UserError(Problem(what, place="venv.budget", remedy=f"at least {FEWEST}"))

    @property
    def spent(self) -> int:
        return sum(entry.updates for entry in self.tried)

    @property
    def hidden(self) -> tuple[int, ...]:
        """The widths that the rounds ended with, or are at."""
        kept = [entry for entry in self.tried if entry.stays]
        return tuple(kept[-1].hidden) if kept else self.rounds[0].hidden

    @property
    def stage(self) -> Stage | None:
        """What is to be done now, cut to what the budget leaves; None at the end."""
        phase, which = self.place
        if phase == END:
            return None
        if phase == ROUNDS:
            planned = self.rounds[which]
        elif phase == ALONE:
            last = self._last_round()
            planned = replace(last, updates=last.updates * 2 ** (which + 1), hidden=self.hidden, alone=True)
        else:
            planned = replace(self.curriculum[which], hidden=self.hidden)
        return replace(planned, updates=min(planned.updates, self._left(phase)))

    def _last_round(self) -> Stage:
        made = sum(entry.horizon == 1 and not entry.alone for entry in self.tried)
        return self.rounds[made - 1]

    def most_updates(self) -> list[int]:
        """The updates of all stages that there can be."""
        wanted = [s.updates for s in self.rounds]
        wanted += [wanted[-1] * 2 ** (i + 1) for i in range(MOST_ALONE)]
        rollouts = [s.updates for s in self.curriculum for _ in range(1 + REPEATS)]
        filters = [] if self.filters is None else [self.filters.updates] * (1 + REFILTERS)
        wanted += max(rollouts, filters, key=sum)
        found, left = [], self.budget
        for updates in wanted:
            found.append(min(updates, left))
            left -= found[-1]
        return [updates for updates in found if updates]

    def note(
        self,
        stage: Stage,
        *,
        error: float,
        fall: float,
        kept: float,
        widened: bool,
        alone: bool = False,
        farther: bool = True,
    ) -> bool:
        """Take down how a stage went, and move on; whether what it did may stay.

        alone: whether nodes that rollouts do not test still get better. A wider network is given up again where it
        lowered the error by less than `least_fall`. farther: False where rollouts got no better behind filters, which
        are given up then, and that is the end.
        """
        enough = fall >= self.least_fall
        stays = farther and (enough or not (stage.is_round and widened))
        figures = {"error": round(error, 4), "fall": round(fall, 4), "kept": round(kept, 3)}
        self.tried.append(
            Tried(
                horizon=stage.horizon,
                hidden=list(stage.hidden),
                updates=stage.updates,
                stays=stays,
                filtered=stage.filtered,
                alone=stage.alone,
                **figures,
            )
        )
        if farther:
            self._move_on(stage, fall, kept, enough, alone)
        else:
            self.tried = [replace(entry, stays=entry.stays and not entry.filtered) for entry in self.tried]
            self.end("readings are noisy, but what filtered them rolled out no better and was given up")
        return stays

    def filter(self) -> None:
        """Readings are noisy: filters are what follows, and not rollouts."""
        if self.filters is not None and self.place == (CURRICULUM, 0):
            self.curriculum = [self.filters]

    def end(self, reason: str) -> None:
        """Nothing more is to be done."""
        self.reasons.append(reason)
        self.place = (END, 0)

    def _move_on(self, stage: Stage, fall: float, kept: float, enough: bool, alone: bool) -> None:
        phase, which = self.place
        if phase == ROUNDS:
            self._after_round(which, fall, enough)
            if self.place[0] != ROUNDS and alone and self._left(ALONE) >= 1:
                self.place = (ALONE, 0)
        elif phase == ALONE:
            goes_on = alone and which + 1 < MOST_ALONE and self._left(ALONE) >= 1
            self.place = (ALONE, which + 1) if goes_on else self._past_rounds()
        else:
            self._after_multi_step(stage, which, fall, kept)
        if self.place[0] == CURRICULUM and self._left(CURRICULUM) < 1:
            self.end("the budget of updates was spent")

    def _past_rounds(self) -> tuple[int, int]:
        return (CURRICULUM, 0) if self.curriculum else (END, 0)

    def _after_round(self, which: int, fall: float, enough: bool) -> None:
        last = which + 1 == len(self.rounds)
        if (
            (enough or which == 0) and not last and self._left(ROUNDS) >= 1
        ):  # the first network may be too small
            self.place = (ROUNDS, which + 1)
            return
        if not enough:
            lowered = f"lowered the held-out error by {100.0 * fall:.2g}%"
            did = lowered if fall > 0 else "did not lower the held-out error"
            why = f"the last one {did}, wanted is {self.least_fall:.0%}"
        else:
            why = "that was as many as there may be" if last else "the budget of updates left no more"
        self.reasons.append(f"one-step rounds ended after {which + 1}: {why}")
        self.place = self._past_rounds()

    def _after_multi_step(self, stage: Stage, which: int, fall: float, kept: float) -> None:
        least, most = (REFILTER, REFILTERS) if stage.filtered else (REPEAT, REPEATS)
        if fall > least and self.repeated < most:
            self.repeated += 1
            return
        self.repeated = 0
        if stage.filtered:
            self.end("readings are noisy, and filtering them better helped no more")
        elif which + 1 == len(self.curriculum):
            self.end("the longest rollouts were learned from")
        elif kept <= HARDLY and stage.horizon >= 20:
            self.end(f"rollouts of {stage.horizon} steps helped hardly any member")
        else:
            self.place = (CURRICULUM, which + 1)

    def _left(self, phase: int) -> int:
        """Updates that a phase may spend: rounds leave the curriculum its share, a third of all at most."""
        reserve = 0
        if phase != CURRICULUM:
            reserve = min(sum(s.updates for s in self.curriculum), self.budget // 3)
        return self.budget - reserve - self.spent

    def summary(self) -> dict[str, Any]:
        """What was tried and why it ended, as plain JSON."""
        return {
            "tried": [asdict(entry) for entry in self.tried],
            "updates": self.spent,
            "hidden": list(self.hidden),
            "stopped": "; ".join(self.reasons),
        }

    def state(self) -> dict[str, Any]:
        """All that changes, for a checkpoint."""
        return {
            "tried": [asdict(entry) for entry in self.tried],
            "reasons": list(self.reasons),
            "place": list(self.place),
            "repeated": self.repeated,
            "filtering": [stage.filtered for stage in self.curriculum] == [True],
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.tried = [Tried(**entry) for entry in state["tried"]]
        self.reasons = list(state["reasons"])
        if state["filtering"] and self.filters is not None:
            self.curriculum = [self.filters]
        first, second = state["place"]
        self.place, self.repeated = (first, second), state["repeated"]


def planned(
    *,
    widths: Sequence[tuple[int, ...]],
    one_step_updates: int,
    lr: float,
    curriculum: Sequence[Sequence[int]],
    multi_step_lr: float,
    filters: tuple[int, int, float],
    longest: int,
    budget: int,
    least_fall: float,
) -> Course:
    """Rounds of these widths, each twice as long as the one before, then the curriculum, or filters.

    filters: steps of their windows, updates, step size.
    longest: steps of the longest trajectory; longer rollouts would only add padding, so that they are cut to it.
    """
    if one_step_updates < 1:
        raise UserError(Problem("must be at least 1", place="venv.learner.one_step_updates"))
    rounds = [Stage(1, one_step_updates * 2**i, lr, hidden) for i, hidden in enumerate(widths)]
    stages: dict[int, Stage] = {}
    for k, updates in curriculum:
        horizon = min(int(k), longest)
        if updates > 0 and horizon > 1 and horizon not in stages:
            stages[horizon] = Stage(horizon, int(updates), multi_step_lr, ())
    steps, updates, filter_lr = filters
    steps = min(steps, longest)
    filtering = Stage(steps, updates, filter_lr, (), filtered=True) if updates > 0 and steps > 3 else None
    return Course(rounds, list(stages.values()), filtering, budget, least_fall)
