"""The picture of a search for constant inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, NullFormatter, NullLocator
from numpy.typing import NDArray

from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.report.figures import DATA, FAINT, MODEL, MOST_PANELS, OTHER, label, panels
from revive.tuning.result import Scan, Tuned

NORMAL = 1.96  # standard errors
NOTICED = 1e-4  # a share of the range below which an interval is not worth naming
MANY = 20  # values of a discrete column, above which they are drawn as a line without marks


def tuning(tuned: Tuned, graph: DecisionGraph, logged: Mapping[str, NDArray[np.float64]]) -> Figure:
    """The reward along every tuned column, the others at their best; the chosen value, what the logs held below.

    logged: node -> (N, d) in physical units.
    """
    shown = tuned.scans[:MOST_PANELS]
    across = min(2, len(shown))
    figure, axes = panels(len(shown), width=7.0 if across == 1 else 10.4, height=3.4, columns=across)
    for axis, scan in zip(axes, shown, strict=True):
        names = [column.name for column in graph.columns(scan.node)]
        i = names.index(scan.column)
        values = logged[scan.node][:, i] if scan.node in logged else np.zeros(0)
        _panel(axis, scan, graph.columns(scan.node)[i], values[np.isfinite(values)])
    for axis in axes[::across]:
        axis.set_ylabel("reward per step")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=across + 1, fontsize=8, frameon=False)
    figure.suptitle(_said(tuned), fontsize=10, x=0.02, ha="left")
    return figure


def _panel(axis: Axes, scan: Scan, column: Column, logged: NDArray[np.float64]) -> None:
    at: NDArray[np.float64] = scan.values
    best, apart = scan.best, column.type == "category"
    if apart:  # by name, side by side, however far apart the numbers are
        order = np.argsort(scan.values)
        place = {float(v): float(k) for k, v in enumerate(scan.values[order])}
        at, best = np.array([place[float(v)] for v in scan.values]), place[float(scan.best)]
        logged = np.array([place[float(v)] for v in logged if float(v) in place])
        axis.set_xticks(range(len(place)), [f"{v:g}" for v in place])
        axis.set_xlim(-0.6, len(place) - 0.4)
    _curve(axis, at, scan, joined=not apart)
    if scan.standard_error is not None:
        reach, what = NORMAL * scan.standard_error, "95 % interval of the chosen value"
        ends = np.clip([best - reach, best + reach], at.min(), at.max())
        axis.axvspan(float(ends[0]), float(ends[1]), color=OTHER, alpha=0.25, lw=0, label=what)
    axis.axvline(best, color=OTHER, lw=1.5, label="chosen value")
    if len(logged):
        axis.axvline(_usual(logged, scan), color=DATA, lw=1, ls=":", label="usual value in the logs")
    if column.scale == "log" and float(scan.values.min()) > 0:
        _logarithmic(axis)
    _logs_below(axis, at, logged, apart=apart or column.type == "discrete")
    axis.set_title(_chosen(scan, column), fontsize=9, loc="left", color=OTHER)
    axis.set_xlabel(label(column))


def _usual(logged: NDArray[np.float64], scan: Scan) -> float:
    """The median; of a column with only so many values the commonest."""
    if scan.by_member is not None or len(np.unique(logged)) > MANY:
        return float(np.median(logged))
    values, counts = np.unique(logged, return_counts=True)
    return float(values[counts.argmax()])


def _curve(axis: Axes, at: NDArray[np.float64], scan: Scan, *, joined: bool) -> None:
    """The mean over the members, and how far they lie apart."""
    order = np.argsort(at)
    at, mean, members = at[order], scan.mean[order], scan.members[order]
    low, high = members.min(1), members.max(1)
    if joined:
        axis.fill_between(
            at, low, high, color=MODEL, alpha=0.2, lw=0, label="range over the models of the venv"
        )
        mark = "o" if len(at) < MANY else ""
        axis.plot(at, mean, color=MODEL, marker=mark, ms=4, label="reward, mean over the models of the venv")
    else:
        axis.vlines(at, low, high, color=MODEL, alpha=0.3, lw=8, label="range over the models of the venv")
        axis.plot(at, mean, "o", color=MODEL, ms=6, label="reward, mean over the models of the venv")


def _logarithmic(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _logs_below(axis: Axes, at: NDArray[np.float64], logged: NDArray[np.float64], *, apart: bool) -> None:
    """How often the logs held a value, in a strip of its own under the curve."""
    low, high = axis.get_ylim()
    axis.set_ylim(low - 0.28 * (high - low), high)
    if len(logged) == 0:
        return
    strip = axis.inset_axes((0, 0, 1, 0.16), sharex=axis)
    if apart:
        values, counts = np.unique(logged, return_counts=True)
        room = float(np.diff(np.unique(at)).min()) if len(np.unique(at)) > 1 else 1.0
        strip.bar(values, counts, width=0.5 * room, color=FAINT, alpha=0.6)
    else:
        spaced = np.geomspace if axis.get_xscale() == "log" else np.linspace
        strip.hist(logged, bins=spaced(at.min(), at.max(), 41).tolist(), color=FAINT, alpha=0.6)
    axis.plot([], [], color=FAINT, lw=6, alpha=0.6, label="how often the logs held the value")
    strip.set_yticks([])
    strip.xaxis.set_minor_locator(NullLocator())
    strip.tick_params(axis="x", bottom=False, labelbottom=False)
    strip.patch.set_alpha(0)
    strip.spines[["top", "right", "left"]].set_visible(False)
    strip.spines["bottom"].set_color(DATA)


def _chosen(scan: Scan, column: Column) -> str:
    text, reach = f"{column.name} = {scan.best:.4g}", NORMAL * (scan.standard_error or 0.0)
    if reach > NOTICED * float(np.ptp(scan.values)):
        text += f" ± {reach:.2g}"
    if column.units:
        text += f" {column.units}"
    if scan.others:
        text += f" (as good: {', '.join(f'{v:g}' for v in scan.others)})"
    return text.replace("$", r"\$")


def _said(tuned: Tuned) -> str:
    """What the search came to, in a line or two."""
    reward, word = tuned.reward, "Largest" if tuned.direction == "max" else "Smallest"
    lines = [f"{word} reward per step: {reward.mean:.4g} (95 %: {reward.low:.4g} .. {reward.high:.4g})"]
    if tuned.logged is not None and tuned.gain is not None:
        low, high = tuned.gain[1:]
        told = f"with the usual values of the logs {tuned.logged.mean:.4g}; better by {tuned.gain[0]:.4g}"
        lines.append(f"{told} (95 %: {low:.4g} .. {high:.4g})")
    lines += [f"flat: {direction}" for direction in tuned.flat]
    return "\n".join(lines).replace("$", r"\$")
