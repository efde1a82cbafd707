"""The ways in which a venv can roll out: what is drawn, and who answers.

| mode | noise | who answers a branch | spread of many branches |
|---|---|---|---|
| `mean` | none | the members of its half together, step by step | none |
| `sample` | drawn | the members of its half together | the noise of the plant, as learned |
| `member` | drawn | one member, all along | noise and what the members disagree about |
| `mixture` | drawn | another member at every step | the same, for errors that change from step to step |

In the words of Chua et al. 2018 (PETS, arXiv:1805.12114) these are E, E with noise, TS-infinity and TS-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from revive.errors import Problem, UserError, suggestion
from revive.venv.plan import Actor
from revive.venv.virtual_env import VirtualEnv

Mode = Literal["mean", "sample", "member", "mixture"]
MODES: tuple[str, ...] = get_args(Mode)


def check_mode(mode: str) -> None:
    """Raises UserError for a mode that there is not."""
    if mode not in MODES:
        raise UserError(
            Problem(f"there is no rollout mode '{mode}'", place="mode", remedy=suggestion(mode, MODES))
        )


def roll(
    venv: VirtualEnv,
    start: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    horizon: int,
    mode: str,
    generator: torch.Generator,
    *,
    past: Mapping[str, Tensor] | None = None,
    actor: Actor | None = None,
    latent: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """`VirtualEnv.rollout` in a mode: node -> (T, M, B, d), model space.

    start, given, past, actor, latent: as there. generator: draws noise, and the members of `mixture`. Under `mean` and
    `sample` all members of a half say the same; a category is then the one that most of them speak for.
    Raises UserError for a mode that there is not.
    """
    check_mode(mode)
    branches = next(iter(start.values())).shape[1] if start else next(iter(given.values())).shape[2]
    noise, shifts = None, None
    if mode != "mean":
        noise = venv.noise(horizon, branches, generator)
    if mode == "sample" and noise is not None:  # one draw for all that answer together
        noise = {name: _shared(venv, eps) for name, eps in noise.items()}
    if mode == "mixture":
        per_half = venv.members // venv.halves
        drawn = torch.randint(0, per_half, (horizon,), generator=generator, device=generator.device)
        shifts = [int(shift) for shift in drawn]
    together = mode in ("mean", "sample")
    return venv.rollout(
        start,
        given,
        horizon,
        past=past,
        actor=actor,
        noise=noise,
        shifts=shifts,
        latent=latent,
        together=together,
    )


def _shared(venv: VirtualEnv, eps: Tensor) -> Tensor:
    """The noise of a half's first member for all of them: (T, M, B, d)."""
    per_half = venv.members // venv.halves
    return eps[:, ::per_half].repeat_interleave(per_half, 1)
