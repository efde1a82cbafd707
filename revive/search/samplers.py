"""Who proposes the next values. Scores are maximised."""

from __future__ import annotations

import itertools
import random
import warnings
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from revive.search.domains import Choice
from revive.search.space import Space

Outcome = Literal["finished", "pruned", "failed"]
Curve = Sequence[tuple[int, float]]
"""(percent of the training, score) at every report of a trial."""


class Sampler(Protocol):
    """Proposes values and hears what became of them."""

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        """A handle and values for every key; None when there is nothing left to propose."""

    def tell(self, handle: int, outcome: Outcome, curve: Curve) -> None:
        """How the trial with these values went."""

    def replay(self, params: dict[str, Any]) -> int:
        """A handle for what an earlier command was told to try, so that proposals go on from there."""


class RandomSampler:
    """Independent draws."""

    def __init__(self, space: Space, seed: int, trials: int) -> None:
        self.space, self.generator = space, random.Random(seed)

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        return 0, {key: domain.draw(self.generator) for key, domain in self.space.items()}

    def tell(self, handle: int, outcome: Outcome, curve: Curve) -> None:
        """Draws do not depend on it."""

    def replay(self, params: dict[str, Any]) -> int:
        self.ask()
        return 0


class GridSampler:
    """Every combination: all values of a choice, both ends and the middle of a range."""

    def __init__(self, space: Space, seed: int, trials: int) -> None:
        self.keys = list(space)
        self.rest = itertools.product(*(domain.grid for domain in space.values()))

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        values = next(self.rest, None)
        return None if values is None else (0, dict(zip(self.keys, values, strict=True)))

    def tell(self, handle: int, outcome: Outcome, curve: Curve) -> None:
        """The grid is what it is."""

    def replay(self, params: dict[str, Any]) -> int:
        self.ask()
        return 0


class OptunaSampler:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), all keys together, after a random start."""

    def __init__(self, space: Space, seed: int, trials: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna, self.space = optuna, space
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # multivariate and group are called experimental
            sampler = optuna.samplers.TPESampler(
                seed=seed,
                multivariate=True,
                group=True,
                n_startup_trials=min(10, max(3, trials // 3)),
                constant_liar=True,
            )
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.asked: dict[int, Any] = {}

    def ask(self) -> tuple[int, dict[str, Any]]:
        trial = self.study.ask()
        self.asked[trial.number] = trial
        return trial.number, {key: domain.suggest(trial, key) for key, domain in self.space.items()}

    def tell(self, handle: int, outcome: Outcome, curve: Curve) -> None:
        trial = self.asked.pop(handle)
        for step, score in curve:
            trial.report(score, step)
        state = self._state(outcome)
        value = curve[-1][1] if outcome == "finished" else None
        self.study.tell(handle, value, state)

    def replay(self, params: dict[str, Any]) -> int:
        self.tell(self.ask()[0], "failed", ())  # the draws that led to it are not to come again
        inside = {}
        for key, value in params.items():
            domain = self.space.get(key)
            inside[key] = domain.options.index(value) if isinstance(domain, Choice) else value
        self.study.enqueue_trial(inside)
        return self.ask()[0]

    def _state(self, outcome: Outcome) -> Any:
        states = self.optuna.trial.TrialState
        return {"finished": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[outcome]
