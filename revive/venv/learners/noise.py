"""Where readings are noisy, and how much a reading should count: tried on rows that members left out.

With the dynamics as they are after the one-step rounds, every gain of a grid filters the same windows; the gain whose
one-step predictions miss the next reading by least is taken, column by column. Where a reading is the state, no gain
predicts better than 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from revive.data.windows import Rows, Segments
from revive.venv.judging import rollout_errors
from revive.venv.observer import BURN_IN
from revive.venv.virtual_env import VirtualEnv

GRID = (1.0, 0.85, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08)
LEAST_FALL = 0.02  # of the mean square, for a column to be taken for noisy
WINDOWS = 64  # per member


@torch.no_grad()
def find_gains(venv: VirtualEnv, rows: Rows, unseen: Segments, nodes: Sequence[str]) -> dict[str, Tensor]:
    """Transition -> gains (M, 1, continuous) of those that have a noisy column.

    `nodes` are observed by `venv` already, and are left with the last gain of the grid.
    """
    errors: dict[str, list[Tensor]] = {name: [] for name in nodes}  # of (halves, continuous), one per gain
    for gain in GRID:
        for name in nodes:
            observer = venv.observer(name)
            observer.set(torch.full_like(observer.logit, gain))
        for name, error in _one_step(venv, rows, unseen, nodes).items():
            errors[name].append(error)
    found = {}
    for name, of_gain in errors.items():
        table = torch.stack(of_gain)  # (gains, halves, continuous)
        fall = 1.0 - (table.amin(0) / table[0].clamp_min(1e-12)).mean(0)
        if (fall > LEAST_FALL).any():
            best = torch.tensor(GRID, device=venv.device)[table.argmin(0)]
            found[name] = best.repeat_interleave(venv.members // venv.halves, 0).unsqueeze(1)
    return found


def observe_noisy(venv: VirtualEnv, rows: Rows, unseen: Segments, nodes: Sequence[str]) -> tuple[str, ...]:
    """Give those of `nodes` that have a noisy column an observer, with the gains of `find_gains`; their names."""
    venv.observe(nodes)
    gains = find_gains(venv, rows, unseen, nodes)
    for name in nodes:
        if name in gains:
            venv.observer(name).set(gains[name])
        else:
            del venv.observers[name]
    return tuple(gains)


def _one_step(venv: VirtualEnv, rows: Rows, unseen: Segments, nodes: Sequence[str]) -> dict[str, Tensor]:
    """Mean squares of what filters miss readings by, half by half: (halves, continuous), model space."""
    generator = torch.Generator(venv.device).manual_seed(3)
    windows = unseen.sample(WINDOWS, 2 * BURN_IN, generator)
    errors = rollout_errors(venv, rows, nodes, windows, BURN_IN, burn_in=BURN_IN, filtered=True)
    found = {}
    for name in nodes:
        width = venv.codec.layout(name).continuous
        error, weight = (part[BURN_IN:, ..., :width] for part in errors[name])
        total = (error.square() * weight).sum((0, 2)) / weight.sum((0, 2)).clamp_min(1.0)
        found[name] = total.view(venv.halves, -1, width).mean(1)
    return found
