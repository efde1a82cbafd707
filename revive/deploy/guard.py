"""A policy whose action is corrected, in each step, to what a venv's one-step prediction allows.

Training makes a policy keep its limits on average (`revive.policy.constraints`); no single action is corrected by that.
Here the action `a = pi(s)` becomes the nearest one to it that the venv says is allowed (a one-step projection as in the
safety layer of Dalal et al. 2018, arXiv:1801.08757, with the venv in place of a linear model),

    min |a' - a|   so that   excess_i(f(s, a')) <= 0   for every limit i,   low <= a' <= high,

distances in spans of the action's legal range, from one category to another a whole span. It is searched among points
that cover the range and points in which one column alone is moved; then its numbers are moved towards the policy's own
action by bisection, while levels and categories stay. Several nodes that a policy decides together are one action. The
range is the policy's own, and declared limits hold whatever the venv says; where nothing is allowed, the action that
exceeds least is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from revive.deploy.action_points import ActionPoints
from revive.deploy.policy_session import PolicySession
from revive.deploy.venv_session import VenvSession
from revive.errors import Problem, UserError, suggestion
from revive.graph.joint import side_by_side, split
from revive.policy.constraints import Constraints

Arrays = dict[str, NDArray[np.float64]]
HALVINGS: Final = 10


@dataclass(frozen=True)
class Acted:
    """What the guard did in the last call, row by row.

    moved: (B,) whether it put another action in the place of the policy's. wanted: the policy's action, (B, d), the
    nodes side by side in the order of `PolicySession.decided`.
    excess: (B, limits) of the action that was returned, in units of the columns; above 0, not even this one is allowed.
    """

    moved: NDArray[np.bool_]
    wanted: NDArray[np.float64]
    excess: NDArray[np.float64]


class GuardedPolicy:
    """A policy and the venv that has a say in what it does.

    limits: as of `policy.constraints.limits`, e.g. 'next_temperature > -6'. `steps` and `interventions` count rows;
    `last` says what happened in the last call.

    Raises UserError for a limit that names no column of the venv, and for a node that is no decision of it.
    """

    def __init__(self, policy: PolicySession, venv: VenvSession, limits: Sequence[str]) -> None:
        graph = venv.graph
        found = Constraints.of(limits, graph, {}, allowed=0.0, lr=1.0)
        if found is None:
            raise UserError(
                Problem("there is no limit to keep", place="limits", remedy="next_temperature > -6")
            )
        if foreign := [name for name in policy.decided if name not in graph.decisions]:
            remedy = suggestion(foreign[0], graph.decisions)
            raise UserError(
                Problem(f"'{foreign[0]}' is no decision of this venv", place="policy", remedy=remedy)
            )
        self.policy, self.venv, self.limits, self.target = policy, venv, found, policy.target
        self._points = ActionPoints.of(policy.model)
        self.low, self.high = self._points.low, self._points.high
        self.steps = self.interventions = 0
        self.last: Acted | None = None

    def act(self, observation: Mapping[str, ArrayLike]) -> Arrays:
        """Every leaf of the venv and what the policy sees, node -> (B, d) or (d,), to the same of what is decided.

        Physical units. Raises UserError where the policy or the venv lacks something.
        """
        single = np.ndim(next(iter(observation.values()))) == 1
        seen = {
            name: np.atleast_2d(np.asarray(value, dtype=np.float64)) for name, value in observation.items()
        }
        graph = self.policy.model.graph
        wanted = np.clip(side_by_side(graph, self.target, self.policy.act(seen)), self.low, self.high)
        action, excess = wanted.copy(), self._excess(seen, wanted)
        rows = np.flatnonzero((excess > 0).any(-1))
        if len(rows):
            some = {name: value[rows] for name, value in seen.items()}
            action[rows] = self._moved(some, wanted[rows])
            excess[rows] = self._excess(some, action[rows])
        moved = (action != wanted).any(-1)
        self.last = Acted(moved, wanted, excess)
        self.steps, self.interventions = self.steps + len(moved), self.interventions + int(moved.sum())
        return split(graph, self.target, action[0] if single else action)

    def _moved(
        self, seen: Mapping[str, NDArray[np.float64]], wanted: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The nearest allowed action of each row, (b, d); where none is, the one that exceeds least."""
        points = self._points.around(wanted)  # (b, k, d)
        b, k, d = points.shape
        every = {name: np.repeat(value, k, axis=0) for name, value in seen.items()}
        excess = self._excess(every, points.reshape(b * k, d)).max(-1).reshape(b, k)
        far = self._points.distance(points, wanted)
        allowed = excess <= 0
        best = np.where(allowed.any(1), np.where(allowed, far, np.inf).argmin(1), excess.argmin(1))
        found, some = points[np.arange(b), best].copy(), allowed.any(1)
        steps = [self._points.moves, *np.diag(self._points.moves)] if d > 1 else [self._points.moves]
        for columns in steps:  # towards the policy's action, all columns together, then each of them alone
            if columns.any():
                found = self._nearer(seen, found, np.where(columns, wanted, found), some)
        return found

    def _nearer(
        self,
        seen: Mapping[str, NDArray[np.float64]],
        found: NDArray[np.float64],
        goal: NDArray[np.float64],
        some: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """As near to `goal` as is allowed between it and `found`, (b, d); rows where `some`, (b,), is false stay."""
        tried = goal
        for _ in range(HALVINGS + 1):
            ok = ((self._excess(seen, tried).max(-1) <= 0) & some)[:, None]
            found, goal = np.where(ok, tried, found), np.where(ok, goal, tried)
            tried = 0.5 * (found + goal)
        return found

    def _excess(self, seen: Mapping[str, Any], action: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much the members' mean prediction of one step exceeds each limit, (B, limits)."""
        done = split(self.policy.model.graph, self.target, action)
        found = self.venv.step({**self._leaves(seen), **done})
        values = {name: torch.as_tensor(value) for name, value in {**seen, **found}.items()}
        return np.stack([limit.excess(values).numpy() for limit in self.limits.limits], axis=-1)

    def _leaves(self, seen: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in seen.items() if name in self.venv.graph.leaves}

    def __repr__(self) -> str:
        texts = ", ".join(limit.text for limit in self.limits.limits)
        decided = ", ".join(self.policy.decided)
        return f"GuardedPolicy({decided}; {texts}; acted {self.interventions} of {self.steps} times)"
