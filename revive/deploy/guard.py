"""A policy whose action is corrected, in each step, to what a venv's one-step prediction allows.

Training makes a policy keep its limits on average (`revive.policy.constraints`); no single action is corrected by that.
Here the action `a = pi(s)` becomes the nearest one to it that the venv says is allowed (a one-step projection as in the
safety layer of Dalal et al. 2018, arXiv:1801.08757, with the venv in place of a linear model),

    min |a' - a|   so that   excess_i(f(s, a')) <= 0   for every limit i,   low <= a' <= high,

distances in spans of the action's legal range. It is searched among fixed points that cover the range, then halved
towards the policy's own action. The range is the policy's own, and declared limits hold whatever the venv says; where
nothing is allowed, the action that exceeds least is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import qmc

from revive.deploy.policy_session import PolicySession
from revive.deploy.venv_session import VenvSession
from revive.errors import Problem, UserError
from revive.graph.limits import limits as declared
from revive.policy.constraints import Constraints

Arrays = dict[str, NDArray[np.float64]]
POINTS: Final = 64  # of the range that are asked about, each row
HALVINGS: Final = 10


@dataclass(frozen=True)
class Acted:
    """What the guard did in the last call, row by row.

    moved: (B,) whether it put another action in the place of the policy's. wanted: the policy's action, (B, d).
    excess: (B, limits) of the action that was returned, in units of the columns; above 0, not even this one is allowed.
    """

    moved: NDArray[np.bool_]
    wanted: NDArray[np.float64]
    excess: NDArray[np.float64]


class GuardedPolicy:
    """A policy and the venv that has a say in what it does.

    limits: as of `policy.constraints.limits`, e.g. 'next_temperature > -6'. `steps` and `interventions` count rows;
    `last` says what happened in the last call.

    Raises UserError for a limit that names no column of the venv, and for an action that has columns of categories or
    levels, between which there is no nearest one.
    """

    def __init__(self, policy: PolicySession, venv: VenvSession, limits: Sequence[str]) -> None:
        graph = venv.graph
        found = Constraints.of(limits, graph, {}, allowed=0.0, lr=1.0)
        if found is None:
            raise UserError(
                Problem("there is no limit to keep", place="limits", remedy="next_temperature > -6")
            )
        columns = policy.model.graph.columns(policy.target)
        odd = [column.name for column in columns if column.type != "continuous"]
        if policy.target not in graph.decisions or odd:
            what = f"'{policy.target}' is no decision of this venv"
            what = "a guard moves the action of one node" if len(policy.decided) > 1 else what
            what = f"only continuous actions can be moved: {', '.join(odd)}" if odd else what
            raise UserError(Problem(what, place="policy"))
        self.policy, self.venv, self.limits, self.target = policy, venv, found, policy.target
        self.low, self.high = self._range()
        points = qmc.Sobol(len(columns), scramble=False).random(POINTS)
        ends = np.array(np.meshgrid(*[[0.0, 1.0]] * len(columns))).reshape(len(columns), -1).T[:POINTS]
        self._points = self.low + np.concatenate([points, ends]) * (self.high - self.low)  # (K, d)
        self.steps = self.interventions = 0
        self.last: Acted | None = None

    def act(self, observation: Mapping[str, ArrayLike]) -> Arrays:
        """Every leaf of the venv and what the policy sees, node -> (B, d) or (d,), to {target: (B, d) or (d,)}.

        Physical units. Raises UserError where the policy or the venv lacks something.
        """
        single = np.ndim(next(iter(observation.values()))) == 1
        seen = {
            name: np.atleast_2d(np.asarray(value, dtype=np.float64)) for name, value in observation.items()
        }
        wanted = np.asarray(self.policy.act(seen)[self.target])
        wanted = np.clip(wanted, self.low, self.high)
        action, excess = wanted.copy(), self._excess(seen, wanted)
        rows = np.flatnonzero((excess > 0).any(-1))
        if len(rows):
            some = {name: value[rows] for name, value in seen.items()}
            action[rows] = self._moved(some, wanted[rows])
            excess[rows] = self._excess(some, action[rows])
        moved = (action != wanted).any(-1)
        self.last = Acted(moved, wanted, excess)
        self.steps, self.interventions = self.steps + len(moved), self.interventions + int(moved.sum())
        return {self.target: action[0] if single else action}

    def _moved(
        self, seen: Mapping[str, NDArray[np.float64]], wanted: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The nearest allowed action of each row, (b, d); where none is, the one that exceeds least."""
        b, k = len(wanted), len(self._points)
        points = np.broadcast_to(self._points, (b, k, wanted.shape[1]))
        every = {name: np.repeat(value, k, axis=0) for name, value in seen.items()}
        excess = self._excess(every, points.reshape(b * k, -1)).max(-1).reshape(b, k)
        span = np.where(self.high > self.low, self.high - self.low, 1.0)
        far = np.square((points - wanted[:, None]) / span).sum(-1)
        allowed = excess <= 0
        best = np.where(allowed.any(1), np.where(allowed, far, np.inf).argmin(1), excess.argmin(1))
        found = points[np.arange(b), best].copy()
        worse = wanted.copy()
        for _ in range(HALVINGS):  # towards the policy's action, as far as that is allowed
            middle = 0.5 * (found + worse)
            ok = (self._excess(seen, middle).max(-1) <= 0) & allowed.any(1)
            found, worse = np.where(ok[:, None], middle, found), np.where(ok[:, None], worse, middle)
        return found

    def _excess(self, seen: Mapping[str, Any], action: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much the members' mean prediction of one step exceeds each limit, (B, limits)."""
        found = self.venv.step({**self._leaves(seen), self.target: action})
        values = {name: torch.as_tensor(value) for name, value in {**seen, **found}.items()}
        return np.stack([limit.excess(values).numpy() for limit in self.limits.limits], axis=-1)

    def _leaves(self, seen: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in seen.items() if name in self.venv.graph.leaves}

    def _range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The policy's range within the declared limits, (d,) each, physical."""
        model = self.policy.model
        codec = model.codec[self.target]
        edges = [codec.decode(edge.double()[None])[0].cpu().numpy() for edge in (model.low, model.high)]
        least, most = declared(model.graph.columns(self.target))
        low, high = (np.clip(edge, least, most) for edge in (np.minimum(*edges), np.maximum(*edges)))
        return low, high

    def __repr__(self) -> str:
        texts = ", ".join(limit.text for limit in self.limits.limits)
        return f"GuardedPolicy({self.target}; {texts}; acted {self.interventions} of {self.steps} times)"
