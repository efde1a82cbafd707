"""Limits that a policy has to keep: `next_temperature > -6`, in physical units.

In training the reward of a step becomes `r - sum_i lambda_i c_i`, c the smoothed excess over the limit in spreads of
the logged column. A multiplier for each copy and limit grows while the copy's rollouts exceed the limit in more than
half of the allowed share of their steps, and falls otherwise: a Lagrangian with dual ascent (for policies Tessler et
al. 2019, arXiv:1805.11074). A policy that exceeds a limit too often in the half it did not learn in is not taken. A
limit on a column of the action narrows the policy's own range, which then holds exactly; declared bounds hold as well,
whatever a limit says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from revive.data.codec import Codec
from revive.data.trajectories import FloatArray
from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import is_part
from revive.policy.policy import Policy

PLACE = "policy.constraints.limits"
AIM = 0.5  # share of what is allowed that training aims at, as the other half's venv is not the same
SHARP = 10.0  # of the softplus, per spread of the column
_LIMIT = re.compile(r"^\s*([A-Za-z_]\w*)\s*(<=?|>=?)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*$")
Values = Mapping[str, Tensor]


@dataclass(frozen=True)
class Limit:
    """`sign * (value - bound) <= 0` of one column of one node. spread: of the logged column."""

    text: str
    node: str
    column: int
    bound: float
    sign: float
    spread: float = 1.0
    logged: float = 0.0  # share of the logged rows that exceed it

    def excess(self, values: Values) -> Tensor:
        """By how much it is exceeded, in spreads of the column: node -> (..., d) in physical units -> (...)."""
        return self.sign * (values[self.node][..., self.column] - self.bound) / self.spread


@dataclass(frozen=True)
class Constraints:
    """allowed: share of the steps in which each limit may be exceeded. lr: of the multipliers, per iteration."""

    limits: tuple[Limit, ...]
    allowed: float
    lr: float

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        graph: DecisionGraph,
        arrays: Mapping[str, FloatArray],
        *,
        allowed: float,
        lr: float,
    ) -> Constraints | None:
        """None without limits.

        arrays: what was logged, node -> (N, d) in physical units.

        Raises:
            UserError: a text is no limit, names no column, or a limit that no logged row meets.
        """
        problems, limits = Problems(), []
        for text in texts:
            try:
                limits.append(_logged(_parsed(text, graph), graph, arrays))
            except UserError as error:
                problems.extend(error.problems)
        problems.raise_if_any()
        return cls(tuple(limits), allowed, lr) if limits else None

    def exceeded(self, values: Values) -> Tensor:
        """Whether each limit is: node -> (..., d) in physical units -> (L, ...)."""
        return torch.stack([limit.excess(values) > 0 for limit in self.limits])

    def cost(self, values: Values) -> Tensor:
        """The smoothed excess, differentiable: node -> (..., d) in physical units -> (L, ...)."""
        return torch.stack([softplus(SHARP * limit.excess(values)) / SHARP for limit in self.limits])

    def narrow(self, codec: Codec, target: str, low: Tensor, high: Tensor) -> None:
        """Narrow the range of an action, (ordered,) in model space, in place, to its own limits.

        Raises UserError where nothing is left.
        """
        node = codec[target]
        for limit in self.limits:
            if limit.node != target:
                continue
            for dimension in range(len(low)):
                if node.terms[dimension] == limit.column:
                    edge, pick = (high, torch.minimum) if limit.sign > 0 else (low, torch.maximum)
                    bound = torch.as_tensor(node.bound(dimension, limit.bound), dtype=edge.dtype)
                    edge[dimension] = pick(edge[dimension], bound.to(edge.device))
        if bool((low > high).any()):
            what = f"the limits leave no value of '{target}' within its bounds"
            remedy = "take a limit away, or widen min and max in the description"
            raise UserError(Problem(what, place=PLACE, remedy=remedy))


class Multipliers(nn.Module):
    """The multipliers of every copy of a policy, in spreads of the logged reward: `value` (L, P)."""

    value: Tensor

    def __init__(self, constraints: Constraints, policy: Policy) -> None:
        super().__init__()
        self.constraints, self._policy = constraints, [policy]
        shape = (len(constraints.limits), policy.copies)
        self.register_buffer("value", torch.zeros(shape, device=policy.low.device))

    def charge(self, values: Values) -> Tensor:
        """What the steps of a rollout pay: node -> (T, M, B, d) in physical units -> (T, P, n)."""
        cost = self._by_copy(self.constraints.cost(values))  # (L, T, P, n)
        return (self.value[:, None, :, None] * cost).sum(0)

    @torch.no_grad()
    def learn(self, values: Values, alive: Tensor) -> None:
        """Dual ascent on the share of the steps that exceed a limit. alive: (T, P, n)."""
        exceeded = self._by_copy(self.constraints.exceeded(values).float()) * alive
        share = exceeded.sum((1, 3)) / alive.sum((0, 2)).clamp_min(1.0)  # (L, P)
        moved = self.value + self.constraints.lr * (share - AIM * self.constraints.allowed)
        self.value.copy_(moved.clamp_min(0.0))

    def _by_copy(self, series: Tensor) -> Tensor:
        """(L, T, M, B) -> (L, T, P, n)."""
        return self._policy[0].by_copy(series.unsqueeze(-1)).squeeze(-1)


def _parsed(text: str, graph: DecisionGraph) -> Limit:
    found = _LIMIT.match(text)
    if found is None:
        remedy = "write a column, one of > >= < <=, and a number: next_temperature > -6"
        raise UserError(Problem(f"{text!r} is no limit", place=PLACE, remedy=remedy))
    name, sign, number = found.groups()
    known = _columns(graph)
    if name not in known:
        raise UserError(
            Problem(f"{text!r}: there is no column '{name}'", place=PLACE, remedy=suggestion(name, known))
        )
    try:
        bound = float(number)
    except ValueError as error:
        remedy = "write it like 6, -0.5 or 1e-3"
        raise UserError(Problem(f"{text!r}: {number} is no number", place=PLACE, remedy=remedy)) from error
    return Limit(text, *known[name], bound, 1.0 if sign.startswith("<") else -1.0)


def _columns(graph: DecisionGraph) -> dict[str, tuple[str, int]]:
    """What a limit may name -> node and column: continuous columns, of a state what they become, and nodes of one."""
    known: dict[str, tuple[str, int]] = {}
    for node in graph.order:
        columns = graph.columns(node)
        for i, column in enumerate(columns):
            if column.type == "continuous":
                known.setdefault(column.name, (node, i))
                own = known[column.name] if is_part(graph, node) else (node, 0)
                known.update({node: own} if len(columns) == 1 else {})
    return known


def _logged(limit: Limit, graph: DecisionGraph, arrays: Mapping[str, FloatArray]) -> Limit:
    """The same with the spread of its column. Raises UserError where no logged row meets it."""
    source = limit.node if limit.node in arrays else None
    if source is None and limit.node in graph.transitions:
        source = graph.state_of(limit.node)
    if source is None or source not in arrays:
        return limit
    values = arrays[source][:, limit.column]
    values = values[np.isfinite(values)]
    share = float((limit.sign * (values - limit.bound) > 0).mean()) if len(values) else 0.0
    if len(values) and share == 1.0:
        what = f"no logged row meets {limit.text!r}: it was {values.min():g} to {values.max():g}"
        remedy = "a policy cannot be asked for what nobody has seen: choose a limit that some rows meet"
        raise UserError(Problem(what, place=PLACE, remedy=remedy))
    spread = float(values.std()) if len(values) else 0.0
    return Limit(limit.text, limit.node, limit.column, limit.bound, limit.sign, spread or 1.0, share)
