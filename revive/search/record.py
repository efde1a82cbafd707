"""A search as its user sees it: a line per trial, what was chosen, what failed; and the records of trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from revive.search.trials import Trial, TrialBook
from revive.tracking.base import Curves, StageTracker, Status, TrialTracker

_STATUS: dict[str, Status] = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


class Recorded:
    """Observes the trials of a search: prints each as it ends, and records each as it goes.

    What an earlier command learned of the trials in the book is recorded first, where that was not done.
    """

    def __init__(self, records: StageTracker, note: Callable[[str], None], book: TrialBook) -> None:
        self.records, self.note, self.book = records, note, book
        self._sent: dict[int, float | None] = {}
        for trial in book.trials:
            if trial.state in _STATUS:
                tags = {**_tags(trial), **_end_tags(trial)}
                status = _STATUS[trial.state]
                self._of(trial).keep(status, trial.params, tags, self._curves(trial))

    def began(self, trial: Trial, again: bool) -> None:
        """Its record is open."""
        self._of(trial).open(trial.params, _tags(trial), self._curves(trial))
        self._sent[trial.id] = trial.curve[-1][1] if trial.curve else None

    def heard(self, trial: Trial) -> None:
        """Its metric at the percent of the training that is done."""
        if trial.metric is not None and trial.metric != self._sent.get(trial.id):
            step = int(trial.curve[-1][0]) if trial.curve else 0
            self._of(trial).metrics({self.book.objective.name: trial.metric}, step)
            self._sent[trial.id] = trial.metric

    def died(self, trial: Trial) -> None:
        """One line."""
        self.note(f"  trial {trial.id:<3} its worker died; another one goes on with it")

    def ended(self, trial: Trial) -> None:
        """One line, and the end of its record."""
        self.heard(trial)
        record = self._of(trial)
        record.tags(_end_tags(trial))
        record.close(_STATUS[trial.state])
        metric = "-" if trial.metric is None else f"{trial.metric:.4g}"
        again = f" (trial {trial.of} on seed {trial.seed})" if trial.of is not None else ""
        head = f"  trial {trial.id:<3} {trial.state:<8} {self.book.objective.name} {metric:<8}"
        self.note(f"{head} {trial.seconds:5.1f} s  {shown(trial.params)}{again}")

    def choice(self) -> None:
        """What was chosen, why, and how much too well the search thought of it; the errors, once each."""
        chosen = self.book.chosen
        assert chosen is not None
        line = f"  chosen  trial {chosen['of']}: {shown(chosen['params'])}"
        if chosen["optimism"] is not None:
            seeds, name = chosen["seeds"], self.book.objective.name
            line += (
                f"; {name} {chosen['mean']:.4g} (se {chosen['se']:.2g}) on {seeds} fresh seeds,"
                f" optimism {chosen['optimism']:.2g}"
            )
        self.note(line)
        figures = {
            "search.mean": chosen["mean"],
            "search.se": chosen["se"],
            "search.optimism": chosen["optimism"],
        }
        self.records.metrics({key: value for key, value in figures.items() if value is not None})
        self._of(self.book.trials[chosen["trial"]]).tags({"chosen": True})
        for text, trials in _errors(self.book).items():
            self.note(f"  failed  {', '.join(trials)}:\n{_indented(text)}")

    def _of(self, trial: Trial) -> TrialTracker:
        return self.records.trial(trial.name)

    def _curves(self, trial: Trial) -> Curves:
        return {self.book.objective.name: [(int(step), value) for step, value in trial.curve]}


def _tags(trial: Trial) -> dict[str, Any]:
    tags: dict[str, Any] = {"trial": trial.id, "seed": trial.seed}
    return tags if trial.of is None else {**tags, "of": trial.of}


def _end_tags(trial: Trial) -> dict[str, Any]:
    tags: dict[str, Any] = {"state": trial.state}
    if trial.state == "pruned":
        far = int(trial.curve[-1][0]) if trial.curve else 0
        tags["why"] = f"worse than others after {far} % of its training"
    if trial.error:
        tags["error"] = trial.error
    return tags


def shown(params: dict[str, Any]) -> str:
    """Values of a trial in one line."""
    return ", ".join(
        f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in params.items()
    )


def _errors(book: TrialBook) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for trial in book.trials:
        if trial.error:
            found.setdefault(trial.error, []).append(trial.name)
    return found


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
