"""How far a venv can be trusted: open-loop rollouts against data that its members never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from revive.data.windows import Rows
from revive.venv.virtual_env import VirtualEnv

Array = NDArray[np.float64]
HORIZONS = (1, 10, 50, 100)


@dataclass(frozen=True)
class RolloutError:
    """Errors of open-loop rollouts (recorded decisions and exogenous values), in physical units.

    venv, persistence: transition -> (halves, T, d), the mean absolute error of the members' mean, and of
    "nothing changes", at each step; half i was learned from part i of the data and judged on the other.
    windows: the number of windows of each half; they overlap.
    spread: transition -> (d,), the standard deviation of the data, to compare columns by.
    """

    venv: dict[str, Array]
    persistence: dict[str, Array]
    spread: dict[str, Array]
    windows: tuple[int, ...]

    @property
    def horizon(self) -> int:
        return next(iter(self.venv.values())).shape[1]

    def mean_until(self, steps: int, half: int | None = 0, of: str = "venv") -> float:
        """Mean absolute error over the first `steps` steps and all columns; half None means both."""
        table: dict[str, Array] = getattr(self, of)
        halves = slice(None) if half is None else slice(half, half + 1)
        per_column = np.concatenate([v[halves, :steps].mean((0, 1)) for v in table.values()])
        return float(per_column.mean())

    def by_horizon(self, half: int | None = 0, of: str = "venv") -> dict[str, float]:
        """`mean_until` for the usual horizons that the data is long enough for."""
        return {str(h): self.mean_until(h, half, of) for h in HORIZONS if h <= self.horizon}

    def by_column(self, columns: dict[str, list[str]]) -> dict[str, Any]:
        """Column -> its error over the whole horizon on the validation half, venv and persistence."""
        return {
            label: {
                "venv": float(value[0, :, i].mean()),
                "persistence": float(self.persistence[node][0, :, i].mean()),
            }
            for node, value in self.venv.items()
            for i, label in enumerate(columns[node])
        }


@dataclass(frozen=True)
class Windows:
    """Windows of the other half's rows under each member: first rows (M, B), data (T, M, B, d), validity."""

    first: Tensor
    data: dict[str, Tensor]
    valid: Tensor


def unseen_windows(venv: VirtualEnv, rows: Rows, horizon: int, most: int = 200) -> Windows:
    """At most `most` windows, evenly spread over the half that a member did not learn from."""
    per_half = venv.members // venv.halves
    firsts = []
    for half in range(venv.halves):
        part = rows.parts[1 - half]
        room = torch.arange(part.start, part.stop)
        fits = room[rows.ends[room] - room >= horizon]
        fits = fits if len(fits) else room
        pick = torch.linspace(0, len(fits) - 1, min(most, len(fits))).long()
        firsts.append(fits[pick])
    size = min(len(first) for first in firsts)
    first = torch.cat([f[torch.linspace(0, len(f) - 1, size).long()].expand(per_half, -1) for f in firsts])
    index, valid = rows.windows(first, horizon)
    return Windows(first, rows.at(index), valid)


@torch.no_grad()
def replay(venv: VirtualEnv, windows: Windows, noise_seed: int | None = None) -> dict[str, Tensor]:
    """Open-loop rollout of the windows, node -> (T, M, B, d) in model space; sampled with a seed."""
    data, graph = windows.data, venv.graph
    horizon = windows.valid.shape[0]
    noise = None
    if noise_seed is not None:
        generator = torch.Generator().manual_seed(noise_seed)
        noise = {n: torch.randn(data[n].shape, generator=generator) for n in graph.transitions}
    given = {name: data[name] for name in (*graph.exogenous, *graph.decisions)}
    return venv.rollout({name: data[name][0] for name in graph.states}, given, horizon, noise=noise)


@torch.no_grad()
def rollout_error(venv: VirtualEnv, rows: Rows, horizon: int = 100) -> RolloutError:
    """Judge every half's members on the other half, over `horizon` steps or the longest trajectory."""
    horizon = min(horizon, int(rows.lengths.max()))
    windows = unseen_windows(venv, rows, horizon)
    rolled = replay(venv, windows)
    model: dict[str, Array] = {}
    still: dict[str, Array] = {}
    spread: dict[str, Array] = {}
    shape = (horizon, venv.halves, venv.members // venv.halves, -1)
    weight = windows.valid.float().reshape(*shape)[:, :, 0, :, None]  # (T, halves, B, 1)
    for name in venv.graph.transitions:
        state, codec = venv.graph.state_of(name), venv.codec[name]
        truth = windows.data[name].reshape(*shape, venv.graph[name].width)[:, :, 0]
        mean = rolled[name].reshape(*shape, venv.graph[name].width).mean(2)
        start = windows.data[state].reshape(*shape, venv.graph[name].width)[:1, :, 0]
        for table, guess in ((model, mean), (still, start)):
            error = ((guess - truth) * codec.scale).abs() * weight
            total = error.sum(2) / weight.sum(2).clamp_min(1)  # (T, halves, d)
            table[name] = total.transpose(0, 1).double().numpy()
        spread[name] = (rows.values[state].std(0) * codec.scale).double().numpy()
    return RolloutError(model, still, spread, (windows.first.shape[1],) * venv.halves)
