"""What every learner of a policy is asked for."""

from __future__ import annotations

import logging
from abc import abstractmethod
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from revive.policy.candidate import Candidate, Snapshots
from revive.policy.choice import Court, Score
from revive.policy.problem import PolicyProblem
from revive.training import Learner, Standing

_log = logging.getLogger("revive")


class PolicyLearner(Learner):
    """Made by `Class(problem, **plain arguments)`; knows the problem and nothing else of the run."""

    problem: PolicyProblem
    simulates = True  # whether it spends the budget of simulated steps
    diverged: dict[str, Any] | None = None  # the node and the step of the first loss that was no number

    @classmethod
    def unsuited(cls, problem: PolicyProblem) -> str | None:
        """Why it cannot learn this problem, as the end of a sentence; None where it can."""
        return None

    def spent(self) -> dict[str, float]:
        """Of a pool, the seconds that each learner took so far; nothing of a single learner, which is the stage."""
        return {}

    @abstractmethod
    def candidates(self) -> list[Candidate]:
        """What may be chosen of what was learned so far."""

    def watch(self, loss: Tensor, step: int) -> None:
        """Say once that a loss is no number, and where. loss: of any copies together.

        Nothing ends: gradients that are no numbers move no copy (`clip_gradient_by_member`), so that a copy that
        diverges stays as it was and the others go on.
        """
        if self.diverged is None and not bool(torch.isfinite(loss)):
            self.diverged = {"node": self.problem.target, "step": step}
            what = "policy of '%s': the loss of %s is no number at step %d; what has diverged stays as it was before"
            _log.warning(what, self.problem.target, type(self).__name__, step)

    def told(self, notes: dict[str, Any]) -> dict[str, Any]:
        """Notes, with the divergence where there was one."""
        return {**notes, "diverged": self.diverged} if self.diverged else notes

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
        checkpoint["learner"] = {
            "generator": self.generator.get_state(),
            "taken": self.taken.state(),
            "diverged": self.diverged,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.generator.set_state(checkpoint["learner"]["generator"])
        self.taken.load(checkpoint["learner"]["taken"])
        self.diverged = checkpoint["learner"].get("diverged")
