"""A policy to look at: over two of its inputs, as a small tree, and beside the logs' controller in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.policy import Policy
from revive.policy.tree import imitate
from revive.venv.virtual_env import VirtualEnv

Array = NDArray[np.float64]
GRID, POINTS, STEPS, STARTS = 33, 300, 200, 3
MOST_ROWS = 4000


def _names(policy: Policy) -> list[tuple[Column, str]]:
    """The columns of all that the policy sees and their names, frames of a history apart."""
    found = []
    for node in policy.inputs:
        columns, history = policy.graph.columns(node), policy.graph[node].history
        if history is None:
            found += [(column, column.name) for column in columns]
            continue
        per_frame = len(columns) // history.length
        for i, column in enumerate(columns):
            age = history.lookback - i // per_frame
            own = policy.graph.columns(history.source)[i % per_frame].name
            found.append((column, own if age == 0 else f"{own}, {age} step{'s' if age > 1 else ''} ago"))
    return found


@torch.no_grad()
def seen_and_done(policy: Policy, rolled: dict[str, Tensor], members: slice) -> tuple[Array, Array]:
    """What the policy saw along rollouts (T, M, B, d) of some members, and what it did: (n, inputs), (n, outputs)."""
    codec = policy.codec
    seen = [codec[name].decode(rolled[name][:, members].double()).flatten(0, 2) for name in policy.inputs]
    done = codec[policy.target].decode(rolled[policy.target][:, members].double()).flatten(0, 2)
    x, y = torch.cat(seen, -1).cpu().numpy(), done.cpu().numpy()
    good = np.isfinite(x).all(1) & np.isfinite(y).all(1)
    every = max(1, int(good.sum()) // MOST_ROWS)
    return x[good][::every], y[good][::every]


def tree_of(policy: Policy, x: Array, y: Array) -> dict[str, Any]:
    """See `tree.imitate`; of the columns of the decision that are no categories."""
    columns = policy.graph.columns(policy.target)
    kept = [i for i, column in enumerate(columns) if column.type != "category"]
    if not kept or len(x) < 40:
        return {}
    named = _names(policy)
    units = {name: column.units for column, name in [*named, *((c, c.name) for c in columns)] if column.units}
    return imitate(x, y[:, kept], [name for _, name in named], [columns[i].name for i in kept], units)


@torch.no_grad()
def surface(policy: Policy, x: Array, y: Array) -> dict[str, Any]:
    """The decision over the two inputs that it follows most, all others at their medians along its own rollouts.

    {output, inputs: [{name, units, grid}], action: (n,) or (n, n), seen: (k, 1 or 2) visited points, held: {name:
    value}} for the first column that is no category. Empty where the policy sees nothing that varies.
    """
    columns = policy.graph.columns(policy.target)
    output = next((i for i, column in enumerate(columns) if column.type != "category"), None)
    names = _names(policy)
    varied = [i for i in range(x.shape[1]) if np.ptp(x[:, i]) > 0 and names[i][0].type != "category"]
    if output is None or not varied:
        return {}
    center = np.median(x, axis=0)
    edges = np.quantile(x, [0.001, 0.999], axis=0)
    grids = {i: np.linspace(float(edges[0, i]), float(edges[1, i]), GRID) for i in varied}
    swing = {i: float(np.ptp(_act(policy, _moved(center, {i: grids[i]}))[:, output])) for i in varied}
    axes = sorted(sorted(varied, key=lambda i: -swing[i])[:2])
    mesh = np.meshgrid(*(grids[i] for i in axes), indexing="ij")
    points = _moved(center, {i: m.ravel() for i, m in zip(axes, mesh, strict=True)})
    action = _act(policy, points)[:, output].reshape(mesh[0].shape)
    return {
        "output": {"name": columns[output].name, "units": columns[output].units},
        "inputs": [{"name": names[i][1], "units": names[i][0].units, "grid": grids[i]} for i in axes],
        "action": action,
        "seen": x[:: max(1, len(x) // POINTS)][:, axes],
        "done": y[:: max(1, len(y) // POINTS), output],
        "held": {names[i][1]: float(center[i]) for i in range(x.shape[1]) if i not in axes},
    }


def _moved(center: Array, values: dict[int, Array]) -> Array:
    points = np.tile(center, (len(next(iter(values.values()))), 1))
    for i, value in values.items():
        points[:, i] = value
    return points


def _act(policy: Policy, points: Array) -> Array:
    """(n, inputs) physical -> (n, outputs) physical, without exploration."""
    widths = [policy.graph[name].width for name in policy.inputs]
    parts = torch.as_tensor(points).split(widths, dim=-1)
    x = torch.cat([policy.codec[n].encode(part) for n, part in zip(policy.inputs, parts, strict=True)], -1)
    return policy.codec[policy.target].decode(policy(x[None])[0].double()).numpy()


@torch.no_grad()
def before_and_after(
    world: EvaluationEnvironment,
    rows: Rows,
    before: dict[str, Tensor],
    after: dict[str, Tensor],
    half: int,
    target: str,
) -> dict[str, Any]:
    """Logs, logs' controller and policy from the same starts under the same disturbances: {starts: [...]}.

    before, after: rollouts of the behaviour policy and of the learned one, (T, M, B, d), with the same noise and the
    same exogenous values. Of the first member of `half`, which the policy did not learn in.
    """
    venv = world.venv
    member = venv.members_of(half).start
    count = world.first.shape[1]
    picked = np.unique(np.linspace(0, count - 1, STARTS + 2).astype(int)[1:-1])
    names = [n for n in (*_shown(venv, rows), target) if n in after]
    starts = []
    for b in picked:
        first = int(world.first[member, b])
        steps = min(STEPS, world.horizon)
        held = min(steps, int(rows.ends[first]) - first)
        columns: list[dict[str, Any]] = [
            {
                "name": column.name,
                "units": column.units,
                "logged": _series(venv, name, rows.values[name][first : first + held], i)
                if name in rows.values
                else [],
                "before": _series(venv, name, before[name][:steps, member, b], i),
                "after": _series(venv, name, after[name][:steps, member, b], i),
            }
            for name in names
            for i, column in enumerate(venv.graph.columns(name))
        ]
        starts.append({"row": first, "columns": columns})
    return {"starts": starts}


def _shown(venv: VirtualEnv, rows: Rows) -> list[str]:
    states = [n for n in venv.graph.states if venv.graph[n].history is None]
    return [*states, *(n for n in venv.graph.exogenous if n in rows.values)]


def _series(venv: VirtualEnv, name: str, values: Tensor, column: int) -> Array:
    return venv.codec[name].decode(values.double())[:, column].cpu().numpy()  # type: ignore[no-any-return]
