"""The best weights that each member had, node by node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from revive.venv.virtual_env import VirtualEnv


class BestWeights:
    """Weights by member, with the held-out error of the rollouts that they made.

    The nodes `alone` go by their own one-step cost, each by itself; all others go together by the error of rollouts.

    error: (M,). costs: of the nodes alone, (M,) each. hidden: widths of the hidden layers.
    """

    def __init__(self, venv: VirtualEnv, alone: Collection[str]) -> None:
        self.alone = list(alone)
        self.take(venv, torch.full((venv.members,), torch.inf, device=venv.device), {})

    def take(self, venv: VirtualEnv, error: Tensor, costs: Mapping[str, Tensor]) -> None:
        """Take the weights of all members as they are."""
        self.error, self.costs = error, dict(costs)
        self.widen(venv)

    def widen(self, venv: VirtualEnv) -> None:
        """Take weights that say the same in another shape."""
        self.hidden: tuple[int, ...] = venv.spec.hidden or ()
        self.weights = {name: value.detach().clone() for name, value in venv.named_parameters()}

    def falls(self, costs: Mapping[str, Tensor]) -> dict[str, float]:
        """By how much costs are lower now, on average over the members that are better."""
        return {name: float((self.costs[name] - cost).clamp_min(0.0).mean()) for name, cost in costs.items()}

    @torch.no_grad()
    def keep_better(self, venv: VirtualEnv, error: Tensor, costs: Mapping[str, Tensor]) -> None:
        """Take the weights of the members that are better now."""
        better = {name: cost < self.costs[name] for name, cost in costs.items()}
        never, together = torch.zeros_like(error, dtype=torch.bool), error < self.error
        for key, value in venv.named_parameters():
            node = key.split(".")[1]
            mask = better.get(node, never) if node in self.alone else together
            mask = mask.view(-1, *[1] * (value.dim() - 1))
            self.weights[key] = torch.where(mask, value.detach(), self.weights[key])
        self.error = torch.where(together, error, self.error)
        self.costs.update({name: torch.minimum(cost, self.costs[name]) for name, cost in costs.items()})

    @torch.no_grad()
    def venv(self, make: Callable[[tuple[int, ...]], VirtualEnv]) -> VirtualEnv:
        """A venv of these weights; `make` gives one of such hidden layers to fill."""
        made = make(self.hidden)
        for key, parameter in made.named_parameters():
            parameter.copy_(self.weights[key])
        return made

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "error": self.error,
            "costs": self.costs,
            "hidden": list(self.hidden),
            "weights": self.weights,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.error, self.costs, self.weights = state["error"], state["costs"], state["weights"]
        self.hidden = tuple(state["hidden"])
