"""The trials of a search, as `trials.json` holds them.

metric, better      what trials are compared by, and whether `min` or `max` of it is good
trials              one entry each: id, params, seed, of (the trial whose params are tried again on a fresh seed,
    or null), state (running, finished, pruned, failed), metric (the last value), se, curve
    ([percent of the training, metric]), seconds, error (text of the traceback, or null)
chosen              {trial, params, mean, se, seeds, optimism}, once there is one: `mean` and `se` over the fresh
    seeds; `optimism` is how much better the search thought of these params than the fresh seeds did
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from revive.errors import Problem, UserError
from revive.runs import write_json

State = Literal["running", "finished", "pruned", "failed"]
FILE = "trials.json"
CHECKPOINT = "checkpoint.ckpt"  # in the folder of a trial that is under way


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
    """One setting of hyper-parameters, and what became of it."""

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

    @property
    def name(self) -> str:
        return f"trial_{self.id:03d}"


@dataclass(frozen=True)
class Order:
    """What a worker is asked to do.

    folder: where it leaves its checkpoint and its model. whole: not to be stopped early.
    """

    id: int
    params: dict[str, Any]
    seed: int
    folder: Path
    whole: bool = False


@dataclass(frozen=True)
class Report:
    """How far a trial is: percent of its training, the metric so far and its standard error."""

    percent: int
    metric: float
    se: float = 0.0


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

    def add(self, params: Mapping[str, Any], seed: int, of: int | None = None) -> Trial:
        """A new trial, running."""
        trial = Trial(len(self.trials), dict(params), seed, of)
        self.trials.append(trial)
        self.save()
        return trial

    def order(self, trial: Trial) -> Order:
        return Order(trial.id, trial.params, trial.seed, self.folder / trial.name, trial.of is not None)

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


def read_trials(folder: Path) -> dict[str, Any]:
    """What a search has written so far. Raises UserError where that cannot be read."""
    try:
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(Problem("holds no JSON, so the search cannot go on", folder / FILE)) from error
    assert isinstance(stored, dict)
    return stored
