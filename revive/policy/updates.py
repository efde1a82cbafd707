"""Updates of several copies at once, as learners share them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from revive.nn.ensemble import clip_gradient_by_member


def cosine(lr: float, done: int, total: int) -> float:
    """The step size after `done` of `total` updates, from `lr` to 0 (Loshchilov and Hutter 2017, arXiv:1608.03983)."""
    return lr * 0.5 * (1.0 + math.cos(math.pi * done / total))


def set_step_size(optimizer: Any, lr: float) -> None:
    """Of all parameters, whatever a checkpoint says; of a bare optimizer or one that Lightning wrapped."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def step(
    optimizer: Any,
    loss: Tensor,
    parameters: Iterable[nn.Parameter],
    clip: float,
    active: Tensor | None = None,
) -> None:
    """One update of the copies that are active, (P,); None: of all. clip: limit of each copy's gradient norm."""
    moved = list(parameters)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clip_gradient_by_member(moved, clip)
    if active is None or bool(active.all()):
        optimizer.step()
        return
    before = [p.detach().clone() for p in moved]
    optimizer.step()
    with torch.no_grad():
        for p, old in zip(moved, before, strict=True):
            p[~active] = old[~active]


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, rate: float) -> None:
    """Move the weights of `slow` towards those of `fast`."""
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), rate)
