"""Where candidates are tried: the states, replayed values and noise that all of them meet alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.venv.virtual_env import VirtualEnv


@dataclass(frozen=True)
class Scene:
    """S branches under every member, in model space.

    state: start node -> (M, S, d). given: replayed node that is not tuned -> (T, M, S, d).
    past: history -> its frames before, (M, S, ...). noise: learned node -> (T, M, S, w), the same for the members
    of a half, so that they differ by their models alone, and the same for all candidates.
    """

    state: dict[str, Tensor]
    given: dict[str, Tensor]
    past: dict[str, Tensor]
    noise: dict[str, Tensor]
    horizon: int
    branches: int


def logged_scene(
    venv: VirtualEnv, rows: Rows, *, branches: int, horizon: int, seed: int, fresh: bool = False
) -> Scene:
    """Starts from logged rows, every member's from those of its own half.

    Spread evenly over the half, or drawn at random where they are to be `fresh` ones.
    """
    generator = torch.Generator().manual_seed(seed)
    per_half = venv.members // venv.halves
    first = torch.cat(
        [_starts(part, branches, generator, fresh).expand(per_half, -1) for part in rows.parts]
    )  # (M, S)
    replayed = [name for name in venv.replayed_nodes if name not in venv.graph.tunables]
    return Scene(
        rows.at(first, venv.start_nodes),
        rows.at(rows.reflected(first, horizon), replayed),
        rows.past(first),
        draw_noise(venv, horizon, branches, generator),
        horizon,
        branches,
    )


def draw_noise(
    venv: VirtualEnv, horizon: int, branches: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Standard normal, learned node -> (T, M, S, w); one draw per half."""
    per_half = venv.members // venv.halves
    return {
        name: torch.randn(
            horizon, venv.halves, branches, venv.codec.width(name), generator=generator
        ).repeat_interleave(per_half, dim=1)
        for name in venv.graph.learned
    }


def _starts(part: range, count: int, generator: torch.Generator, fresh: bool) -> Tensor:
    if fresh:
        return torch.randint(part.start, part.stop, (count,), generator=generator)
    return torch.linspace(part.start, part.stop - 1, count + 1)[:-1].long()
