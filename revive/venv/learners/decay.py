"""Weight decay that follows the data: the members try several, until one of them is clearly better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

CLEARLY = 0.05  # difference of the mean logarithms of what the error fell to, and two standard errors


class Decay:
    """values: the decays that are still tried; by_member: each member's, (M,).

    Members leave different rows out, some of them harder than others: each is compared with its own start.
    """

    def __init__(self, values: float | Sequence[float], per_half: int, device: torch.device) -> None:
        self.values = [float(v) for v in ([values] if isinstance(values, int | float) else values)]
        self._which = (torch.arange(2 * per_half, device=device) % per_half) % len(self.values)
        self.by_member = torch.tensor(self.values, device=device)[self._which]
        self._start = torch.ones(2 * per_half, device=device)

    def start(self, error: Tensor) -> None:
        """What the members' errors (M,) are before they learn."""
        self._start = error.clone()

    def settle(self, error: Tensor) -> None:
        """Give all members the decay that is clearly better than the others, if there is one."""
        if len(self.values) < 2 or bool((error <= 0).any() or (self._start <= 0).any()):
            return
        progress = (error / self._start).log()
        groups = [progress[self._which == i] for i in range(len(self.values))]
        if any(len(group) < 2 for group in groups):
            return
        order = sorted(range(len(groups)), key=lambda i: float(groups[i].mean()))
        first, second = groups[order[0]], groups[order[1]]
        unsure = 2.0 * float((first.var() / len(first) + second.var() / len(second)).sqrt())
        if float(second.mean() - first.mean()) > max(CLEARLY, unsure):
            self.values = [self.values[order[0]]]
            self.by_member = torch.full_like(self.by_member, self.values[0])

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"values": self.values, "by_member": self.by_member, "start": self._start}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.values, self.by_member, self._start = state["values"], state["by_member"], state["start"]
