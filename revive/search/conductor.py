"""What a search does next, wherever its trials run: propose, hear reports, try the best again, choose."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from revive.runs import Stopped
from revive.search.samplers import Curve, Outcome, Sampler
from revive.search.trials import CHECKPOINT, Order, Report, Trial, TrialBook

DONE: Literal["done"] = "done"


class SearchFailed(RuntimeError):
    """Every trial of a search failed."""


@dataclass(frozen=True)
class Plan:
    """How much is tried.

    trials: settings that are tried. concurrency: trials at once. budget: seconds after which no new setting is
    tried. retrain: how many of the best are trained again, on `seeds` fresh seeds each.
    """

    trials: int
    concurrency: int = 1
    budget: float | None = None
    retrain: int = 2
    seeds: int = 2

    @property
    def most(self) -> int:
        """No search has more trials than this."""
        return self.trials + self.retrain * self.seeds


class Observer(Protocol):
    """Is told what becomes of trials, once the book says so."""

    def began(self, trial: Trial, again: bool) -> None:
        """A trial is handed out; `again`: one that an earlier command left running."""

    def heard(self, trial: Trial) -> None:
        """A trial has come further."""

    def ended(self, trial: Trial) -> None:
        """A trial is over."""


class Unobserved:
    """Nobody wants to know."""

    def began(self, trial: Trial, again: bool) -> None: ...

    def heard(self, trial: Trial) -> None: ...

    def ended(self, trial: Trial) -> None: ...


@dataclass
class Conductor:
    """Hands out trials one by one; knows no runner.

    book: earlier trials in it are kept: finished ones count, running ones are handed out again.
    observer: is told of every trial.
    """

    book: TrialBook
    sampler: Sampler
    plan: Plan
    seed: int
    observer: Observer = field(default_factory=Unobserved)
    stopped: Callable[[], bool] = lambda: False
    _handles: dict[int, int] = field(default_factory=dict)
    _live: dict[int, float] = field(default_factory=dict)
    _again: list[Trial] = field(default_factory=list)
    _exhausted: bool = False
    _retrain: list[tuple[Trial, int]] | None = None

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        for trial in self.book.trials:
            handle = self.sampler.replay(trial.params) if trial.of is None else None
            if trial.state == "running":
                self._again.append(trial)
                if handle is not None:
                    self._handles[trial.id] = handle
            elif handle is not None:
                self.sampler.tell(handle, trial.state, self._curve(trial))

    def next(self) -> Order | Literal["done"] | None:
        """A trial to run; None while the running ones must end first; DONE when there is nothing left."""
        if self.stopped():
            raise Stopped
        if len(self._live) >= self.plan.concurrency:
            return None
        again = bool(self._again)
        trial = self._again.pop(0) if again else self._propose()
        if trial is None and self._live:
            return None
        trial = trial or self._repeat()
        if trial is None:
            return DONE
        self._live[trial.id] = time.monotonic()
        self.observer.began(trial, again)
        return self.book.order(trial)

    def heard(self, number: int, report: Report) -> None:
        """Note how far a running trial is."""
        if self.stopped():
            raise Stopped
        trial = self.book.trials[number]
        if math.isfinite(report.metric):
            trial.metric, trial.se = report.metric, report.se
            if not trial.curve or trial.curve[-1][0] < report.percent:
                trial.curve.append([report.percent, report.metric])
            self.book.save()
            self.observer.heard(trial)

    def ended(
        self, number: int, outcome: Outcome, error: str | None = None, seconds: float | None = None
    ) -> None:
        """Note that a trial is over; one without any finite metric has failed.

        seconds: of the trial itself; by default those since it was handed out.
        """
        trial = self.book.trials[number]
        if outcome == "finished" and trial.metric is None:
            outcome, error = "failed", "it reported no finite metric"
        trial.state, trial.error = outcome, error
        since = self._live.pop(number, time.monotonic())
        trial.seconds = round(time.monotonic() - since if seconds is None else seconds, 2)
        (self.book.order(trial).folder / CHECKPOINT).unlink(missing_ok=True)
        if number in self._handles:
            self.sampler.tell(self._handles.pop(number), outcome, self._curve(trial))
        self.book.save()
        self.observer.ended(trial)

    def choose(self) -> Trial:
        """The trial whose model is taken: of the best params by mean minus one standard error over fresh seeds,
        the best of them.

        Raises SearchFailed where no trial finished; its message is the first error in full.
        """
        chosen = choose(self.book)
        if chosen is None:
            first = next((t.error for t in self.book.trials if t.error), "no trial finished")
            raise SearchFailed(f"all {len(self.book.trials)} trials failed; the first one with:\n{first}")
        self.book.save()
        return chosen

    def _propose(self) -> Trial | None:
        tried = sum(trial.of is None for trial in self.book.trials)
        late = self.plan.budget is not None and time.monotonic() - self._started > self.plan.budget
        if self._exhausted or tried >= self.plan.trials or (late and tried):
            return None
        asked = self.sampler.ask()
        if asked is None:
            self._exhausted = True
            return None
        trial = self.book.add(asked[1], self.seed)
        self._handles[trial.id] = asked[0]
        return trial

    def _repeat(self) -> Trial | None:
        """The next of the best few on a fresh seed; all candidates get the same fresh seeds."""
        if self._retrain is None:
            self._retrain = self._plan_repeats()
        if not self._retrain:
            return None
        of, seed = self._retrain.pop(0)
        return self.book.add(of.params, seed, of.id)

    def _plan_repeats(self) -> list[tuple[Trial, int]]:
        done = [trial for trial in self.book.trials if trial.of is None and trial.state == "finished"]
        if len(done) < 2 or not self.plan.retrain:
            return []
        best = sorted(done, key=self.book.score, reverse=True)[: self.plan.retrain]
        seen = {(trial.of, trial.seed) for trial in self.book.trials if trial.of is not None}
        pairs = [(trial, self.seed + 1 + i) for i in range(self.plan.seeds) for trial in best]
        return [(trial, seed) for trial, seed in pairs if (trial.id, seed) not in seen]

    def _curve(self, trial: Trial) -> Curve:
        return [(int(step), self.book.objective.score(value)) for step, value in trial.curve]


def choose(book: TrialBook) -> Trial | None:
    """See `Conductor.choose`; notes the choice in the book. None where nothing finished."""
    groups: dict[int, list[Trial]] = {}
    for trial in book.trials:
        if trial.of is not None and trial.state == "finished":
            groups.setdefault(trial.of, []).append(trial)
    if not groups:
        best = book.best()
        if best is not None:
            book.chosen = _choice(best, best, best.metric, best.se, 1, None)
        return best
    cautious: dict[int, float] = {}
    for number, repeats in groups.items():
        mean, se = _mean_and_se(repeats)
        cautious[number] = book.objective.score(mean) - se
    number = max(cautious, key=lambda key: cautious[key])
    origin, repeats = book.trials[number], groups[number]
    mean, se = _mean_and_se(repeats)
    best = max(repeats, key=book.score)
    optimism = book.score(origin) - book.objective.score(mean)
    book.chosen = _choice(best, origin, mean, se, len(repeats), optimism)
    return best


def _choice(
    trial: Trial, origin: Trial, mean: float | None, se: float, seeds: int, optimism: float | None
) -> dict[str, Any]:
    return {
        "trial": trial.id,
        "of": origin.id,
        "params": trial.params,
        "mean": mean,
        "se": se,
        "seeds": seeds,
        "optimism": optimism,
    }


def _mean_and_se(trials: list[Trial]) -> tuple[float, float]:
    """Over seeds; the spread within a trial counts too, because two seeds alone say little about it."""
    values = [trial.metric for trial in trials if trial.metric is not None]
    mean = sum(values) / len(values)
    between = sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
    within = sum(trial.se**2 for trial in trials) / len(trials)
    return mean, math.sqrt((between + within) / len(values))
