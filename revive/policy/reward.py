"""The user's reward function: loaded from the file that the experiment names, and tried on the logs first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from revive.data.trajectories import FloatArray, Trajectories
from revive.errors import Problem, Problems, UserError
from revive.policy.reward_help import Columns, NodeData, explained, row_told, wrong_shape, wrong_type
from revive.user_code import annotated_library, load_module, require_function

_log = logging.getLogger("revive")
_Way = Literal["tensors", "arrays", "detached"]  # what a reward function takes
_WAYS: Final[tuple[_Way, ...]] = ("tensors", "arrays", "detached")
_EDGE: Final = (
    1e-4  # of a column's range that a value is kept away from its ends, where slopes are often infinite
)


@dataclass(frozen=True)
class Logged:
    """Where the reward is known to be a number: node -> the least and the largest logged value, (d,) each, and a row
    (1, d) in between; and the lowest reward that was logged."""

    low: Mapping[str, Tensor]
    high: Mapping[str, Tensor]
    row: Mapping[str, Tensor]
    worst: float

    @classmethod
    def of(cls, logs: Trajectories, reward: Tensor) -> Logged:
        """reward: of the rows of `logs`, (N,)."""
        data = {k: torch.as_tensor(v, dtype=torch.float32) for k, v in logs.arrays.items()}
        usual = int(reward.argsort()[len(reward) // 2])
        margin = {k: _EDGE * (v.amax(0) - v.amin(0)) for k, v in data.items()}
        low = {k: v.amin(0) + margin[k] for k, v in data.items()}
        high = {k: v.amax(0) - margin[k] for k, v in data.items()}
        return cls(low, high, {k: v[usual : usual + 1] for k, v in data.items()}, float(reward.min()))

    def nearest(self, data: Mapping[str, Tensor], where: Tensor) -> dict[str, Tensor]:
        """The data with the rows `where` (N,) moved into the logged range."""
        moved = dict(data)
        for name in self.low.keys() & data.keys():
            value = data[name]
            inside = value.clamp(self.low[name].to(value), self.high[name].to(value))
            moved[name] = torch.where(where.unsqueeze(-1), inside, value)
        return moved

    def usual(self, data: Mapping[str, Tensor], where: Tensor) -> dict[str, Tensor]:
        """The data with a logged row in place of the rows `where` (N,)."""
        return {
            name: torch.where(where.unsqueeze(-1), self.row[name].to(value), value)
            if name in self.row
            else value
            for name, value in data.items()
        }


class Reward:
    """`get_reward(data)`: node -> (N, d) in physical units, to (N, 1) or (N,), larger is better; or a dict of such
    terms by name, whose sum is the reward and which are reported apart.

    A function of numpy arrays is called with those, and passes on no gradient. logged: where a reward that is no
    number is asked again, at the nearest logged values; None lets it through. columns: names, for messages.
    """

    def __init__(
        self,
        function: Callable[[dict[str, Any]], Any],
        path: Path,
        logged: Logged | None = None,
        columns: Columns | None = None,
    ) -> None:
        self.function, self.path, self.logged, self.columns = function, path, logged, columns or {}
        self._said = False
        self.takes: _Way = "arrays" if annotated_library(function) == "numpy" else "tensors"

    @classmethod
    def load(cls, path: Path, source: bytes | None = None, columns: Columns | None = None) -> Reward:
        """Raises UserError where the file cannot be run or has no `get_reward`.

        source: as of `load_module`. columns: node -> names, so that a message can tell how a column is written.
        """
        module = load_module(path, source)
        require_function(module, "get_reward", path)
        return cls(module.get_reward, path, columns=columns)

    @classmethod
    def of(cls, given: str | Path | Callable[..., Any]) -> Reward:
        """A reward file, or its get_reward. Raises UserError as `load` does."""
        if isinstance(given, str | Path):
            return cls.load(Path(given))
        return cls(given, Path(getattr(given, "__name__", "reward")))

    def within(self, logs: Trajectories, reward: Tensor) -> Reward:
        """The same, which is a number wherever it is asked. reward: of the rows of `logs`, (N,)."""
        made = Reward(self.function, self.path, Logged.of(logs, reward), self.columns)
        made.takes = self.takes
        return made

    def __call__(self, data: Mapping[str, Tensor]) -> Tensor:
        """data: node -> (..., d) in physical units of one shape (...) -> reward (...).

        Raises UserError for a wrong type or shape.
        """
        lead = next(iter(data.values())).shape[:-1]
        flat = {name: value.reshape(-1, value.shape[-1]) for name, value in data.items()}
        reward = self._of_rows(flat)
        bad = ~torch.isfinite(reward)
        if self.logged is not None and bool(bad.any()):
            for value in flat.values():  # where a rollout has run away, nothing is near
                bad &= torch.isfinite(value).all(-1)
            reward = self._at_the_nearest(flat, bad, self.logged) if bool(bad.any()) else reward
        return reward.reshape(lead)

    def _at_the_nearest(self, data: Mapping[str, Tensor], bad: Tensor, logged: Logged) -> Tensor:
        """The reward with the rows `bad` asked inside the logged range; the worst logged one where that is no number
        either. No row is evaluated where it has none, so that no gradient is NaN."""
        if not self._said:
            self._said = True
            what = "%s: get_reward is no number at some values that were not logged; "
            what += "it is asked at the nearest logged ones"
            _log.warning(what, self.path)
        moved = logged.nearest(data, bad)
        reward = self._of_rows(moved)
        still = bad & ~torch.isfinite(reward)
        if not bool(still.any()):
            return reward
        reward = self._of_rows(logged.usual(moved, still))
        return torch.where(still, torch.full_like(reward, logged.worst), reward)

    def _of_rows(self, data: Mapping[str, Tensor]) -> Tensor:
        """node -> (N, d) to (N,). Raises UserError for a wrong type or shape."""
        like, found = next(iter(data.values())), self._asked(data)
        if not isinstance(found, Mapping):
            return self._checked(found, like, "get_reward")
        parts = [self._checked(term, like, f"the term {name!r}") for name, term in found.items()]
        if not parts:
            raise UserError(Problem("get_reward returned no terms", self.path, remedy="return at least one"))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    @torch.no_grad()
    def terms(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """node -> (..., d) in physical units -> term -> (...), as the user names them; empty for a reward of one part.

        Where a term is no number it is left so.
        """
        lead = next(iter(data.values())).shape[:-1]
        flat = {name: value.reshape(-1, value.shape[-1]) for name, value in data.items()}
        found, like = self._asked(flat), next(iter(flat.values()))
        if not isinstance(found, Mapping):
            return {}
        return {str(k): self._checked(v, like, f"the term {k!r}").reshape(lead) for k, v in found.items()}

    def _checked(self, reward: Any, like: Tensor, what: str) -> Tensor:
        """What the function returned for the rows of `like` as (N,)."""
        if not isinstance(reward, Tensor):
            reward = _as_tensor(reward, self.path, what)
        if reward.is_complex():
            said = f"{what} is complex" if what != "get_reward" else "get_reward returned complex numbers"
            raise UserError(Problem(said, self.path, remedy="return real ones: .real or .abs()"))
        rows = len(like)
        if tuple(reward.shape) not in {(rows, 1), (rows,)}:
            returned = f"{what} returned" if what == "get_reward" else f"get_reward returned {what} with"
            said, remedy = wrong_shape(tuple(reward.shape), rows, self.columns)
            what = f"{returned} shape {tuple(reward.shape)} for {rows} rows: {said}"
            raise UserError(Problem(what, self.path, remedy=remedy))
        return reward.to(like.device, torch.float32).reshape(rows)

    def _asked(self, data: Mapping[str, Tensor]) -> Any:
        """What the function returns for tensors; for arrays, or for tensors without a gradient, where that fails.

        The way that worked is kept. Raises UserError with what went wrong for the first way.
        """
        first: BaseException | None = None
        for way in _WAYS[_WAYS.index(self.takes) :]:
            try:
                found = self.function(_given(way, data, self.columns))
            except (Exception, SystemExit) as error:
                first = first or error
                continue
            self.takes = way
            return found
        assert first is not None
        raise UserError(explained(self.path, first, self.columns)) from first

    @torch.no_grad()
    def of_logs(self, logs: Trajectories) -> Tensor:
        """The reward of every logged row, (N,), after checking what the function does with them.

        Raises UserError, with every problem found, for non-finite rewards and for rows that depend on
        which other rows stand in the batch.
        """
        data = {k: torch.as_tensor(v, dtype=torch.float32) for k, v in logs.arrays.items()}
        reward = self({name: value.clone() for name, value in data.items()})
        problems = Problems()
        bad = (~torch.isfinite(reward)).nonzero().flatten()
        if len(bad):
            what = f"get_reward is not finite on {len(bad)} of {len(reward)} logged rows"
            first = int(bad[0])
            there = row_told(data, first, self.columns)
            remedy = "logarithms, roots and divisions need a safe argument, e.g. x.clamp(min=1e-6)"
            remedy += f"; in that row: {there}" if there else ""
            problems.add(what, file=self.path, place=f"first at data row {first}", remedy=remedy)
        else:
            some = torch.randperm(len(reward), generator=torch.Generator().manual_seed(0))
            some = some[: max(1, min(256, len(reward) // 2))]
            alone = self({name: value[some] for name, value in data.items()})
            if not torch.allclose(alone, reward[some], rtol=1e-4, atol=1e-5):
                problems.add(
                    "get_reward gives a row another reward when other rows stand beside it",
                    file=self.path,
                    remedy="compute every row from itself alone: no mean, max or sort over the first axis",
                )
        problems.raise_if_any()
        return reward

    def has_gradient(self, arrays: Mapping[str, FloatArray], nodes: Sequence[str]) -> bool:
        """Whether autograd finds an effect of any of `nodes` on the reward of logged rows.

        arrays: node -> (N, d) in physical units. False for a reward of comparisons alone, or one that leaves torch.
        """
        data = {k: torch.as_tensor(v[:1000], dtype=torch.float32) for k, v in arrays.items()}
        leaves = {name: data[name].requires_grad_() for name in nodes if name in data}
        reward = self(data)
        if not reward.requires_grad:
            return False
        found = torch.autograd.grad(reward.sum(), list(leaves.values()), allow_unused=True)
        return any(g is not None and bool((g != 0).any()) for g in found)


def _given(way: _Way, data: Mapping[str, Tensor], columns: Columns) -> NodeData:
    if way == "tensors":
        return NodeData(data, columns)
    plain = {name: value.detach() for name, value in data.items()}
    if way == "detached":
        return NodeData(plain, columns)
    return NodeData({name: value.cpu().numpy().astype(np.float64) for name, value in plain.items()}, columns)


def _as_tensor(reward: Any, path: Path, what: str) -> Tensor:
    if not isinstance(reward, np.ndarray) or reward.dtype.kind not in "fiub":
        found = type(reward).__name__
        said = "get_reward returned" if what == "get_reward" else f"get_reward returned {what} as"
        raise UserError(
            Problem(f"{said} a {found}, not a tensor or an array", path, remedy=wrong_type(reward))
        )
    return torch.as_tensor(reward.astype(np.float64))
