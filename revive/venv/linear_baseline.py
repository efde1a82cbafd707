"""What a plain linear model would say: an ARX of two steps, rolled out over the same windows as the venv.

    x_{t+1} = A0 x_t + A1 x_{t-1} + B0 u_t + B1 u_{t-1} + c

by ridge regression on the rows of the half that the venv learned from, in model space (Ljung, System Identification,
1999). u is all that is recorded: decisions and exogenous values. A venv that is no better is not worth its networks.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from revive.data.windows import Rows
from revive.venv.validation import judged_transitions, unseen_windows
from revive.venv.virtual_env import VirtualEnv

Array = NDArray[np.float64]
RIDGE = 1e-3  # per row, in model space
CAP = 1e3  # in model space: a linear model that runs away is as bad as that


def arx_error(venv: VirtualEnv, rows: Rows, horizon: int = 100) -> dict[str, Array]:
    """Transition -> (halves, T, d), the mean absolute error of the ARX at each step, physical units, NaN: no data.

    Over the windows of `validation.rollout_error`. Empty where no transition has data of its own.
    """
    nodes = judged_transitions(venv, rows)
    if not nodes:
        return {}
    horizon = min(horizon, int(rows.lengths.max()))
    windows = unseen_windows(venv, rows, horizon)
    per_half = venv.members // venv.halves
    states = [venv.graph.state_of(name) for name in nodes]
    inputs = _recorded(venv, rows, states)
    found: dict[str, list[Array]] = {name: [] for name in nodes}
    for half in range(venv.halves):
        weights = _fitted(rows, rows.parts[half], nodes, states, inputs)
        index, valid = windows.index[:, half * per_half], windows.valid[:, half * per_half]  # (T, B)
        rolled = _rolled(rows, index, states, inputs, weights)
        for name, part in zip(nodes, rolled.split([venv.codec.width(n) for n in nodes], -1), strict=True):
            codec = venv.codec[name]
            guess = codec.decode(part if codec.layout.is_plain else codec.project(part))
            error = (guess - codec.decode(rows.values[name][index])).abs()
            for i, column in enumerate(codec.columns):
                if column.type == "category":
                    error[..., i] = (error[..., i] > 1e-6).float()
                elif column.cycle is not None:
                    error[..., i] = torch.minimum(error[..., i], column.cycle - error[..., i])
            known = rows.weight(name, index)
            weight = valid.unsqueeze(-1).float()
            if known is not None:
                weight = weight * known[..., [codec.terms.index(i) for i in range(len(codec.columns))]]
            total = (error * weight).sum(1) / weight.sum(1)
            found[name].append(total.double().cpu().numpy())
    return {name: np.stack(parts) for name, parts in found.items()}


def _recorded(venv: VirtualEnv, rows: Rows, states: list[str]) -> list[str]:
    names = (*venv.replayed_nodes, *venv.graph.decisions)
    return [name for name in dict.fromkeys(names) if name in rows.values and name not in states]


def _features(rows: Rows, index: Tensor, names: list[str]) -> Tensor:
    """(..., widths) of all names side by side."""
    parts = [rows.values[name][index].double() for name in names]
    return torch.cat(parts, -1) if parts else torch.zeros(*index.shape, 0, dtype=torch.float64)


def _before(rows: Rows, index: Tensor) -> Tensor:
    """The row before, or the first of the trajectory."""
    start = rows.starts[torch.searchsorted(rows.starts, index.contiguous(), right=True) - 1]
    return torch.maximum(index - 1, start)


def _fitted(rows: Rows, part: range, nodes: tuple[str, ...], states: list[str], inputs: list[str]) -> Tensor:
    """(regressors, widths) of the ridge regression on the rows of a part."""
    index = torch.arange(part.start, part.stop, device=rows.device)
    before = _before(rows, index)
    x = torch.cat([_features(rows, i, names) for names in (states, inputs) for i in (index, before)], -1)
    x = torch.cat([x, torch.ones_like(x[:, :1])], -1)
    y = _features(rows, index, list(nodes))
    gram = x.T @ x
    gram += RIDGE * len(x) * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(gram, x.T @ y)


def _rolled(rows: Rows, index: Tensor, states: list[str], inputs: list[str], weights: Tensor) -> Tensor:
    """(T, B) rows of windows -> (T, B, widths) in model space."""
    u, u_before = _features(rows, index, inputs), _features(rows, _before(rows, index), inputs)
    x = _features(rows, index[0], states)
    previous = _features(rows, _before(rows, index[0]), states)
    found = []
    for t in range(len(index)):
        row = torch.cat([x, previous, u[t], u_before[t], torch.ones_like(x[:, :1])], -1)
        previous, x = x, (row @ weights).clamp(-CAP, CAP)
        found.append(x)
    return torch.stack(found).float()
