"""Several venv learners one after the other on the same problem; the one whose rollouts err least is taken.

They are compared by the held-out rollout error of the members that each of them keeps (see `judging`): the mean over
the members of both halves, each on the blocks of its own half that it left out. These are the same blocks and windows
for every learner. The other half stays unread, so that what is said of it later is not touched by the choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from revive.errors import Problem, Problems, UserError, suggestion
from revive.training import Parts, Standing, listed
from revive.venv.learners.base import VenvLearner
from revive.venv.problem import VenvProblem
from revive.venv.virtual_env import VirtualEnv

CLEARLY = 0.01  # share by which the error must be lower for a learner that is named later to be taken


class Auto(VenvLearner):
    """A pool of learners.

    Args:
        problem: what is to be learned; its budget of updates is that of each learner by itself.
        pool: names of the learners that are tried, in this order; of two that err alike the first one is taken.
        learners: name -> a learner's class with its arguments.

    Raises UserError for a name without a learner, and where no learner can learn the problem. One that cannot is left
    out, and its reason stands in the notes.
    """

    def __init__(
        self,
        problem: VenvProblem,
        *,
        pool: Sequence[str],
        learners: Mapping[str, Callable[..., VenvLearner]],
    ) -> None:
        super().__init__()
        _require_known(pool, learners)
        self.problem, self.left_out = problem, {}
        parts: dict[str, VenvLearner] = {}
        for name in dict.fromkeys(pool):
            try:
                parts[name] = learners[name](problem=problem)
            except UserError as error:
                self.left_out[name], last = str(error.problems[0]), error
        if not parts:
            raise last
        self.parts: Parts[VenvLearner] = Parts(parts)
        self.turn, self.made = 0, 0  # which learner is at work, and how many rounds it has behind it
        self.errors: dict[str, list[float]] = {}

    def _at_work(self) -> tuple[str, VenvLearner]:
        names = list(self.parts.learners)
        name = names[min(self.turn, len(names) - 1)]
        return name, self.parts.learners[name]

    # -- what Lightning asks for ---------------------------------------------------------------

    @property
    def rounds(self) -> int:
        return self.parts.rounds

    @property
    def finished(self) -> bool:
        return self.turn == len(self.parts)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return listed(self._at_work()[1].configure_optimizers())

    def round(self, number: int) -> None:
        name, part = self._at_work()
        part.lend(self, name, self.own_optimizers())
        part.round(self.made)
        self.made += 1
        if part.finished or self.made == part.rounds:
            self.errors[name] = [round(float(error), 4) for error in part.kept_error()]
            self.turn, self.made = self.turn + 1, 0
            if not self.finished:
                self.renew_optimizers()

    # -- the choice ----------------------------------------------------------------------------

    @property
    def taken(self) -> str:
        """The learner with the lowest error so far; the first one before there is any."""
        best = next(iter(self.parts.learners))
        for name, errors in self.errors.items():
            if _mean(errors) < (1.0 - CLEARLY) * _mean(self.errors[best]):
                best = name
        return best

    def result(self) -> VirtualEnv:
        return self.parts.learners[self.taken].result()

    def kept_error(self) -> Tensor:
        return self.parts.learners[self.taken].kept_error()

    def standing(self, metric: str, at_last: bool) -> Standing | None:
        return self.parts.learners[self.taken].standing(metric, True) if at_last or self.finished else None

    def notes(self) -> dict[str, Any]:
        """Those of the learner that was taken; under `auto` what each one reached."""
        tried = {
            name: {
                "error": round(_mean(self.errors[name]), 4),
                "members": self.errors[name],
                **{key: part.notes()[key] for key in ("updates", "hidden", "stopped")},
            }
            for name, part in self.parts.learners.items()
            if name in self.errors
        }
        own, said = self.parts.learners[self.taken].notes(), {"taken": self.taken, "tried": tried}
        figures = ", ".join(f"{name} {entry['error']:.3f}" for name, entry in tried.items())
        stopped = f"{own['stopped']}; {self.taken} was taken by held-out error ({figures})"
        if self.left_out:
            said["left_out"] = self.left_out
        return {**own, "stopped": stopped, "auto": said}

    # -- resuming ------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = {"parts": self.parts.state(), "turn": self.turn, "made": self.made, "errors": self.errors}
        checkpoint["learner"] = state

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["learner"]
        self.parts.resume(state["parts"], checkpoint["state_dict"])
        self.turn, self.made, self.errors = state["turn"], state["made"], state["errors"]


def _mean(errors: Sequence[float]) -> float:
    return sum(errors) / len(errors)


def _require_known(pool: Sequence[str], learners: Mapping[str, Any]) -> None:
    problems = Problems()
    for name in pool:
        if name not in learners:
            remedy = suggestion(name, learners)
            problems.add(f"there is no learner '{name}'", place="venv.learner.pool", remedy=remedy)
    problems.raise_if_any()
    if not pool:
        what, remedy = "no learner is named", f"possible: {', '.join(learners)}"
        raise UserError(Problem(what, place="venv.learner.pool", remedy=remedy))
