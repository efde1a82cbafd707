"""What the venv says an input does: response curves and step responses about an operating point.

The operating point is the logged row that is nearest to the medians of all columns, so that it is a state that the
plant was in. All other inputs are held there. `one_step`: the next state against the input. `after`: the state so many
steps later with the input held at the new value. `steps`: the way there after a step of one spread of the logs, from
which gain (final change over step), dead time (first step above a twentieth of the final change) and settling time
(last step outside a twentieth of it) are read, as process engineers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.venv.virtual_env import VirtualEnv

Array = NDArray[np.float64]
POINTS, AFTER, LONGEST = 25, 20, 60
MOST_ACTIONS, MOST_STATES = 4, 4
BAND = 0.05  # of the final change
TINY = 0.01  # of the final change: what has moved by less in a third of the rollout has come to rest
NEIGHBOURS, ROWS = 5, 4000


@dataclass(frozen=True)
class OperatingPoint:
    """row: of `rows`. values: column -> what it holds there, physical units."""

    row: int
    values: dict[str, float]


def operating_point(venv: VirtualEnv, rows: Rows) -> OperatingPoint:
    """The logged row nearest to the medians of all states, decisions and exogenous nodes."""
    names = _known_nodes(venv, rows)
    values = torch.cat([rows.values[name] for name in names], -1)
    center = values.median(0).values
    row = int((values - center).square().sum(-1).argmin())
    held = {
        column.name: float(value)
        for name in names
        for column, value in zip(
            venv.graph.columns(name), venv.codec[name].decode(rows.values[name][row]), strict=True
        )
    }
    return OperatingPoint(row, held)


def _known_nodes(venv: VirtualEnv, rows: Rows) -> list[str]:
    wanted = (*venv.graph.states, *venv.graph.decisions, *venv.replayed_nodes)
    return [name for name in dict.fromkeys(wanted) if name in rows.values]


@torch.no_grad()
def responses(venv: VirtualEnv, rows: Rows, target: str) -> dict[str, Any]:
    """For the columns of `target`, a decision or an exogenous node: {held, of: [one entry per pair of columns]}.

    An entry: {input, output, units, grid, one_step and after: (points, M), logged: {edges, counts}, near: which points
    the logs hold something like, range: logged 1 % to 99 %, step: {from, to, path (T, M), gain, dead_time, settling}}.
    """
    point = operating_point(venv, rows)
    outputs = _outputs(venv, rows)
    found = []
    for i, column in enumerate(venv.graph.columns(target)[:MOST_ACTIONS]):
        if column.type == "category":
            continue
        logged = venv.codec[target].decode(rows.values[target].double())[:, i].cpu().numpy()
        grid = _grid(column, logged)
        rolled = _held(venv, rows, point.row, target, i, grid, AFTER)
        near = _is_near(venv, rows, point.row, target, i, grid)
        low, high = np.quantile(logged, [0.01, 0.99])
        begin, end = _step_ends(logged, point.values[column.name])
        ways = _held(venv, rows, point.row, target, i, np.array([begin, end]), LONGEST)
        counts, edges = np.histogram(logged, 40, (float(grid[0]), float(grid[-1])))
        for node, j in outputs:
            codec = venv.codec[node]
            states, way = (codec.decode(r[node].double())[..., j] for r in (rolled, ways))  # (T, M, points)
            found.append(
                {
                    "input": _told(column),
                    "output": _told(venv.graph.columns(node)[j]),
                    "grid": grid,
                    "one_step": states[0].T,
                    "after": states[AFTER - 1].T,
                    "logged": {"edges": edges, "counts": counts},
                    "near": near,
                    "range": [float(low), float(high)],
                    "step": _told_step(begin, end, (way[..., 1] - way[..., 0]).cpu().numpy()),
                }
            )
    return {"row": point.row, "held": point.values, "after": AFTER, "of": found}


def _outputs(venv: VirtualEnv, rows: Rows) -> list[tuple[str, int]]:
    nodes = [n for n in venv.graph.transitions if n in rows.values and venv.graph[n].history is None]
    pairs = [(n, j) for n in nodes for j, c in enumerate(venv.graph.columns(n)) if c.type != "category"]
    return pairs[:MOST_STATES]


def _told(column: Column) -> dict[str, str | None]:
    return {"name": column.name, "units": column.units}


def _grid(column: Column, logged: Array) -> Array:
    """The declared range, but no farther than one logged range beyond it; else a quarter beyond on either side."""
    low, high = float(logged.min()), float(logged.max())
    span = max(high - low, 1e-9)
    first = max(column.min, low - span) if column.min is not None else low - span / 4.0
    last = min(column.max, high + span) if column.max is not None else high + span / 4.0
    if column.type == "discrete" and column.num:
        levels = np.linspace(column.min or 0.0, column.max or 1.0, column.num)
        return levels if len(levels) <= POINTS else levels[:: -(-len(levels) // POINTS)]
    return np.linspace(first, last, POINTS)


def _step_ends(logged: Array, held: float) -> tuple[float, float]:
    """From the operating point by one standard deviation of the logs, to the side where more was logged."""
    size = float(logged.std()) or 1.0
    up = abs(float(logged.max()) - held) >= abs(held - float(logged.min()))
    return held, held + (size if up else -size)


def _held(
    venv: VirtualEnv, rows: Rows, row: int, target: str, column: int, grid: Array, steps: int
) -> dict[str, Tensor]:
    """Everything held at a row, one column of `target` at each value of the grid: node -> (T, M, points, d)."""
    index = torch.full((venv.members, len(grid)), row, device=rows.device)
    data = rows.at(index)
    action = venv.codec[target].decode(data[target].double()).clone()
    action[..., column] = torch.as_tensor(grid, device=rows.device)
    data[target] = venv.codec[target].encode(action)
    names = (*venv.replayed_nodes, *(n for n in venv.graph.decisions if n in data))
    given = {name: data[name].expand(steps, *data[name].shape) for name in dict.fromkeys(names)}
    start = {name: data[name] for name in venv.start_nodes if name in data}
    past = {
        name: rows.values[spec.source][row].repeat(venv.members, len(grid), spec.lookback)
        for name, spec in rows.histories.items()
        if spec.source in rows.values and spec.source != target
    }
    rolled = venv.rollout(start, given, steps, past=past)
    return rolled


def _is_near(venv: VirtualEnv, rows: Rows, row: int, target: str, column: int, grid: Array) -> list[bool]:
    """Whether the logs hold rows as near to each point as they mostly are to one another.

    Distances are those to the fifth nearest row, robust z-scores of states, decision and exogenous values; near is what
    lies within the 99 % quantile of the logged rows' own.
    """
    names = _known_nodes(venv, rows)
    values = torch.cat([rows.values[name] for name in names], -1)
    every = max(1, len(values) // ROWS)
    cloud = values[::every].cpu().numpy()
    tree = cKDTree(cloud)
    k = min(NEIGHBOURS, len(cloud) - 1) + 1
    own = tree.query(cloud[:: max(1, len(cloud) // 1000)], k=k)[0][:, -1]
    points = values[row].repeat(len(grid), 1)
    start = sum(rows.values[name].shape[-1] for name in names[: names.index(target)])
    action = venv.codec[target].decode(rows.values[target][row].double()).repeat(len(grid), 1)
    action[:, column] = torch.as_tensor(grid, device=rows.device)
    points[:, start : start + venv.codec.width(target)] = venv.codec[target].encode(action)
    distance = tree.query(points.cpu().numpy(), k=k - 1)[0]
    distance = distance[:, -1] if distance.ndim == 2 else distance
    return [bool(d <= np.quantile(own, 0.99)) for d in distance]


def _left(path: Array) -> float:
    """How much of a response (T,) is still to come, were it to die away as it did from one third to the next."""
    third = max(1, len(path) // 3)
    if len(path) <= 2 * third:
        return 0.0
    before, last = path[-1 - third] - path[-1 - 2 * third], path[-1] - path[-1 - third]
    if abs(last) <= TINY * abs(path[-1]):
        return 0.0
    ratio = last / before if before else np.inf
    return float(abs(last * ratio / (1.0 - ratio))) if ratio < 1.0 else np.inf


def _told_step(begin: float, end: float, path: Array) -> dict[str, Any]:
    """path: (T, M) the difference that the step makes."""
    gains = path[-1] / (end - begin)
    middle = path.mean(1)
    final = float(middle[-1])
    still = float(np.abs(middle[-max(2, len(middle) // 10) :] - final).max())
    settled = max(still, _left(middle)) <= BAND * abs(final) and final != 0.0
    outside = np.flatnonzero(np.abs(middle - final) > BAND * abs(final))
    moved = np.flatnonzero(np.abs(middle) > BAND * float(np.abs(middle).max() or np.inf))
    return {
        "from": begin,
        "to": end,
        "path": path,
        "gain": {"mean": float(gains.mean()), "low": float(gains.min()), "high": float(gains.max())},
        "dead_time": int(moved[0]) if len(moved) else None,
        "settling": (int(outside[-1]) + 2 if len(outside) else 1) if settled else None,
    }
