"""The usual course of a search: settings that a sampler proposes, each trained to its end unless it is pruned."""

from __future__ import annotations

from revive.search.samplers import Curve, Sampler
from revive.search.trials import ALL, Trial, TrialBook


class Proposals:
    """Asks a sampler for so many settings and tells it what became of them; a `Course`."""

    def __init__(self, book: TrialBook, sampler: Sampler, trials: int, seed: int) -> None:
        self.book, self.sampler, self.trials, self.seed = book, sampler, trials, seed
        self._handles: dict[int, int] = {}
        self._again: list[Trial] = []
        self._exhausted = False
        for trial in book.originals():
            handle = sampler.replay(trial.params)
            if trial.state == "running":
                self._again.append(trial)
                self._handles[trial.id] = handle
            else:
                sampler.tell(handle, trial.state, self._curve(trial))  # type: ignore[arg-type]
        self.most = trials + len(self._again)

    def next(self, live: bool, late: bool) -> tuple[Trial, int] | None:
        if self._again:
            return self._again.pop(0), ALL
        tried = len(self.book.originals())
        if self._exhausted or tried >= self.trials or (late and tried):
            return None
        asked = self.sampler.ask()
        if asked is None:
            self._exhausted = True
            return None
        trial = self.book.add(asked[1], self.seed)
        self._handles[trial.id] = asked[0]
        return trial, ALL

    def paused(self, trial: Trial) -> None:
        raise AssertionError("every trial is trained to its end")

    def ended(self, trial: Trial) -> None:
        if trial.id in self._handles:
            self.sampler.tell(self._handles.pop(trial.id), trial.state, self._curve(trial))  # type: ignore[arg-type]

    def _curve(self, trial: Trial) -> Curve:
        return [(int(step), self.book.objective.score(value)) for step, value in trial.curve]
