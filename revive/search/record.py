"""A search as its user sees it: a line per trial, what was chosen, what failed; and the records of trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from revive.search.trials import Objective, Trial, TrialBook
from revive.tracking.base import StageTracker, Status

_STATUS: dict[str, Status] = {
    "finished": "FINISHED",
    "pruned": "KILLED",
    "failed": "FAILED",
    "running": "KILLED",
    "waiting": "KILLED",
}


class Recorded:
    """Prints trials as they end, and records all of them when the search is over."""

    def __init__(self, records: StageTracker, note: Callable[[str], None], objective: Objective) -> None:
        self.records, self.note, self.objective = records, note, objective

    def began(self, trial: Trial, again: bool) -> None:
        """Nothing to say."""

    def heard(self, trial: Trial) -> None:
        """Nothing to say."""

    def ended(self, trial: Trial) -> None:
        """One line."""
        metric = "-" if trial.metric is None else f"{trial.metric:.4g}"
        again = f" (trial {trial.of} on seed {trial.seed})" if trial.of is not None else ""
        head = f"  trial {trial.id:<3} {trial.state:<8} {self.objective.name} {metric:<8}"
        self.note(f"{head} {trial.seconds:5.1f} s  {shown(trial.params)}{again}")

    def choice(self, book: TrialBook) -> None:
        """What was chosen, why, and how much too well the search thought of it; the errors, once each."""
        chosen = book.chosen
        assert chosen is not None
        line = f"  chosen  trial {chosen['of']}: {shown(chosen['params'])}"
        if chosen["optimism"] is not None:
            seeds, name = chosen["seeds"], self.objective.name
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
        for text, trials in _errors(book).items():
            self.note(f"  failed  {', '.join(trials)}:\n{_indented(text)}")

    def send(self, book: TrialBook) -> None:
        """Every trial as a child of the stage's record."""
        for trial in book.trials:
            tags: dict[str, Any] = {"trial": trial.id, "state": trial.state, "seed": trial.seed}
            if trial.of is not None:
                tags["of"] = trial.of
            if trial.error:
                tags["error"] = trial.error
            if book.chosen and book.chosen["trial"] == trial.id:
                tags["chosen"] = True
            curve = [(int(step), value) for step, value in trial.curve]
            self.records.trial(
                trial.name, _STATUS[trial.state], trial.params, tags, {self.objective.name: curve}
            )


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
