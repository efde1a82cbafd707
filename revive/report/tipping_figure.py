"""What is left of a policy's gain, by how much of moves and response a hidden cause explains: the tipping contour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from revive.report.figures import DATA, MODEL, OTHER, panels

FINE = 120  # points along each axis
MOST = 0.999


def tipping_figure(tipping: list[dict[str, Any]]) -> Figure:
    """A panel for each pair; logged columns are points, the thick line is where the gain is gone."""
    figure, axes = panels(len(tipping), width=6.0, height=4.6)
    for axis, pair in zip(axes, tipping, strict=True):
        _contour(axis, pair)
    return figure


def _contour(axis: Axes, pair: Mapping[str, Any]) -> None:
    share = np.linspace(0.0, MOST, FINE)
    moves, response = np.meshgrid(share, share)
    spurious = np.sqrt(response * moves / (1.0 - moves) / max(pair["reach"], 1e-12))  # times the effect
    gains = np.asarray(pair["gains"])
    left = np.interp(np.minimum(spurious, pair["shares"][-1]), pair["shares"], gains) / max(
        abs(gains[0]), 1e-12
    )
    levels = np.linspace(-1.0, 1.0, 9)
    filled = axis.contourf(moves, response, np.clip(left, -1, 1), levels=levels, cmap="RdBu", alpha=0.6)
    axis.figure.colorbar(filled, ax=axis, label="share of the gain that is left")
    if left.min() < 0 < left.max():
        axis.contour(moves, response, left, levels=[0.0], colors=[OTHER], linewidths=2.5)
    for column in pair["columns"]:
        axis.plot(column["moves"], column["response"], "o", color=DATA)
        axis.annotate(
            column["column"], (column["moves"], column["response"]), (4, 4), textcoords="offset points"
        )
    if pair["at"]:
        axis.plot(pair["strength"], pair["strength"], "*", color=MODEL, markersize=12)
    axis.set(
        xlim=(0, 1), ylim=(0, 1), xlabel=f"share of the own moves of {pair['action']} that the cause explains"
    )
    axis.set_ylabel(f"share of the unexplained {pair['output']} that the cause explains")
