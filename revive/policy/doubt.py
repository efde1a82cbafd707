"""How far the members of an ensemble disagree at the states and actions of a rollout.

`u(s, a) = || std_m mu_m(s, a) ||`, the members' means in units of the change's spread (Yu et al. 2020, MOPO,
arXiv:2005.13239, for disagreement as a penalty), divided by a unit: its 90 % quantile over the logged rows, or 0.4 of
the norm of the one-step residual's standard deviation where that is more. So 1 is as much as the logs themselves show
in their least certain tenth; and what is small beside the noise of a step is no doubt, however sure the members are.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.venv.virtual_env import VirtualEnv

ROWS = 2048  # of each half, that the unit is taken from
SMALLEST = 1e-6
OF_RESIDUAL = 0.4  # see docs/decisions.md

CAP = 5.0  # of what a step is charged, in spreads of the reward


class Doubt:
    """Of every half's own members, about where a rollout in it goes."""

    def __init__(self, venv: VirtualEnv, rows: Rows) -> None:
        self._venv = venv
        self.nodes = tuple(name for name in venv.graph.transitions if name in venv.models)
        self.unit = self._unit(rows)

    @torch.no_grad()
    def of(self, values: Mapping[str, Tensor]) -> Tensor:
        """All members asked: node -> (M, B, d) in model space -> (M, B)."""
        venv, per_half = self._venv, self._venv.members // self._venv.halves
        total = torch.zeros(next(iter(values.values())).shape[:-1], device=venv.device)
        for name in self.nodes:
            x, _ = venv.node_inputs(name, values)
            shared = x.reshape(venv.halves, 1, -1, x.shape[-1]).expand(-1, per_half, -1, -1)
            model = venv.model(name)
            mean = model.mean(shared.reshape(venv.members, -1, x.shape[-1])) / model.scale
            spread = mean.reshape(venv.halves, per_half, *mean.shape[1:]).var(1, unbiased=False).sum(-1)
            total = total + spread.reshape(x.shape[:-1])
        return total.sqrt() / self._per_branch(self.unit)

    def of_pairs(self, values: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """An estimate from two members for each branch, differentiable: node -> (T, M, B, d) -> (T, M, B).

        Half the squared difference of two different members drawn at random is n / (n - 1) times the variance of all n
        of them on average.
        """
        venv, per_half = self._venv, self._venv.members // self._venv.halves
        if per_half < 2 or not self.nodes:
            return torch.zeros(next(iter(values.values())).shape[:-1], device=venv.device)
        first, gap = (
            int(torch.randint(low, per_half, (), generator=generator, device=generator.device))
            for low in (0, 1)
        )
        total = torch.zeros((), device=venv.device)
        for name in self.nodes:
            x = torch.cat([values[source] for source in venv.graph[name].inputs], dim=-1)  # (T, M, B, d)
            steps, members, branches, width = x.shape
            flat = x.transpose(0, 1).reshape(members, steps * branches, width)
            one, other = (self._means(name, flat, shift % per_half) for shift in (first, first + gap))
            variance = 0.5 * (one - other).square().sum(-1) * (per_half - 1) / per_half
            total = total + variance.reshape(members, steps, branches).transpose(0, 1)
        return (total + SMALLEST**2).sqrt() / self._per_branch(self.unit)

    def _means(self, name: str, x: Tensor, shift: int) -> Tensor:
        """What the member `shift` places on says about a member's rows, in units of the change."""
        model = self._venv.model(name)
        answer = model.mean(self._venv.hand_on(x, shift)) / model.scale
        return self._venv.hand_on(answer, -shift)

    @property
    def venv(self) -> VirtualEnv:
        return self._venv

    @property
    def unit_per_branch(self) -> Tensor:
        """The unit of each member, (M, 1)."""
        return self._per_branch(self.unit)

    def _per_branch(self, unit: Tensor) -> Tensor:
        per_half = self._venv.members // self._venv.halves
        return unit.repeat_interleave(per_half).view(-1, 1)

    @torch.no_grad()
    def _unit(self, rows: Rows) -> Tensor:
        """The larger of the two measures over the rows of each half: (halves,)."""
        venv = self._venv
        self.unit = torch.ones(venv.halves, device=venv.device)
        if not self.nodes:
            return self.unit
        per_half = venv.members // venv.halves
        spread = [
            torch.linspace(part.start, part.stop - 1, min(ROWS, len(part)), device=venv.device).long()
            for part in rows.parts
        ]
        count = min(len(part) for part in spread)
        index = torch.cat([part[:count].expand(per_half, -1) for part in spread])
        batch = venv.completed(rows.at(index))
        usual = torch.quantile(self.of(batch)[::per_half], 0.9, dim=1)
        unit = torch.maximum(usual, OF_RESIDUAL * self._residual(batch))
        return torch.where(unit > SMALLEST, unit, 1.0)  # where members are equal there is no doubt to measure

    def _residual(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The norm of the std that the members state for a step, in units of the change: (halves,)."""
        venv, total = self._venv, torch.zeros((), device=self._venv.device)
        for name in self.nodes:
            model = venv.model(name)
            out = model(*venv.node_inputs(name, batch))
            variance = (out.log_std.exp() / model.scale).square().expand_as(out.mean)
            total = total + variance.sum(-1).mean(1)  # (M,)
        return total.reshape(venv.halves, -1).mean(1).sqrt()


def charge(doubt: Tensor, penalty: Tensor, alive: Tensor, free: float = 1.0) -> Tensor:
    """What steps pay for doubt: `min(penalty (doubt - free)+, cap)` less its mean over the steps.

    doubt, alive (T, P, B), penalty (P, 1) -> (T, P, B). Nothing is paid on average, so that an early end saves nothing.
    free: what costs nothing; 1 is the doubt of the logs.
    """
    paid = (penalty * torch.relu(doubt.nan_to_num(CAP) - free)).clamp_max(CAP)
    mean = (paid * alive).sum((0, 2)) / alive.sum((0, 2)).clamp_min(1.0)
    return paid - mean.unsqueeze(-1)
