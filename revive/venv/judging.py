"""How wrong a venv's members are on rows that they did not learn from: what gates stages and chooses members."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from revive.data.windows import Segments, Rows
from revive.venv.virtual_env import VirtualEnv

Penalty = Callable[[torch.Generator], Tensor]
"""Draws what it needs, and says what each member is to be charged beside its error: (M,)."""


def with_data(rows: Rows) -> set[str]:
    """The nodes that `rows` hold values of, histories of such nodes included."""
    return {*rows.values, *(n for n, h in rows.histories.items() if h.source in rows.values)}


def rollout_errors(
    venv: VirtualEnv, rows: Rows, nodes: Sequence[str], windows: tuple[Tensor, Tensor], horizon: int
) -> dict[str, tuple[Tensor, Tensor]]:
    """Open-loop rollout: each of `nodes` -> errors and weights, (T, M, B, d) each, model space."""
    first, stop = windows
    index, valid = rows.windows(first, horizon, stop)
    data = rows.at(index)
    rolled = venv.replay(data, rows.past(first))
    inside = valid.unsqueeze(-1).to(torch.float32)
    found = {}
    for name in nodes:
        known = rows.weight(name, index)
        spread = venv.codec[name].term_of_dimension
        weight = inside if known is None else inside * known[..., spread]
        found[name] = (rolled[name] - data[name], weight.expand_as(data[name]))
    return found


class HeldOutError:
    """The members' error on what they left out.

    Args:
        venv: what is judged.
        rows: the data of both halves.
        unseen: the rows that each member left out.
        nodes: transitions with data; the error is that of rollouts.
        fitted: learned nodes with data, whose one-step cost is the error where there are no transitions.
        horizon: steps of the rollouts.
        penalties: what is charged beside the error.
    """

    def __init__(
        self,
        venv: VirtualEnv,
        rows: Rows,
        unseen: Segments,
        *,
        nodes: Sequence[str],
        fitted: Sequence[str],
        horizon: int,
        penalties: Sequence[Penalty],
    ) -> None:
        self.venv, self.rows, self.unseen = venv, rows, unseen
        self.nodes, self.fitted, self.horizon = nodes, fitted, horizon
        self.penalties = penalties

    def on(self, rows: Segments) -> HeldOutError:
        """The same on other rows than those that were left out."""
        other = copy.copy(self)
        other.unseen = rows
        return other

    @torch.no_grad()
    def __call__(self, windows: int = 128) -> Tensor:
        """Rollout error on held-out windows: (M,).

        In units of each transition's change, with each step's error capped at 5 so that one diverging
        window cannot hide the rest. Columns that are not to be fitted do not count. Without transitions, the
        one-step cost.
        """
        generator = torch.Generator(self.venv.device).manual_seed(0)
        drawn = self.unseen.sample(windows, self.horizon, generator)
        total = torch.zeros(self.venv.members, device=self.venv.device)
        errors = rollout_errors(self.venv, self.rows, self.nodes, drawn, self.horizon)
        for name, (error, weight) in errors.items():
            size = (error.abs() / self._unit(name)).clamp_max(5.0).nan_to_num(5.0)
            counted = weight * self._fit_mask(name)
            total += (size * counted).sum((0, 2, 3)) / counted.sum((0, 2, 3)).clamp_min(1.0)
        error = total / len(errors) if errors else self._one_step_cost()
        for penalty in self.penalties:  # a stage that mends a declared sign is not undone for a little error
            error = error + penalty(generator)
        return error

    def _unit(self, name: str) -> Tensor:
        """The spread of a transition's change, (d,); 1 for category dimensions and function nodes."""
        width = self.venv.codec.width(name)
        scale = self.venv.model(name).scale if name in self.venv.models else torch.ones(width, device=self.venv.device)
        return torch.nn.functional.pad(scale, (0, width - len(scale)), value=1.0)

    def _fit_mask(self, name: str) -> Tensor:
        codec, columns = self.venv.codec[name], self.venv.graph.columns(name)
        fits = torch.tensor(
            [float(columns[codec.terms[i]].fit) for i in codec.term_of_dimension], device=self.venv.device
        )
        return fits if fits.any() else torch.ones_like(fits)

    def _one_step_cost(self) -> Tensor:
        index, _ = self.unseen.sample(1024, 1, torch.Generator(self.venv.device).manual_seed(0))
        batch = self.venv.completed(self.rows.at(index))
        total = torch.zeros(self.venv.members, device=self.venv.device)
        for name in self.fitted:
            x, current = self.venv.node_inputs(name, batch)
            total += self.venv.model(name).cost(x, current, batch[name]).mean((1, 2))
        return total
