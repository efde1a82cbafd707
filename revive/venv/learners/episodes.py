"""Rollouts in which all learned nodes act, beside the logged rows that they began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.windows import Rows, Segments
from revive.venv.virtual_env import VirtualEnv


@dataclass(frozen=True)
class Episodes:
    """rolled, data: node -> (T, M, B, d) in model space. index, valid: the rows of data, (T, M, B). past: of histories
    before the first step. noise: learned node -> (T, M, B, d).
    """

    rolled: dict[str, Tensor]
    data: dict[str, Tensor]
    index: Tensor
    valid: Tensor
    past: dict[str, Tensor]
    noise: dict[str, Tensor]

    @property
    def steps(self) -> int:
        return len(self.index)


@torch.no_grad()
def closed_loop(
    venv: VirtualEnv, rows: Rows, segments: Segments, steps: int, windows: int, generator: torch.Generator
) -> Episodes:
    """Every learned node sampled, exogenous values replayed, from logged states."""
    first, stop = segments.sample(windows, steps, generator)
    index, valid = rows.windows(first, steps, stop)
    data, past = rows.at(index), rows.past(first)
    noise = venv.noise(steps, windows, generator)
    start = {name: data[name][0] for name in venv.start_nodes}
    rolled = venv.rollout(start, {n: data[n] for n in venv.replayed_nodes}, steps, past=past, noise=noise)
    return Episodes(rolled, data, index, valid, past, noise)


def pieces(venv: VirtualEnv, episodes: Episodes, length: int) -> tuple[dict[str, Tensor], Tensor]:
    """The same episodes again in pieces of `length` steps side by side, with gradients that end where a piece begins.

    Node -> (length, M, pieces * B, d), and the step of the episode that each begins with, (pieces,). What does not fill
    a last piece is left out.
    """
    count = max(1, episodes.steps // length)
    length = min(length, episodes.steps)
    begins = torch.arange(count) * length
    start = {name: _beside([episodes.rolled[name][t] for t in begins]) for name in venv.start_nodes}
    given = {name: cut(episodes.data[name], begins, length) for name in venv.replayed_nodes}
    noise = {name: cut(eps, begins, length) for name, eps in episodes.noise.items()}
    past = {name: _beside([_past_at(venv, episodes, name, int(t)) for t in begins]) for name in episodes.past}
    return venv.rollout(start, given, length, past=past, noise=noise), begins


def cut(series: Tensor, begins: Tensor, length: int) -> Tensor:
    """(T, M, B, d) -> (length, M, pieces * B, d)."""
    return torch.cat([series[t : t + length] for t in begins.tolist()], dim=2)


def before(series: Tensor, begins: Tensor, steps: int) -> Tensor:
    """The steps before pieces, (T, M, B, d) -> (steps, M, pieces * B, d); the first stands for earlier ones."""
    return torch.cat([series[(torch.arange(t - steps, t)).clamp_min(0)] for t in begins.tolist()], dim=2)


def _beside(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts, dim=1)


def _past_at(venv: VirtualEnv, episodes: Episodes, name: str, step: int) -> Tensor:
    """The frames of a history before a step: of what was rolled out, and of the logs before that; (M, B, n)."""
    before = episodes.past[name]
    spec = venv.graph[name].history
    assert spec is not None
    rolled = episodes.rolled[spec.source][:step].permute(1, 2, 0, 3).flatten(2)
    return torch.cat([before, rolled], dim=-1)[..., rolled.shape[-1] :]


def misses(
    values: Mapping[str, Tensor],
    data: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    sigma: Mapping[str, Tensor],
) -> Tensor:
    """How far values are from what was logged at that step, in stated standard deviations, at most 5: (T, M, B).

    known: node -> 0 where an element was not logged, (T, M, B, d). sigma: node -> (M, 1, d).
    """
    total = [((values[n] - data[n]).abs() / sigma[n]).clamp_max(5.0).mul(known[n]).mean(-1) for n in known]
    return torch.stack(total).mean(0) if total else torch.zeros_like(next(iter(values.values()))[..., 0])
