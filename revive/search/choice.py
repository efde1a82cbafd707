"""Which trial's model is taken: not the luckiest one, but one of the settings that did best on fresh seeds."""

from __future__ import annotations

import math
from typing import Any

from revive.search.trials import Trial, TrialBook


def choose(book: TrialBook) -> Trial | None:
    """Of the params that were tried on fresh seeds those with the best mean minus one standard error, and of their
    repeats the best; notes the choice in the book. Without repeats the best trial; None where nothing finished."""
    groups: dict[int, list[Trial]] = {}
    for trial in book.trials:
        if trial.of is not None and trial.state == "finished":
            groups.setdefault(trial.of, []).append(trial)
    if not groups:
        best = book.best()
        if best is not None:
            book.chosen = _noted(best, best, best.metric, best.se, 1, None)
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
    book.chosen = _noted(best, origin, mean, se, len(repeats), optimism)
    return best


def _noted(
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
