"""Population based training (Jaderberg et al. 2017, arXiv:1711.09846), synchronous.

All trials are trained to the next exchange. There the worst of them go on from the checkpoints of the best, with
values that are changed a little; then all go on. A trial so has a schedule of values, which is what a fresh seed
repeats. Everything is read from the book of trials, and chance depends on seed and percent alone, so that a search
which was killed goes on as if it had not been.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from revive.errors import Problem, Problems
from revive.search.domains import Domain
from revive.search.samplers import Sampler
from revive.search.trials import ALL, Trial, TrialBook, at

RESAMPLED = 0.25  # share of the values that are drawn anew instead of moved
# What the checkpoint of another trial cannot be gone on with.
_FIXED = ("chunk", "one_step_updates", "iterations", "warm_up", "judge_every")


def check_space(space: Mapping[str, Domain], section: str) -> Problems:
    """What cannot change while a trial is under way."""
    problems = Problems()
    for key in space:
        name = key.rpartition(".")[2]
        if not key.startswith("learner.") or name in _FIXED:
            what = "cannot change while a trial is trained, as search=pbt does"
            remedy = f"take it out: ~{section}.space.{key}; or search=optuna"
            problems.append(Problem(what, place=f"{section}.space.{key}", remedy=remedy))
    return problems


class Population:
    """`size` trials that are trained together; a `Course`.

    interval: percent of the training between two exchanges. quantile: share of the trials that are replaced.
    """

    def __init__(
        self,
        book: TrialBook,
        space: Mapping[str, Domain],
        sampler: Sampler,
        size: int,
        seed: int,
        *,
        interval: int,
        quantile: float,
    ) -> None:
        self.book, self.space, self.sampler, self.size, self.seed = book, space, sampler, size, seed
        self.quantile = quantile
        self.levels = [*range(interval, ALL, interval), ALL]
        self.most = size * len(self.levels)
        self._handed: set[int] = set()
        for trial in book.originals():
            trial.schedule = trial.schedule or [[0, trial.params]]
            sampler.replay(trial.schedule[0][1])

    def next(self, live: bool, late: bool) -> tuple[Trial, int] | None:
        """A trial of the present level that was not handed out yet, after the exchange where all have reached it."""
        found = self._of_level() or self._new(late)
        if found is not None or live:
            return self._handed_out(found)
        going = self.book.originals("running", "waiting")
        if not going:
            self._forget(ALL)
            return None
        level = min(trial.reached for trial in going)
        if not late:
            self._exchange(level, going)
        for trial in going:
            trial.state = "running"
        self.book.save()
        self._forget(level)
        return self._handed_out(self._of_level())

    def paused(self, trial: Trial) -> None:
        """It waits for the others, its checkpoint beside it."""
        self._handed.discard(trial.id)
        trial.start = f"{trial.name}/{at(trial.reached)}"

    def ended(self, trial: Trial) -> None:
        """Its checkpoint stays: others may go on from it."""
        self._handed.discard(trial.id)

    def _of_level(self) -> Trial | None:
        """A trial that is to run and does not yet."""
        running = (t for t in self.book.originals("running") if t.id not in self._handed)
        return next(running, None)

    def _new(self, late: bool) -> Trial | None:
        begun = len(self.book.originals())
        if begun >= self.size or (late and begun):
            return None
        asked = self.sampler.ask()
        if asked is None:
            return None
        trial = self.book.add(asked[1], self.seed)
        trial.schedule = [[0, trial.params]]
        self.book.save()
        return trial

    def _handed_out(self, trial: Trial | None) -> tuple[Trial, int] | None:
        if trial is None:
            return None
        self._handed.add(trial.id)
        return trial, next(level for level in self.levels if level > trial.reached)

    def _exchange(self, level: int, going: list[Trial]) -> None:
        """The worst take over from the best; the book is written once all have."""
        ranked = sorted(going, key=self.book.score)
        count = int(self.quantile * len(ranked)) or int(len(ranked) > 1)
        generator = random.Random(f"{self.seed} {level}")
        best = ranked[-count:]
        for trial in ranked[:count]:
            donor = generator.choice(best)
            trial.params = self._moved(donor.params, generator)
            trial.schedule = [*(donor.schedule or []), [level, trial.params]]
            trial.parent, trial.start = donor.id, donor.start
            trial.metric, trial.se = donor.metric, donor.se

    def _moved(self, params: Mapping[str, Any], generator: random.Random) -> dict[str, Any]:
        return {
            key: domain.draw(generator)
            if generator.random() < RESAMPLED
            else domain.moved(params[key], generator)
            for key, domain in self.space.items()
        }

    def _forget(self, level: int) -> None:
        """Remove the checkpoints of earlier levels."""
        for trial in self.book.originals():
            for file in (self.book.folder / trial.name).glob("at_*.ckpt"):
                if file.name < at(level):
                    file.unlink(missing_ok=True)
