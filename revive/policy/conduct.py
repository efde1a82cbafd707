"""How a policy behaves beside the logs: whether it leaves their range, and how much it moves the actuator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.venv.virtual_env import VirtualEnv

AT = 1e-3  # of the declared range, within which a value is at its limit
SMALLEST = 1e-6  # of the larger bound of a range: what is less is zero
WIDER = 0.05  # of the logged range, that a state may lie outside by
PILED = 0.05  # share of the logged moves that are as large as the largest one, and of those that are smaller
ALIKE = 1e-3  # of the largest move, within which another one is as large


@dataclass(frozen=True)
class Use:
    """Of one column: the range that was logged and the one that the policy visits, and how often it is outside.

    moves: mean change from step to step, times that of the logs; None for a state or a category.
    limits: the declared ones, None where there is none; at_limits: share of the steps at each of them.
    fastest: the largest logged move in a step, where many moves are just as large, as those of an actuator that can go
    no faster; else None. faster: share of the policy's steps that move further.
    """

    column: str
    is_action: bool
    logged: tuple[float, float]
    visited: tuple[float, float]
    outside: float
    moves: float | None = None
    limits: tuple[float | None, float | None] = (None, None)
    at_limits: tuple[float, float] = (0.0, 0.0)
    fastest: float | None = None
    faster: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@torch.no_grad()
def conduct(
    venv: VirtualEnv, rows: Rows, target: str, rolled: dict[str, Tensor], alive: Tensor, members: slice
) -> list[Use]:
    """The action's and the states' columns along rollouts (T, M, B, d), where `alive` (T, M, B), of some members."""
    found, going = [], alive[:, members] > 0.5
    for node in (target, *(name for name in venv.graph.states if venv.graph[name].history is None)):
        if node not in rows.values or node not in rolled:
            continue
        codec = venv.codec[node]
        logged, visited = codec.decode(rows.values[node]), codec.decode(rolled[node][:, members])
        for i, column in enumerate(codec.columns):
            ours, theirs = visited[..., i], logged[:, i]
            paced = node == target and column.type != "category"
            moves = _moves(rows, ours, theirs, going) if paced else None
            fastest = _fastest(rows, theirs) if paced else None
            low, high = float(theirs.min()), float(theirs.max())
            room = (WIDER if node != target else 1e-4) * (high - low)
            if column.type == "category":
                outside = ~torch.isin(ours.round(), theirs.unique().round())
            else:
                outside = (ours < low - room) | (ours > high + room) | ~ours.isfinite()
            seen = ours[going]
            found.append(
                Use(
                    column.name,
                    node == target,
                    _plain(low, high),
                    _plain(float(seen.min()), float(seen.max())),
                    float(outside[going].float().mean()),
                    moves,
                    (column.min, column.max),
                    _at_limits(column, seen),
                    fastest,
                    0.0 if fastest is None else _faster(ours, going, fastest),
                )
            )
    return found


def _plain(low: float, high: float) -> tuple[float, float]:
    """A range without what decoding in single precision leaves of a zero."""
    least = SMALLEST * max(abs(low), abs(high))
    return tuple(0.0 if abs(bound) < least else bound for bound in (low, high))  # type: ignore[return-value]


def _at_limits(column: Column, seen: Tensor) -> tuple[float, float]:
    """The share of the values (n,) at the lower and at the upper limit; 0 where there is none, or no room between."""
    if column.min is None and column.max is None:
        return 0.0, 0.0
    low = float(seen.min()) if column.min is None else column.min
    high = float(seen.max()) if column.max is None else column.max
    near = AT * (high - low)
    if not near > 0:
        return 0.0, 0.0
    at_low = 0.0 if column.min is None else float((seen <= low + near).float().mean())
    return at_low, 0.0 if column.max is None else float((seen >= high - near).float().mean())


def _moves(rows: Rows, ours: Tensor, theirs: Tensor, going: Tensor) -> float | None:
    """Mean change per step of rollouts (T, M, B) over that of the logs (N,); None where there is nothing to compare."""
    between = _logged_moves(rows, theirs)
    if not len(between) or len(ours) < 2:
        return None
    logged = between.mean()
    moved = (ours[1:] - ours[:-1]).abs()[going[1:]]
    if not float(logged) or not len(moved):
        return None
    return float(moved.mean() / logged)


def _logged_moves(rows: Rows, theirs: Tensor) -> Tensor:
    """The absolute changes per step of the logs (N,), within trajectories: (n,)."""
    return (theirs[1:] - theirs[:-1]).abs()[rows.ends[1:] == rows.ends[:-1]]


def _fastest(rows: Rows, theirs: Tensor) -> float | None:
    """The largest logged move, where many are just as large and many are smaller, but not nothing; else None."""
    moved = _logged_moves(rows, theirs)
    if not len(moved) or not float(moved.max()) > 0:
        return None
    share = moved / moved.max()
    alike = float((share >= 1.0 - ALIKE).float().mean())
    smaller = float(((share > ALIKE) & (share < 1.0 - ALIKE)).float().mean())
    return float(moved.max()) if min(alike, smaller) >= PILED else None


def _faster(ours: Tensor, going: Tensor, fastest: float) -> float:
    """The share of the steps of rollouts (T, M, B) that move further than that."""
    moved = (ours[1:] - ours[:-1]).abs()[going[1:]]
    return float((moved > (1.0 + ALIKE) * fastest).float().mean()) if len(moved) else 0.0
