"""What every learner of a policy is asked for."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

import torch

from revive.policy.candidate import Candidate, Snapshots
from revive.policy.choice import Court, Score
from revive.policy.problem import PolicyProblem
from revive.training import Learner, Standing


class PolicyLearner(Learner):
    """Made by `Class(problem, **plain arguments)`; knows the problem and nothing else of the run."""

    problem: PolicyProblem
    simulates = True  # whether it spends the budget of simulated steps

    @classmethod
    def unsuited(cls, problem: PolicyProblem) -> str | None:
        """Why it cannot learn this problem, as the end of a sentence; None where it can."""
        return None

    @abstractmethod
    def candidates(self) -> list[Candidate]:
        """What may be chosen of what was learned so far."""

    @cached_property
    def _court(self) -> Court:
        return Court(self.problem)

    def standing(self, metric: str, at_last: bool) -> Standing | None:
        """The best admissible candidate of each half so far, averaged over the halves."""
        scores = [score for score in self._court.scores(self.candidates()) if score.rejected is None]
        best = [
            max((s for s in scores if s.candidate.half == half), key=lambda s: s.by(metric), default=None)
            for half in range(self.problem.venv.halves)
        ]
        found: list[Score] = [score for score in best if score is not None]
        if len(found) < len(best):
            return None
        error = sum(score.standard_error**2 for score in found) ** 0.5 / len(found)
        return Standing(sum(score.by(metric) for score in found) / len(found), error)


class SnapshotLearner(PolicyLearner):
    """One whose candidates are its policies at several moments, and whose draws come from one generator."""

    generator: torch.Generator
    taken: Snapshots

    def candidates(self) -> list[Candidate]:
        return self.taken.candidates()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["learner"] = {"generator": self.generator.get_state(), "taken": self.taken.state()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.generator.set_state(checkpoint["learner"]["generator"])
        self.taken.load(checkpoint["learner"]["taken"])
