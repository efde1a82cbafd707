"""Which member answers which branch: branches (B, ...) as cells (members, most branches of one, ...), and back.

A venv computes (M, B, d), every member on as many rows. Where each branch has one member, sorting the branches under
their members asks every network about its own branches alone, and not M times as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class OneEach:
    """Each branch is answered by one member.

    members: (m,) those that have a branch. branch: (m, b) the branch in each cell; a cell that is left over repeats the
    first one. place: (B,) the cell of each branch, counted row by row.
    """

    members: Tensor
    branch: Tensor
    place: Tensor

    @classmethod
    def of(cls, who: Tensor) -> OneEach:
        """who: the member of each branch, (B,)."""
        members, index, count = torch.unique(who, return_inverse=True, return_counts=True)
        most, order = int(count.max()), torch.argsort(index, stable=True)
        within = torch.arange(len(who), device=who.device) - (count.cumsum(0) - count)[index[order]]
        place = torch.empty_like(order)
        place[order] = index[order] * most + within
        branch = torch.zeros(len(members) * most, dtype=torch.long, device=who.device)
        branch[place] = torch.arange(len(who), device=who.device)
        return cls(members, branch.view(len(members), most), place)

    def spread(self, x: Tensor) -> Tensor:
        """(B, d) -> (m, b, d)."""
        return x.unsqueeze(0) if len(self.members) == 1 else x[self.branch]

    def gather(self, y: Tensor) -> Tensor:
        """(m, b, d) -> (B, d)."""
        return y[0] if len(self.members) == 1 else y.flatten(0, 1)[self.place]


@dataclass(frozen=True)
class Everybody:
    """All members answer every branch, and their mean is the answer.

    members: (M,) all of them.
    """

    members: Tensor

    def spread(self, x: Tensor) -> Tensor:
        """(B, d) -> (M, B, d)."""
        return x.expand(len(self.members), *x.shape)

    def gather(self, y: Tensor) -> Tensor:
        """(M, B, d) -> (B, d)."""
        return y.mean(0)


@dataclass(frozen=True)
class Listened(Everybody):
    """All members answer every branch, together or apart; what one of them says is the answer.

    who: that member of each branch, (B,).
    """

    who: Tensor

    def gather(self, y: Tensor) -> Tensor:
        return y[self.who, torch.arange(len(self.who), device=y.device)]


Cells = OneEach | Everybody
