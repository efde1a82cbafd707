"""The pictures of a run, as matplotlib figures; nothing here is shown on a screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from revive.data.duration import steps_of
from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph, NodeKind
from revive.graph.units import labelled
from revive.venv.validation import RolloutError, judged_transitions, replay, unseen_windows
from revive.venv.virtual_env import VirtualEnv

DATA, MODEL, OTHER, FAINT = "#333333", "#0072b2", "#d55e00", "#999999"
KIND_COLOURS = {
    NodeKind.STATE: "#cfe3f3",
    NodeKind.EXOGENOUS: "#e8e8e8",
    NodeKind.DECISION: "#fbe0c8",
    NodeKind.TRANSITION: "#cdebdd",
    NodeKind.FUNCTION: "#eedcf3",
}
MOST_PANELS = 8
MOST_NAMED = 5  # columns that an operating point names


def save(figure: Figure, path: Path) -> None:
    """Write a PNG."""
    figure.savefig(path, dpi=110)


def label(column: Column) -> str:
    """A column's name, with its unit where the description says it; dollar signs are no mathematics."""
    return labelled(column.name, column.units).replace("$", r"\$")


def panels(
    count: int, width: float = 9.0, height: float = 2.4, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    rows = -(-count // columns)
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for spare in axes[count:]:
        spare.set_visible(False)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes[:count]


def decision_graph(graph: DecisionGraph) -> Figure:
    """Who decides from what, and what follows from what: leaves on the left, one column per depth."""
    depth = dict.fromkeys(graph.leaves, 0)
    for name in graph.order:
        depth[name] = 1 + max((depth[i] for i in graph[name].inputs), default=0)
    layers: dict[int, list[str]] = {}
    for name, level in depth.items():
        layers.setdefault(level, []).append(name)
    tallest = max(len(names) for names in layers.values())
    figure = Figure(figsize=(2.9 * len(layers), 0.9 + 0.9 * tallest), layout="constrained")
    axis = figure.subplots()
    axis.axis("off")
    place = {}
    for level, names in layers.items():
        for i, name in enumerate(names):
            # leaves that feed far layers stand lower, so that arrows pass beside the nodes between
            place[name] = (level * 2.6, (len(names) - 1) / 2 - i + 0.35 * (level % 2))
    drawn = {}
    for name, (x, y) in place.items():
        kind = graph[name].kind
        box = {
            "boxstyle": "round,pad=0.5",
            "facecolor": KIND_COLOURS.get(kind, "#ffffff"),
            "edgecolor": FAINT,
        }
        drawn[name] = axis.text(x, y, f"{name}\n{kind.value}", ha="center", va="center", bbox=box, fontsize=9)
    for name in graph.order:
        for source in graph[name].inputs:
            ends = {"patchA": drawn[source].get_bbox_patch(), "patchB": drawn[name].get_bbox_patch()}
            look = {"arrowstyle": "-|>", "color": FAINT, "connectionstyle": "arc3,rad=0.08"}
            axis.annotate(
                "", place[name], place[source], arrowprops={**look, **ends, "shrinkA": 2, "shrinkB": 2}
            )
    axis.set_xlim(-1.2, max(x for x, _ in place.values()) + 1.2)
    axis.set_ylim(-tallest / 2 - 0.3, tallest / 2 + 0.6)
    return figure


@torch.no_grad()
def rollouts(
    venv: VirtualEnv, rows: Rows, horizon: int = 100, most: int = 3, step_seconds: float | None = None
) -> Figure:
    """Open-loop rollouts on the validation half: data, the members' mean, and a band of 90 % of samples."""
    horizon = min(horizon, int(rows.lengths.max()))
    windows = unseen_windows(venv, rows, horizon, most=most)
    members = venv.members_of(0)
    mean = replay(venv, windows)
    samples = [replay(venv, windows, noise_seed=seed) for seed in range(20)]
    shown = [(name, i) for name in judged_transitions(venv, rows) for i in range(venv.graph[name].width)]
    shown = shown[:MOST_PANELS]
    count = windows.first.shape[1]
    figure, axes = panels(max(len(shown), 1) * count, width=4.2 * count, columns=count)
    steps = np.arange(1, horizon + 1)
    for row, (name, i) in enumerate(shown):
        codec = venv.codec[name]
        data = codec.decode(windows.data[name][:, 0])[..., i]
        middle = codec.decode(mean[name][:, members].mean(1))[..., i]
        drawn = torch.cat([codec.decode(s[name][:, members])[..., i] for s in samples], dim=1).numpy()
        low, high = np.quantile(drawn, [0.05, 0.95], axis=1)  # (T, B)
        for window in range(count):
            axis = axes[row * count + window]
            band = (low[:, window], high[:, window])
            axis.fill_between(steps, *band, color=MODEL, alpha=0.2, lw=0, label="90 % of sampled rollouts")
            axis.plot(steps, data[:, window], color=DATA, lw=1, label="data")
            axis.plot(steps, middle[:, window], color=MODEL, label="members' mean")
            axis.set_title(f"from row {int(windows.first[0, window])}", fontsize=9)
            if window == 0:
                axis.set_ylabel(label(venv.graph.columns(name)[i]))
    axes[0].legend(fontsize=7, frameon=False)
    axes[-1].set_xlabel(steps_of("steps into the rollout", step_seconds))
    return figure


def error_by_horizon(venv: VirtualEnv, errors: RolloutError, step_seconds: float | None = None) -> Figure:
    """Mean absolute error at each step of a rollout, venv against "nothing changes"."""
    shown = [(name, i) for name in errors.venv for i in range(venv.graph[name].width)][:MOST_PANELS]
    figure, axes = panels(max(len(shown), 1), width=7)
    steps = np.arange(1, errors.horizon + 1)
    for axis, (name, i) in zip(axes, shown, strict=False):
        axis.plot(steps, errors.venv[name][0, :, i], color=MODEL, label="venv, on the validation half")
        axis.plot(steps, errors.venv[name][1, :, i], color=MODEL, ls=":", label="venv of the other half")
        axis.plot(steps, errors.persistence[name][0, :, i], color=OTHER, label="nothing changes")
        axis.set_ylabel(f"error of {label(venv.graph.columns(name)[i])}")
        axis.set_ylim(bottom=0)
    axes[0].legend(fontsize=8, frameon=False)
    axes[-1].set_xlabel(steps_of("steps into the rollout", step_seconds))
    return figure


@torch.no_grad()
def response_curves(venv: VirtualEnv, rows: Rows, target: str, points: int = 60) -> Figure:
    """Each next state against each column of the action, everything else at rows of the logs.

    Lines: members, averaged over 64 rows; below them how often the logs held such an action, and shaded what they
    never held. Panels of one next state share their scale.
    """
    followers = [
        name
        for name in venv.graph.transitions
        if target in venv.graph[name].inputs and name in venv.graph.learned
    ]
    shown = [
        (name, i, j)
        for name in followers
        for i in range(venv.graph[name].width)
        for j in range(venv.graph[target].width)
    ][:MOST_PANELS]
    figure, axes = panels(max(len(shown), 1), width=7, height=3.2)
    base = rows.at(torch.linspace(0, rows.count - 1, 64).long())
    for axis, (name, i, j) in zip(axes, shown, strict=False):
        column = venv.graph.columns(target)[j]
        logged = venv.codec[target].decode(rows.values[target])[:, j].numpy()
        low = column.min if column.min is not None else float(logged.min())
        high = column.max if column.max is not None else float(logged.max())
        sweep = np.linspace(low, high, points)
        curves = _sweep(venv, base, name, target, j, sweep)[..., i]  # (points, M)
        for half, style in ((0, "-"), (1, ":")):
            axis.plot(sweep, curves[:, venv.members_of(half)], color=MODEL, ls=style, lw=0.8)
        for start, stop in ((low, float(logged.min())), (float(logged.max()), high)):
            if stop > start:
                axis.axvspan(start, stop, color=OTHER, alpha=0.12, lw=0)
        density = axis.twinx()
        density.hist(logged, bins=60, range=(low, high), color=FAINT, alpha=0.5)
        density.set_ylim(top=density.get_ylim()[1] * 4)
        density.set_yticks([])
        axis.set_xlabel(f"{label(column)}   (grey: how often it was logged; shaded: never)")
        axis.set_ylabel(f"next {label(venv.graph.columns(name)[i])}")
    _share_scales(axes, shown)
    spread = f"{len(next(iter(base.values())))} rows spread over the logs"
    point = f"everything else as in {spread} ({_medians(venv, base, target)})"
    halves = "members of the training half (solid) and of the validation half (dotted)"
    axes[0].set_title(f"{halves}\n{point}", fontsize=8)
    return figure


def _share_scales(axes: list[Axes], shown: list[tuple[str, int, int]]) -> None:
    """Gives the panels of one column of one node the same vertical scale."""
    for key in {(name, i) for name, i, _ in shown}:
        mine = [axis for axis, (name, i, _) in zip(axes, shown, strict=False) if (name, i) == key]
        low, high = zip(*(axis.get_ylim() for axis in mine), strict=True)
        for axis in mine:
            axis.set_ylim(min(low), max(high))


def _medians(venv: VirtualEnv, base: Mapping[str, torch.Tensor], target: str) -> str:
    """The operating point in words: the medians of a few columns that a sweep leaves alone."""
    leaves = [n for n in venv.graph.leaves if n in base and n != target and venv.graph[n].history is None]
    named = [
        f"{column.name} {float(values.median()):.3g}"
        for name in leaves
        for column, values in zip(
            venv.graph.columns(name), venv.codec[name].decode(base[name]).T, strict=True
        )
    ]
    more = ", ..." if len(named) > MOST_NAMED else ""
    return "median: " + ", ".join(named[:MOST_NAMED]).replace("$", r"\$") + more if named else "as logged"


def _sweep(
    venv: VirtualEnv,
    base: Mapping[str, torch.Tensor],
    node: str,
    target: str,
    column: int,
    sweep: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean prediction of `node` with one action column set to each value: (points, M, d), physical units."""
    codec, answers = venv.codec, []
    for value in sweep:
        moved = dict(base)
        action = codec[target].decode(base[target]).clone()
        action[:, column] = float(value)
        moved[target] = codec[target].encode(action)
        everywhere = {name: v.expand(venv.members, -1, -1) for name, v in moved.items()}
        x, current = venv.node_inputs(node, everywhere)
        answers.append(codec[node].decode(venv.model(node).mode(x, current)).mean(1).double().numpy())
    return np.stack(answers)


def control(
    graph: DecisionGraph,
    series: Mapping[str, Mapping[str, NDArray[np.float64]]],
    title: str,
    step_seconds: float | None = None,
) -> Figure:
    """Leaves and action over time, from one start and under the same disturbances.

    series: who decides -> node -> (T, d) in physical units; the last one is drawn in front. title: where they start.
    """
    nodes = [*series.values()][-1]
    shown = [(name, i) for name in nodes for i in range(graph[name].width)][:MOST_PANELS]
    figure, axes = panels(len(shown), width=10)
    for axis, (name, i) in zip(axes, shown, strict=True):
        for who, colour in zip(series, (FAINT, OTHER, MODEL)[-len(series) :], strict=True):
            if name in series[who]:
                axis.plot(series[who][name][:, i], color=colour, lw=1, label=who)
        axis.set_ylabel(label(graph.columns(name)[i]))
    axes[0].legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(series))
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    axes[-1].set_xlabel(steps_of("steps", step_seconds))
    return figure
