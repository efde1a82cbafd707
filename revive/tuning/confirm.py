"""How good the best point is on fresh starts, and in which directions it matters."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor

from revive.tuning.objective import Objective
from revive.tuning.result import Confirmed, Scan
from revive.tuning.space import Array, Dimension, Space

SCAN = 41  # points along a continuous column
STEP = 0.02  # of finite differences, as a share of the range
REACH = 0.25  # how far a flat direction is followed, as a share of the range
NOTHING = 0.01  # a change is nothing below this share of all that the reward changes by
COVERED = 0.95  # by intervals


def by_unit(objective: Objective, rewards: Tensor) -> Array:
    """Rewards (P, M, S) -> (P, H * S): the mean over a half's members, each start with its own luck."""
    halves = rewards.unflatten(1, (objective.venv.halves, -1)).mean(2)
    return halves.flatten(1).numpy()


def confirmed(objective: Objective, rewards: Tensor) -> Confirmed:
    """rewards: (M, S) of one point."""
    low, mean, high = interval(by_unit(objective, rewards[None])[0])
    return Confirmed(mean, low, high, rewards.mean(-1).tolist())


def interval(units: Array) -> tuple[float, float, float]:
    """Lower end, mean and upper end of the 95 % interval of a mean, by Student's t."""
    mean, error = float(units.mean()), standard_error(units)
    reach = error * float(stdtrit(max(1, len(units) - 1), 0.5 + COVERED / 2))
    return mean - reach, mean, mean + reach


def standard_error(units: Array) -> float:
    return float(units.std(ddof=1) / np.sqrt(len(units))) if len(units) > 1 else 0.0


def scans(objective: Objective, best: Tensor, errors: dict[int, float], tolerance: float) -> list[Scan]:
    """The reward along every column, the others at their best."""
    found = []
    for i, dimension in enumerate(objective.space.dimensions):
        grid = _grid(objective.space, best, i)
        rewards = objective.rewards(_changed(best, i, grid))
        physical, value = dimension.to_physical(grid).numpy(), float(dimension.to_physical(best[i]))
        others = []
        if not dimension.is_continuous:
            score = objective.score(rewards)
            near = (score > score[int(best[i])] - tolerance).nonzero().flatten().tolist()
            others = [float(physical[k]) for k in near if k != int(best[i])]
        members = rewards.mean(-1)  # (n, M)
        by_member = None
        if dimension.is_continuous:
            sign = 1.0 if objective.direction == "max" else -1.0
            by_member = _peaks(dimension, grid, sign * members, tolerance)
        found.append(
            Scan(
                dimension.node,
                dimension.column.name,
                physical,
                members.mean(-1).numpy(),
                members.numpy(),
                value,
                errors.get(i),
                by_member,
                others,
            )
        )
    return found


def along_columns(space: Space, point: Tensor) -> Tensor:
    """The points of all scans through a point, (P, D)."""
    return torch.cat([_changed(point, i, _grid(space, point, i)) for i in range(space.size)])


def _changed(point: Tensor, i: int, grid: Tensor) -> Tensor:
    points = point.repeat(len(grid), 1)
    points[:, i] = grid
    return points


def _grid(space: Space, best: Tensor, i: int) -> Tensor:
    choices = space.dimensions[i].choices
    if choices is not None:
        return torch.arange(len(choices), dtype=torch.float64)
    count = SCAN if space.dimensions[i].is_cyclic else SCAN - 1  # the end of a cycle is its beginning
    grid = torch.linspace(0, 1, count, dtype=torch.float64)[: SCAN - 1]
    return torch.cat([grid, best[i : i + 1]]).unique()  # sorted


def _peaks(
    dimension: Dimension, grid: Tensor, members: Tensor, tolerance: float
) -> tuple[float, float] | None:
    """The smallest and the largest best value of a member, by parabolas through its scan; None where all are flat.

    grid: (n,); members: (n, M), larger is better.
    """
    found = []
    for curve in members.T:
        if float(curve.max() - curve.min()) <= tolerance:
            continue
        k = int(curve.argmax())
        peak = float(grid[k])
        if 0 < k < len(grid) - 1:
            bend, slope, _ = np.polyfit(grid[k - 1 : k + 2] - peak, curve[k - 1 : k + 2], 2)
            move = -slope / (2 * bend) if bend < 0 else 0.0
            peak += float(np.clip(move, grid[k - 1] - peak, grid[k + 1] - peak))
        found.append(float(dimension.to_physical(torch.tensor(peak, dtype=torch.float64))))
    return (min(found), max(found)) if found else None


def curvature(objective: Objective, best: Tensor) -> tuple[Array, Array]:
    """Second derivatives of F at the best point, (C, C) over the continuous columns, by finite differences.

    Also the slopes of every start by itself, (C, H * S), per share of the range. Moved inwards at an edge.
    """
    free = objective.space.continuous
    centre = objective.space.legal(best[None], STEP)[0]
    moves = torch.zeros(len(free), len(best), dtype=torch.float64)
    for k, i in enumerate(free):
        moves[k, i] = STEP
    pairs = [(a, b) for a in range(len(free)) for b in range(a + 1)]
    ahead, back = objective.rewards(centre + moves), objective.rewards(centre - moves)
    here = float(objective.values(centre[None])[0])
    f_ahead, f_back = objective.score(ahead).numpy(), objective.score(back).numpy()
    slopes = (by_unit(objective, ahead) - by_unit(objective, back)) / (2 * STEP)
    hessian = np.zeros((len(free), len(free)))
    crossed = [(a, b) for a, b in pairs if a != b]
    if crossed:
        signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
        points = torch.stack([centre + s * moves[a] + t * moves[b] for a, b in crossed for s, t in signs])
        values = objective.values(points).numpy().reshape(-1, 4) @ np.array([1.0, -1.0, -1.0, 1.0])
        for (a, b), value in zip(crossed, values / (4 * STEP**2), strict=True):
            hessian[a, b] = hessian[b, a] = value
    np.fill_diagonal(hessian, (f_ahead + f_back - 2 * here) / STEP**2)
    return hessian, slopes


def optimum_errors(space: Space, best: Tensor, hessian: Array, slopes: Array) -> dict[int, float]:
    """The standard error of every continuous column's best value, physical units: `H^-1 Cov(slopes) H^-1 / n`.

    Columns at an edge, and all of them where the optimum is no peak, have none.
    """
    free = space.continuous
    inside = [k for k, i in enumerate(free) if i in space.cyclic or STEP < float(best[i]) < 1 - STEP]
    if not inside or slopes.shape[1] < 2:
        return {}
    bent = hessian[np.ix_(inside, inside)]
    if np.linalg.eigvalsh(bent).max() >= -1e-9 * max(1.0, np.abs(bent).max()):
        return {}
    inverse = np.linalg.inv(bent)
    noise = np.atleast_2d(np.cov(slopes[inside])) / slopes.shape[1]
    share = np.sqrt(np.diag(inverse @ noise @ inverse))
    found = {}
    for k, error in zip(inside, share, strict=True):
        dimension, at = space.dimensions[free[k]], best[free[k]].clone().requires_grad_()
        (slope,) = torch.autograd.grad(dimension.to_physical(at), at)
        found[free[k]] = float(error * slope)
    return found


def flat_directions(objective: Objective, best: Tensor, hessian: Array, tolerance: float) -> list[str]:
    """The eigenvectors of the curvature along which the reward hardly changes, followed and said in words."""
    free = objective.space.continuous
    if not free:
        return []
    found = []
    for vector in np.linalg.eigh(hessian)[1].T:
        move = torch.zeros(len(best), dtype=torch.float64)
        move[free] = torch.as_tensor(vector / np.abs(vector).max())
        ends = torch.stack([*(_within(objective.space, best, move, s) for s in (REACH, -REACH)), best])
        values = objective.values(ends)
        change = float((values[:2] - values[2]).abs().max())
        if change <= tolerance:
            found.append(_said(objective.space, ends[0], ends[1], change))
    return found


def _within(space: Space, best: Tensor, move: Tensor, reach: float) -> Tensor:
    """As far along a direction as the range allows."""
    room = torch.where(move * reach > 0, 1 - best, best)
    room[space.cyclic] = 1.0
    some = move.abs() > 1e-9
    share = min(1.0, float((room[some] / (move[some] * reach).abs()).min()))
    return best + move * reach * share


def _said(space: Space, one: Tensor, other: Tensor, change: float) -> str:
    parts = []
    for i in space.continuous:
        dimension = space.dimensions[i]
        if abs(float(one[i] - other[i])) > 0.1 * float((one - other).abs().max()):
            a, b = float(dimension.to_physical(other[i])), float(dimension.to_physical(one[i]))
            parts.append(f"{dimension.node}.{dimension.column.name} from {a:.4g} to {b:.4g}")
    return f"{' together with '.join(parts)} changes the reward by at most {change:.3g}"
