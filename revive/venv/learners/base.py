"""What every learner of a venv is asked for."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from revive.training import Learner
from revive.venv.problem import VenvProblem
from revive.venv.virtual_env import VirtualEnv


class VenvLearner(Learner):
    """Made by `Class(problem, **plain arguments)`; knows the problem and nothing else of the run."""

    problem: VenvProblem

    @abstractmethod
    def notes(self) -> dict[str, Any]:
        """Among others: `hidden`, the sizes of the hidden layers; `updates` that were made; why they `stopped`."""

    @abstractmethod
    def kept_error(self) -> Tensor:
        """Held-out rollout error of the members that `result` keeps, halves side by side: (2 * keep,)."""

    @abstractmethod
    def result(self) -> VirtualEnv:
        """The venv of the members that are kept."""
