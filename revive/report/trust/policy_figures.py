"""Pictures of how the policy acts, drawn from `report.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from revive.data.duration import steps_of
from revive.report.figures import DATA, FAINT, MODEL
from revive.report.trust.parts import Array, grid, named, numbers

MOST_ROWS = 6  # of panels
Study = Mapping[str, Any]


def before_and_after(study: Study, seconds: float | None) -> Figure | None:
    """Logs, logs' controller and policy: the same starts, the same disturbances and noise. seconds: of a step."""
    starts = study["starts"]
    if not starts:
        return None
    columns = starts[0]["columns"][:MOST_ROWS]
    figure, axes = grid(len(columns) * len(starts), width=3.8 * len(starts), height=1.7, columns=len(starts))
    for s, start in enumerate(starts):
        for row, column in enumerate(start["columns"][: len(columns)]):
            axis = axes[row * len(starts) + s]
            axis.plot(numbers(column["logged"]), color=FAINT, lw=0.8, label="logged")
            axis.plot(numbers(column["before"]), color=DATA, lw=0.9, label="logs' controller in the venv")
            axis.plot(numbers(column["after"]), color=MODEL, lw=1.1, label="policy in the venv")
            if row == 0:
                axis.set_title(f"from row {start['row']}", fontsize=8)
            if s == 0:
                axis.set_ylabel(named(column["name"], column["units"], "\n"), fontsize=7)
        axes[(len(columns) - 1) * len(starts) + s].set_xlabel(steps_of("steps", seconds), fontsize=8)
    axes[0].legend(fontsize=6, framealpha=0.7, loc="best")
    return figure


def _within(values: Array, grid_: Array) -> NDArray[np.bool_]:
    return np.asarray((values >= grid_[0]) & (values <= grid_[-1]))


def _keep_in_view(axis: Axes, across: Array, up: Array) -> None:
    """The range of the grid, where nearly all rollouts are: a single start far away must not hide the rest."""
    room = 0.05 * (across[-1] - across[0])
    axis.set_xlim(across[0] - room, across[-1] + room)
    room = 0.05 * max(float(np.ptp(up)), 1e-9)
    axis.set_ylim(float(up.min()) - room, float(up.max()) + room)


def surface(study: Study) -> Figure | None:
    """The decision over one or two inputs, and where the rollouts were."""
    if not study:
        return None
    figure = Figure(figsize=(6.5, 4.0), layout="constrained")
    axis = figure.subplots()
    axes, output, seen = study["inputs"], named(**study["output"]), numbers(study["seen"])
    grids = [numbers(entry["grid"]) for entry in axes]
    action = numbers(study["action"])
    axis.set_xlabel(named(axes[0]["name"], axes[0]["units"]))
    if len(axes) == 1:
        axis.plot(grids[0], action, color=MODEL, label="the policy")
        done = numbers(study["done"])
        axis.plot(seen[:, 0], done, ".", color=DATA, ms=2, alpha=0.5, label="its rollouts")
        _keep_in_view(axis, grids[0], np.concatenate([action, done[_within(seen[:, 0], grids[0])]]))
        axis.set_ylabel(output)
        axis.legend(fontsize=8, frameon=False)
    else:
        mesh = axis.contourf(grids[0], grids[1], action.T, levels=14, cmap="viridis")
        figure.colorbar(mesh, ax=axis, label=output)
        axis.plot(seen[:, 0], seen[:, 1], ".", color="white", ms=2.5, mec=DATA, mew=0.3, label="its rollouts")
        axis.set_xlim(grids[0][0], grids[0][-1])
        axis.set_ylim(grids[1][0], grids[1][-1])
        axis.set_ylabel(named(axes[1]["name"], axes[1]["units"]))
        axis.legend(fontsize=8, loc="upper right")
    axis.spines[["top", "right"]].set_visible(False)
    return figure
