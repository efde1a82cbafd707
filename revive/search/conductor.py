"""What a search does next, wherever its trials run: propose, hear reports, try the best again, choose."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from revive.errors import RunFailed
from revive.runs import Stopped
from revive.search.choice import choose
from revive.search.samplers import Outcome
from revive.search.trials import ALL, CHECKPOINT, Order, Report, Trial, TrialBook

DONE: Literal["done"] = "done"


class SearchFailed(RunFailed):
    """Every trial of a search failed."""


@dataclass(frozen=True)
class Plan:
    """How much is tried.

    concurrency: trials at once. budget: seconds after which no new setting is tried. retrain: how many of the best are
    trained again, on `seeds` fresh seeds each.
    """

    concurrency: int = 1
    budget: float | None = None
    retrain: int = 2
    seeds: int = 2


class Course(Protocol):
    """Which settings are tried, and how far each is trained before others are looked at.

    most: orders, at most, that it gives. All that it knows it reads from the book, so that it can be gone on with.
    """

    most: int

    def next(self, live: bool, late: bool) -> tuple[Trial, int] | None:
        """A trial and the percent to train it to; None where nothing is to be done, as long as others run (`live`) or
        at all. late: no new settings."""

    def paused(self, trial: Trial) -> None:
        """A trial came as far as it was to."""

    def ended(self, trial: Trial) -> None:
        """A trial is over."""


class Observer(Protocol):
    """Is told what becomes of trials, once the book says so."""

    def began(self, trial: Trial, again: bool) -> None:
        """A trial is handed out; `again`: one that an earlier command left running."""

    def heard(self, trial: Trial) -> None:
        """A trial has come further."""

    def died(self, trial: Trial) -> None:
        """The worker of a trial died; the trial is tried again."""

    def ended(self, trial: Trial) -> None:
        """A trial is over."""


class Unobserved:
    """Nobody wants to know."""

    def began(self, trial: Trial, again: bool) -> None: ...

    def heard(self, trial: Trial) -> None: ...

    def died(self, trial: Trial) -> None: ...

    def ended(self, trial: Trial) -> None: ...


@dataclass
class Conductor:
    """Hands out trials one by one; knows no runner.

    book: earlier trials in it are kept: finished ones count, running ones are handed out again.
    observer: is told of every trial.
    """

    book: TrialBook
    course: Course
    plan: Plan
    seed: int
    observer: Observer = field(default_factory=Unobserved)
    stopped: Callable[[], bool] = lambda: False
    _live: dict[int, tuple[float, int]] = field(default_factory=dict)
    _handed: set[int] = field(default_factory=set)
    _again: list[Trial] = field(default_factory=list)
    _repeats: list[tuple[Trial, int]] | None = None

    def __post_init__(self) -> None:
        spent = sum(trial.seconds for trial in self.book.trials) / self.plan.concurrency
        self._started = time.monotonic() - spent  # the budget is that of the search, not of a command
        self._before = {trial.id for trial in self.book.trials}
        for trial in self.book.trials:
            if trial.state not in ("running", "waiting"):
                self._forget_checkpoint(trial)
        # What was running and follows a course of its own is handed out by that.
        self._again = [t for t in self.book.trials if t.state == "running" and t.of is not None]

    @property
    def most(self) -> int:
        """It hands out no more orders than this."""
        return self.course.most + len(self._again) + self.plan.retrain * self.plan.seeds

    def next(self) -> Order | Literal["done"] | None:
        """A trial to run; None while the running ones must end first; DONE when there is nothing left."""
        if self.stopped():
            raise Stopped
        if len(self._live) >= self.plan.concurrency:
            return None
        late = self.plan.budget is not None and time.monotonic() - self._started > self.plan.budget
        found = (self._again.pop(0), ALL) if self._again else self.course.next(bool(self._live), late)
        if found is None:
            if self._repeats is None and self._live:
                return None  # which ones are the best is known when all are through
            repeat = self._repeat()
            if repeat is None:
                return None if self._live else DONE
            found = (repeat, ALL)
        trial, until = found
        trial.state = "running"
        self._live[trial.id] = (time.monotonic(), until)
        self.observer.began(trial, trial.id in self._before | self._handed)
        self._handed.add(trial.id)
        return self.book.order(trial, until)

    def heard(self, number: int, report: Report) -> None:
        """Note how far a running trial is."""
        if self.stopped():
            raise Stopped
        trial = self.book.trials[number]
        if math.isfinite(report.metric):
            trial.metric, trial.se, trial.where = report.metric, report.se, report.where
            if not trial.curve or trial.curve[-1][0] < report.percent:
                trial.curve.append([report.percent, report.metric])
            self.book.save()
            self.observer.heard(trial)

    def died(self, number: int) -> None:
        """Note that the worker of a trial died, which is handed to another one."""
        self.observer.died(self.book.trials[number])

    def ended(
        self, number: int, outcome: Outcome, error: str | None = None, seconds: float | None = None
    ) -> None:
        """Note that a trial did as it was told; one without any finite metric has failed.

        seconds: of the trial itself; by default those since it was handed out.
        """
        trial = self.book.trials[number]
        since, until = self._live.pop(number, (time.monotonic(), ALL))
        trial.seconds = round(trial.seconds + (time.monotonic() - since if seconds is None else seconds), 2)
        if outcome == "finished" and until < ALL:
            trial.state, trial.reached = "waiting", until
            self.course.paused(trial)
            self.book.save()
            return
        if outcome == "finished" and trial.metric is None:
            outcome, error = "failed", "it reported no finite metric"
        trial.state, trial.error = outcome, error
        if trial.of is None:
            self.course.ended(trial)
        self.book.save()
        self._forget_checkpoint(trial)
        self.observer.ended(trial)

    def choose(self) -> Trial:
        """The trial whose model is taken, see `choice.choose`.

        Raises SearchFailed where no trial finished; its message is the first error in full.
        """
        chosen = choose(self.book)
        if chosen is None:
            first = next((t.error for t in self.book.trials if t.error), "no trial finished")
            raise SearchFailed(f"all {len(self.book.trials)} trials failed; the first one with:\n{first}")
        self.book.save()
        return chosen

    def _forget_checkpoint(self, trial: Trial) -> None:
        """Only once the book says that a trial is over: before, it may have to be gone on with."""
        (self.book.order(trial).folder / CHECKPOINT).unlink(missing_ok=True)

    def _repeat(self) -> Trial | None:
        """The next of the best few on a fresh seed; all candidates get the same fresh seeds."""
        if self._repeats is None:
            self._repeats = self._plan_repeats()
        if not self._repeats:
            return None
        of, seed = self._repeats.pop(0)
        return self.book.add(of.params, seed, of)

    def _rank(self, trial: Trial) -> tuple[float, float]:
        return trial.curve[-1][0] if trial.curve else 0.0, self.book.score(trial)

    def _plan_repeats(self) -> list[tuple[Trial, int]]:
        tried = self.book.originals("finished", "pruned")
        if len(tried) < 2 or not self.plan.retrain:
            return []
        # Pruned early on the word of few others, a trial may still be among the best: those that came furthest first.
        best = sorted(tried, key=self._rank, reverse=True)[: self.plan.retrain]
        seen = {(trial.of, trial.seed) for trial in self.book.trials if trial.of is not None}
        pairs = [(trial, self.seed + 1 + i) for i in range(self.plan.seeds) for trial in best]
        return [(trial, seed) for trial, seed in pairs if (trial.id, seed) not in seen]
