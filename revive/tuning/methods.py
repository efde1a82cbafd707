"""What a method of search is; every module beside this one that holds a class with `search` is one.

`search(objective, budget, seed)` returns a point (D,) after judging about `budget` points.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from revive.errors import Problem, UserError
from revive.tuning.objective import Objective
from revive.tuning.space import Space


class Method(Protocol):
    """A way to search; the arguments of the class are its settings."""

    def check(self, space: Space) -> None:
        """Raises UserError for a space that this method cannot search."""

    def search(self, objective: Objective, budget: int, seed: int) -> Tensor:
        """The best point that was found, (D,)."""


def require_continuous(space: Space, why: str) -> None:
    """Raises UserError where columns are discrete."""
    if space.discrete:
        named = ", ".join(space.names[i] for i in space.discrete)
        raise UserError(unfit(f"{why}, but {named} has only so many values"))


def unfit(what: str) -> Problem:
    """A method that does not suit what is to be searched."""
    return Problem(f"this method {what}", place="tuning.method", remedy="write tuning=auto or tuning=random")
