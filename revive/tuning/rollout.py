"""Rollouts of many candidates at once, cut into segments that gradients do not cross."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from revive.tuning.scene import Scene
from revive.venv.virtual_env import Actor, VirtualEnv


def segments(
    venv: VirtualEnv,
    scene: Scene,
    tuned: Mapping[str, Tensor],
    actor: Actor | None,
    length: int | None,
) -> Iterator[dict[str, Tensor]]:
    """Roll a scene out with every candidate; yields node -> (t, M, P * S, d), segment by segment.

    tuned: node -> (P, d) in model space. length: of a segment; None for the whole horizon in one.
    States go from a segment into the next one, their gradients do not.
    """
    count = len(next(iter(tuned.values())))
    constant = {name: _as_branches(value, venv.members, scene.branches) for name, value in tuned.items()}
    state = {name: _repeated(value, count) for name, value in scene.state.items()}
    past = {name: _repeated(value, count) for name, value in scene.past.items()}
    past |= _tuned_pasts(venv, constant)
    step = length or scene.horizon
    for begin in range(0, scene.horizon, step):
        part = slice(begin, min(begin + step, scene.horizon))
        steps = part.stop - part.start
        given = {name: _repeated(value[part], count) for name, value in scene.given.items()}
        given |= {name: value.expand(steps, *value.shape) for name, value in constant.items()}
        noise = {
            name: _repeated(value[part], count)
            for name, value in scene.noise.items()
            if actor is None or name != actor.node
        }
        rolled = venv.rollout(state, given, steps, past=past, actor=actor, noise=noise)
        yield rolled
        if part.stop < scene.horizon:
            state, past = _end_of(venv, rolled, past, actor)


def _repeated(value: Tensor, count: int) -> Tensor:
    """(..., M, S, d) -> (..., M, P * S, d), candidate by candidate."""
    if count == 1:
        return value
    return value.repeat(*[1] * (value.dim() - 2), count, 1)


def _as_branches(value: Tensor, members: int, branches: int) -> Tensor:
    """A candidate's value (P, d) under every member and branch, (M, P * S, d)."""
    return value.repeat_interleave(branches, dim=0).expand(members, -1, -1)


def _tuned_pasts(venv: VirtualEnv, constant: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is constant was so before the first step too."""
    found = {}
    for name in venv.graph.histories:
        spec = venv.graph[name].history
        if spec is not None and spec.source in constant:
            found[name] = constant[spec.source].repeat(1, 1, spec.lookback)
    return found


def _end_of(
    venv: VirtualEnv, rolled: Mapping[str, Tensor], past: Mapping[str, Tensor], actor: Actor | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The state behind the last step, and the frames that histories have kept by then."""
    graph = (actor.graph if actor else None) or venv.graph
    state = {name: rolled[venv.graph.next_of(name)][-1].detach() for name in venv.graph.states}
    if venv.graph.step:
        scale = float(venv.codec[venv.graph.step].scale[0])
        state[venv.graph.step] = rolled[venv.graph.step][-1].detach() + 1.0 / scale
    kept = {}
    for name in graph.histories:
        spec = graph[name].history
        if spec is None or spec.source not in rolled:
            continue
        frames = rolled[spec.source].detach().unbind(0)
        width = frames[0].shape[-1]
        before = past[name] if name in past else frames[0].repeat(1, 1, spec.lookback)
        series = torch.cat([before.detach(), *frames], dim=-1)
        kept[name] = series[..., series.shape[-1] - spec.lookback * width :]
    return state, kept
