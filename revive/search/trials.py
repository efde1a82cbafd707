"""The trials of a search, as `trials.json` holds them.

metric, better      what trials are compared by, and whether `min` or `max` of it is good
trials              one entry each: id, params, seed, of (the trial whose params are tried again on a fresh seed,
    or null), state (running, waiting: for the rest of its population, finished, pruned, failed), metric (the last
    value), se, curve ([percent of the training, metric]), seconds, error (text of the traceback, or null), where (the
    machine and its Ray node, or null: in the process of the command); where
    params change on the way also schedule ([from percent on, params]), reached (percent), parent (the trial
    that it last went on from) and start (the checkpoint that it goes on from)
chosen              {trial, params, mean, se, seeds, optimism}, once there is one: `mean` and `se` over the fresh
    seeds; `optimism` is how much better the search thought of these params than the fresh seeds did
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from revive.errors import Problem, UserError
from revive.runs import write_json

State = Literal["running", "waiting", "finished", "pruned", "failed"]
FILE = "trials.json"
CHECKPOINT = "checkpoint.ckpt"  # in the folder of a trial until the book says that it is over
ALL = 100  # percent of a training


@dataclass(frozen=True)
class Objective:
    """What trials are compared by."""

    name: str
    better: Literal["min", "max"]

    def score(self, metric: float) -> float:
        """More is better."""
        return metric if self.better == "max" else -metric


@dataclass
class Trial:
    """One setting of hyper-parameters, or a schedule of several, and what became of it."""

    id: int
    params: dict[str, Any]
    seed: int
    of: int | None = None
    state: State = "running"
    metric: float | None = None
    se: float = 0.0
    curve: list[list[float]] = field(default_factory=list)
    seconds: float = 0.0
    error: str | None = None
    where: str | None = None
    schedule: list[list[Any]] | None = None
    reached: int = 0
    parent: int | None = None
    start: str | None = None

    @property
    def name(self) -> str:
        return f"trial_{self.id:03d}"


@dataclass(frozen=True)
class Leg:
    """A part of a training with one set of values; `until` percent of it."""

    params: dict[str, Any]
    until: int = ALL


@dataclass(frozen=True)
class Order:
    """What a worker is asked to do.

    legs: one after the other; all but the whole training leave their checkpoint as `at(until)`.
    folder: where it leaves its checkpoint and its model. whole: not to be stopped early.
    start: the checkpoint of another moment, or of another trial, to go on from.
    """

    id: int
    legs: tuple[Leg, ...]
    seed: int
    folder: Path
    whole: bool = False
    start: Path | None = None

    @property
    def params(self) -> dict[str, Any]:
        """Those that its model ends with."""
        return self.legs[-1].params

    @property
    def until(self) -> int:
        """Percent of the training that is done when it is."""
        return self.legs[-1].until


def at(percent: int) -> str:
    """The name of a trial's checkpoint between two legs."""
    return f"at_{percent:03d}.ckpt"


@dataclass(frozen=True)
class Report:
    """How far a trial is: percent of its training, the metric so far and its standard error; and where it runs."""

    percent: int
    metric: float
    se: float = 0.0
    where: str | None = None


class TrialBook:
    """The trials of one search, on disk after every change."""

    def __init__(self, folder: Path, objective: Objective) -> None:
        self.folder, self.objective = folder, objective
        self.trials: list[Trial] = []
        self.chosen: dict[str, Any] | None = None
        if (folder / FILE).is_file():
            stored = read_trials(folder)
            self.trials = [Trial(**entry) for entry in stored["trials"]]
            self.chosen = stored.get("chosen")

    def add(self, params: Mapping[str, Any], seed: int, of: Trial | None = None) -> Trial:
        """A new trial, running; with the schedule of the one that it repeats."""
        schedule = of.schedule if of is not None else None
        trial = Trial(len(self.trials), dict(params), seed, of.id if of else None, schedule=schedule)
        self.trials.append(trial)
        self.save()
        return trial

    def order(self, trial: Trial, until: int = ALL) -> Order:
        """What is left of a trial, up to `until` percent."""
        start = None if trial.start is None else self.folder / trial.start
        return Order(
            trial.id, _legs(trial, until), trial.seed, self.folder / trial.name, trial.of is not None, start
        )

    def originals(self, *states: State) -> list[Trial]:
        """The trials that repeat no other one; of some states, or all."""
        return [t for t in self.trials if t.of is None and (not states or t.state in states)]

    def best(self) -> Trial | None:
        """The finished trial with the best metric."""
        done = [trial for trial in self.trials if trial.state == "finished"]
        return max(done, key=self.score, default=None)

    def score(self, trial: Trial) -> float:
        return float("-inf") if trial.metric is None else self.objective.score(trial.metric)

    def save(self) -> None:
        write_json(
            self.folder / FILE,
            {
                "metric": self.objective.name,
                "better": self.objective.better,
                "trials": [asdict(trial) for trial in self.trials],
                "chosen": self.chosen,
            },
        )


def _legs(trial: Trial, until: int) -> tuple[Leg, ...]:
    if trial.schedule is None:
        return (Leg(trial.params, until),)
    ends = [start for start, _ in trial.schedule[1:]] + [ALL]
    legs = [Leg(params, min(end, until)) for (_, params), end in zip(trial.schedule, ends, strict=True)]
    began = [0, *(leg.until for leg in legs)]
    return tuple(
        leg for leg, (a, b) in zip(legs, pairwise(began), strict=True) if trial.reached < b and a < b
    )


def read_trials(folder: Path) -> dict[str, Any]:
    """What a search has written so far. Raises UserError where that cannot be read."""
    try:
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        what = "holds no JSON, so the search cannot go on"
        remedy = "restore it, or begin another run, under another run_id"
        raise UserError(Problem(what, folder / FILE, remedy=remedy)) from error
    assert isinstance(stored, dict)
    return stored
