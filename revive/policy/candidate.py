"""What policy learners hand in: policies of one copy, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from revive.policy.policy import Policy


@dataclass(frozen=True)
class Candidate:
    """A policy that may be chosen.

    learner, variant: what made it, in words that the output can show.
    half: whose venv, or whose rows, it learned in; it is judged in the other one.
    iteration: after how many of the learner's iterations. is_clone: whether it does what the logs' controller did.
    earned: of a clone, the mean return of the logged trajectories that it repeats, where there are several.
    """

    learner: str
    variant: str
    half: int
    iteration: int
    policy: Policy
    is_clone: bool = False
    earned: float | None = None

    @property
    def name(self) -> str:
        return f"{self.learner}, {self.variant}" if self.variant else self.learner

    @property
    def key(self) -> str:
        """What no other candidate of the problem has."""
        return f"{self.name}, half {self.half}, iteration {self.iteration}"


class Snapshots:
    """Weights of a learner's policies at several moments; plain tensors, fit for a checkpoint."""

    def __init__(
        self,
        policy: Policy,
        learner: str,
        variants: list[str],
        is_clone: bool = False,
        earned: Sequence[float | None] | None = None,
    ) -> None:
        self.policy, self.learner, self.variants, self.is_clone = policy, learner, variants, is_clone
        self.earned = earned or [None] * policy.copies
        self._taken: list[tuple[int, dict[str, Tensor]]] = []

    @torch.no_grad()
    def take(self, iteration: int) -> None:
        """Note the weights of all copies as they are."""
        self._taken.append((iteration, {k: v.clone() for k, v in self.policy.net.state_dict().items()}))

    def candidates(self) -> list[Candidate]:
        """Every copy at every moment."""
        count = len(self.variants)
        return [
            Candidate(
                self.learner,
                self.variants[copy % count],
                copy // count,
                iteration,
                self.policy.single(copy, weights),
                self.is_clone,
                self.earned[copy],
            )
            for iteration, weights in self._taken
            for copy in range(self.policy.copies)
        ]

    def state(self) -> list[dict[str, Any]]:
        return [{"iteration": iteration, "weights": weights} for iteration, weights in self._taken]

    def load(self, state: list[Mapping[str, Any]]) -> None:
        self._taken = [(int(entry["iteration"]), dict(entry["weights"])) for entry in state]
