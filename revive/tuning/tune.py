"""A search from beginning to end: find the best point, confirm it elsewhere, say what matters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from revive.tuning.confirm import (
    NOTHING,
    along_columns,
    by_unit,
    confirmed,
    curvature,
    flat_directions,
    interval,
    optimum_errors,
    scans,
)
from revive.tuning.methods import Method
from revive.tuning.objective import Direction, Objective, RewardFunction
from revive.tuning.result import Confirmed, Tuned
from revive.tuning.scene import Scene
from revive.tuning.space import Space
from revive.venv.virtual_env import Actor, VirtualEnv

SAMPLE = 64  # points all over the space that tell how much the reward changes at all


def tune(
    venv: VirtualEnv,
    reward: RewardFunction,
    space: Space,
    search: Scene,
    fresh: Scene,
    *,
    direction: Direction,
    method: Method,
    budget: int,
    caution: float = 0.0,
    actor: Actor | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda judged: None,
) -> Tuned:
    """The values of the tunable nodes with the largest (or smallest) mean reward per step.

    reward: node -> (..., d) in physical units, to (...). search, fresh: where candidates are judged, and where the
    best one is confirmed. actor: decides its node in place of the venv's own model. budget: points to judge;
    `progress` is told how many were.

    Raises UserError where the method cannot search this space.
    """
    venv.requires_grad_(False)
    objective = Objective(venv, reward, space, search, direction, caution, actor, progress=progress)
    point = method.search(objective, budget, seed)
    judged = objective.judged
    best = _better(objective, point)
    reward_there, logged, gain = _confirmation(objective.on(fresh), best)
    sample = objective.values(space.spread(SAMPLE, seed + 1))
    at_best = float(objective.values(best[None])[0])
    everything = max(at_best, float(sample.max())) - float(sample.min())
    tolerance = NOTHING * everything + 1e-6 * (1e-3 + abs(at_best))
    errors: dict[int, float] = {}
    flat: list[str] = []
    if space.continuous:
        hessian, slopes = curvature(objective, best)
        errors = optimum_errors(space, best, hessian, slopes)
        flat = flat_directions(objective, best, hessian, tolerance)
    return Tuned(
        direction,
        space.values(best),
        reward_there,
        logged,
        gain,
        scans(objective, best, errors, tolerance),
        flat,
        judged,
        search.horizon,
    )


def _better(objective: Objective, point: Tensor) -> Tensor:
    """The point, or what the logs held or a change of a single column where that is better: the scans show no more."""
    space = objective.space
    others = [point[None], along_columns(space, point)]
    if space.logged is not None:
        others.append(space.logged[None])
    points = torch.cat(others)
    return points[int(objective.values(points).argmax())]


def _confirmation(
    objective: Objective, best: Tensor
) -> tuple[Confirmed, Confirmed | None, tuple[float, float, float] | None]:
    """The best point, the logs' point, and the gain (mean, low, high), all on the same starts and noise."""
    logged = objective.space.logged
    points = best[None] if logged is None else torch.stack([best, logged])
    rewards = objective.rewards(points)
    if logged is None:
        return confirmed(objective, rewards[0]), None, None
    units = by_unit(objective, rewards)
    sign = 1.0 if objective.direction == "max" else -1.0
    low, mean, high = interval(sign * (units[0] - units[1]))
    return confirmed(objective, rewards[0]), confirmed(objective, rewards[1]), (mean, low, high)
