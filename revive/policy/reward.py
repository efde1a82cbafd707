"""The user's reward function: loaded from the file that the experiment names, and tried on the logs first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from revive.data.trajectories import FloatArray, Trajectories
from revive.errors import Problem, Problems, UserError, suggestion
from revive.user_code import load_module, raised_in, require_function


class _NodeData(dict[str, Tensor]):
    """The dict a reward function gets; a wrong node name ends in a message that lists the right ones."""

    def __missing__(self, key: str) -> Tensor:
        raise KeyError(f"there is no node '{key}' ({suggestion(key, self)})")


class Reward:
    """`get_reward(data)`: node -> (N, d) in physical units, to (N, 1) or (N,), larger is better."""

    def __init__(self, function: Callable[[dict[str, Tensor]], Tensor], path: Path) -> None:
        self.function = function
        self.path = path

    @classmethod
    def load(cls, path: Path) -> Reward:
        """Raises UserError where the file cannot be run or has no `get_reward`."""
        module = load_module(path)
        require_function(module, "get_reward", path)
        return cls(module.get_reward, path)

    def __call__(self, data: Mapping[str, Tensor]) -> Tensor:
        """data: node -> (..., d) in physical units of one shape (...) -> reward (...).

        Raises UserError for a wrong type or shape.
        """
        lead = next(iter(data.values())).shape[:-1]
        flat = _NodeData({name: value.reshape(-1, value.shape[-1]) for name, value in data.items()})
        rows = next(iter(flat.values())).shape[0]
        try:
            reward = self.function(flat)
        except Exception as error:
            raise UserError(raised_in(self.path, error)) from error
        if not isinstance(reward, Tensor):
            found = type(reward).__name__
            raise UserError(Problem(f"get_reward returned a {found}, not a tensor", self.path))
        if tuple(reward.shape) not in {(rows, 1), (rows,)}:
            raise UserError(
                Problem(
                    f"get_reward returned shape {tuple(reward.shape)} for {rows} rows",
                    self.path,
                    remedy=f"return ({rows}, 1): slice columns with data[node][..., 0:1], and reduce no rows",
                )
            )
        return reward.to(torch.float32).reshape(lead)

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
            problems.add(what, file=self.path, place=f"first at data row {int(bad[0])}")
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
