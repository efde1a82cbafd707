"""The default: several learners one after the other, their candidates in one pool.

No learner is best on every plant: a gradient through the venv is far ahead where there is one, model-free learners
work without, and where logs allow nothing better, a clone of the best trajectories does. What is taken is decided
afterwards, on one evaluation for all (choice.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from revive.errors import Problem, UserError
from revive.policy.candidate import Candidate
from revive.policy.learners.base import PolicyLearner
from revive.policy.problem import PolicyProblem
from revive.training import Parts, listed


class Auto(PolicyLearner):
    """A pool of learners.

    Args:
        problem: what is to be learned; its budget is shared evenly among the learners that simulate.
        learners: name -> a learner's class with its arguments. Those that cannot learn the problem are left out.
        stand_ins: names of learners that are asked only where no other one that simulates can learn the problem.
        lr: step size of every learner that has one of its own; null: each learner's own.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        *,
        learners: Mapping[str, Callable[..., PolicyLearner] | None],
        stand_ins: list[str],
        lr: float | None,
    ) -> None:
        super().__init__()
        self.problem = problem
        wanted = {name: make for name, make in learners.items() if make is not None}
        self.left_out = {
            name: why for name, make in wanted.items() if (why := _class(make).unsuited(problem))
        }
        usable = {name: make for name, make in wanted.items() if name not in self.left_out}
        if any(name not in stand_ins and _class(make).simulates for name, make in usable.items()):
            usable = {name: make for name, make in usable.items() if name not in stand_ins}
        if not usable:
            raise UserError(
                Problem(
                    "no learner is left",
                    place="policy.learner.learners",
                    remedy="do not set all of them to null",
                )
            )
        share = max(1, sum(_class(make).simulates for make in usable.values()))
        part_of = replace(problem, budget=problem.budget // share)
        made = {name: _with_lr(make, lr)(problem=part_of) for name, make in usable.items()}
        self.parts: Parts[PolicyLearner] = Parts(made)
        self._seconds = dict.fromkeys(made, 0.0)
        self.optimizer_counts = {
            name: len(listed(part.configure_optimizers())) for name, part in self.parts.learners.items()
        }

    @property
    def rounds(self) -> int:
        return self.parts.rounds

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            optimizer
            for part in self.parts.learners.values()
            for optimizer in listed(part.configure_optimizers())
        ]

    def round(self, number: int) -> None:
        before = optimizers = 0
        for name, part in self.parts.learners.items():
            count = self.optimizer_counts[name]
            if number < before + part.rounds:
                part.lend(self, name, self.own_optimizers()[optimizers : optimizers + count])
                if not part.finished:
                    started = time.perf_counter()
                    part.round(number - before)
                    self._seconds[name] += time.perf_counter() - started
                return
            before, optimizers = before + part.rounds, optimizers + count

    def seconds(self) -> float:
        return sum(part.seconds() for part in self.parts.learners.values())

    def candidates(self) -> list[Candidate]:
        return [candidate for part in self.parts.learners.values() for candidate in part.candidates()]

    def notes(self) -> dict[str, Any]:
        notes: dict[str, Any] = {name: part.notes() for name, part in self.parts.learners.items()}
        return {**notes, "left_out": self.left_out} if self.left_out else notes

    def spent(self) -> dict[str, float]:
        return dict(self._seconds)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["learner"] = self.parts.state()
        checkpoint["seconds"] = self._seconds

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.parts.resume(checkpoint["learner"], checkpoint["state_dict"])
        self._seconds = dict(checkpoint["seconds"])


def _class(make: Callable[..., PolicyLearner]) -> type[PolicyLearner]:
    """The class behind a partial constructor."""
    found = make.func if isinstance(make, partial) else make
    return found  # type: ignore[return-value]


def _with_lr(make: Callable[..., PolicyLearner], lr: float | None) -> Callable[..., PolicyLearner]:
    own = make.keywords if isinstance(make, partial) else {}
    return partial(make, lr=lr) if lr is not None and "lr" in own and _class(make).simulates else make
