"""Pictures of what the venv knows, drawn from `report.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from revive.data.duration import steps_of, steps_told
from revive.graph.units import with_unit
from revive.report.figures import DATA, FAINT, MODEL, MOST_PANELS, OTHER
from revive.report.trust.parts import BAND, SHADE, grid, named, numbers

Study = Mapping[str, Any]


def errors(study: Study, seconds: float | None) -> Figure:
    """Mean absolute error at each step against three simple predictors, both halves. seconds: that a step takes."""
    shown = list(study.items())[:MOST_PANELS]
    figure, axes = grid(len(shown), width=8.5, height=2.3)
    styles = {
        "venv": (MODEL, "venv"),
        "persistence": (OTHER, "nothing changes"),
        "average": (FAINT, "always the mean"),
        "linear": ("#009e73", "linear model (ARX)"),
    }
    for axis, (name, entry) in zip(axes, shown, strict=True):
        top = 0.0
        for key, (colour, label) in styles.items():
            if key not in entry:
                continue
            values = numbers(entry[key])
            top = max(top, float(np.nanmax(values)) if key != "linear" else 0.0)
            for half, line in enumerate(values):
                axis.plot(
                    np.arange(1, len(line) + 1),
                    line,
                    color=colour,
                    ls="-:"[half],
                    zorder=3 if key == "venv" else 2,  # never hidden by a guess that is as good
                    label=label if half == 0 else None,
                )
        axis.set_ylim(0, top * 1.15 or 1.0)  # a linear model may run away
        axis.set_ylabel(f"error of\n{named(name, entry['units'])}")
    axes[0].legend(fontsize=7, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    axes[-1].set_xlabel(
        f"{steps_of('steps ahead', seconds)}; solid: judged on the validation half, dotted: on the training half"
    )
    return figure


def windows(study: Study, seconds: float | None) -> Figure:
    """Logged paths, what the venv foretold, and the bands. seconds: that a step takes, where that is known."""
    columns, count = study["columns"], len(study["first"])
    columns = columns[: max(1, MOST_PANELS // 2)]
    figure, axes = grid(max(1, len(columns) * count), width=3.6 * count, height=2.4, columns=max(1, count))
    for row, column in enumerate(columns):
        for i, entry in enumerate(column["windows"]):
            axis = axes[row * count + i]
            _window(axis, entry)
            axis.set_title(
                f"{'training' if study['half'][i] == 0 else 'validation'} half, from row {study['first'][i]}",
                fontsize=8,
            )
            if i == 0:
                axis.set_ylabel(named(column["name"], column["units"]), fontsize=9)
            axis.set_xlabel(steps_of("steps ahead", seconds), fontsize=8)
    axes[0].legend(fontsize=6, frameon=False)
    return figure


def _window(axis: Axes, entry: Mapping[str, Any]) -> None:
    mean, step = numbers(entry["mean"]), numbers(entry["step"])
    steps = np.arange(1, len(mean) + 1)
    path = numbers(entry["path"])
    if np.isfinite(path).any():
        axis.fill_between(
            steps, mean - path, mean + path, color=BAND, alpha=0.2, lw=0, label="90 % of whole paths"
        )
    if np.isfinite(step).any():
        axis.fill_between(
            steps, mean - step, mean + step, color=MODEL, alpha=0.25, lw=0, label="90 % at each step"
        )
    else:
        low, high = numbers(entry["low"]), numbers(entry["high"])
        axis.fill_between(
            steps, low, high, color=FAINT, alpha=0.25, lw=0, label="90 % as the venv says, not checked"
        )
    axis.plot(steps, numbers(entry["truth"]), color=DATA, lw=0.9, label="logged")
    axis.plot(steps, mean, color=MODEL, lw=1.1, label="foretold")


def distributions(study: Study, units: Mapping[str, str | None]) -> Figure | None:
    """Logged values and sampled rollouts at some steps, each step for itself."""
    shown = [(name, entry) for name, entry in study.items() if entry][: MOST_PANELS // 2]
    if not shown:
        return None
    count = max(len(entry) for _, entry in shown)
    figure, axes = grid(len(shown) * count, width=3.3 * count, height=1.8, columns=count)
    for row, (name, entry) in enumerate(shown):
        for i, (step, at) in enumerate(entry.items()):
            axis = axes[row * count + i]
            edges = numbers(at["edges"])
            axis.stairs(numbers(at["logs"]), edges, color=DATA, label="logged")
            axis.stairs(numbers(at["venv"]), edges, color=MODEL, fill=True, alpha=0.35, label="venv")
            axis.set_title(
                f"step {step}: distance {at['distance']:.2g} (chance {at['chance']:.2g})", fontsize=8
            )
            axis.set_xlabel(named(name, units.get(name)), fontsize=8)
            axis.set_yticks([])
        for axis in axes[row * count + len(entry) : (row + 1) * count]:
            axis.set_visible(False)
    axes[0].legend(fontsize=7, frameon=False)
    return figure


def calibration(study: Study) -> Figure | None:
    """PIT histograms: flat where the spread is right."""
    shown = [(name, entry) for name, entry in study.items() if entry["pit"]][: MOST_PANELS // 2]
    if not shown:
        return None
    steps = [k for k in ("1", "10", "50") if any(k in entry["pit"] for _, entry in shown)]
    figure, axes = grid(len(shown) * len(steps), width=3.0 * len(steps), height=1.9, columns=len(steps))
    for row, (name, entry) in enumerate(shown):
        for i, step in enumerate(steps):
            axis = axes[row * len(steps) + i]
            if step not in entry["pit"]:
                axis.set_visible(False)
                continue
            shares = numbers(entry["pit"][step])
            axis.bar(
                (np.arange(len(shares)) + 0.5) / len(shares),
                shares * len(shares),
                0.9 / len(shares),
                color=MODEL,
            )
            axis.axhline(1.0, color=DATA, lw=0.8, ls="--")
            axis.set_title(f"{name}, step {step}".replace("$", r"\$"), fontsize=8)
            axis.set_xlabel(
                "where the logged value lay\nin the venv's distribution (0 low, 1 high)", fontsize=7
            )
    return figure


def responses(study: Study, seconds: float | None) -> Figure:
    """One row per pair: next state, state after some steps, and the way there after a step of the input.

    seconds: that a step takes, where that is known.
    """
    shown = study["of"][: MOST_PANELS // 2]
    figure, axes = grid(3 * len(shown), width=11.5, height=2.8, columns=3)
    for row, entry in enumerate(shown):
        one, after, step = axes[3 * row : 3 * row + 3]
        for axis, key, title in (
            (one, "one_step", "next step"),
            (after, "after", f"after {steps_told(study['after'], seconds)} with the input held"),
        ):
            _response(axis, entry, numbers(entry[key]))
            axis.set_title(title, fontsize=8)
        _step(step, entry, seconds)
    axes[0].legend(fontsize=6, framealpha=0.85)
    return figure


def _response(axis: Axes, entry: Mapping[str, Any], curves: np.ndarray) -> None:
    """curves (points, M): the first half of the members solid, the others dotted."""
    at, near = numbers(entry["grid"]), np.array(entry["near"], dtype=bool)
    half = curves.shape[1] // 2
    for m in range(curves.shape[1]):
        label = {0: "members, training half", half: "members, validation half"}.get(m)
        axis.plot(
            at,
            curves[:, m],
            color=MODEL if m < half else OTHER,
            ls="-" if m < half else ":",
            lw=0.8,
            label=label,
        )
    _shade(axis, at, ~near)
    counts = numbers(entry["logged"]["counts"])
    share = 0.25 * counts / max(counts.max(), 1.0)  # of the height of the panel
    low = axis.get_ylim()
    edges, below = numbers(entry["logged"]["edges"]), axis.get_xaxis_transform()
    axis.stairs(share, edges, transform=below, fill=True, color=FAINT, alpha=0.4)
    axis.set_ylim(low)
    axis.set_xlabel(named(**entry["input"]), fontsize=8)
    axis.set_ylabel(named(**entry["output"]), fontsize=8)


def _shade(axis: Axes, at: np.ndarray, far: np.ndarray) -> None:
    """Where the logs hold nothing like it."""
    edges = np.concatenate([at[:1], (at[1:] + at[:-1]) / 2.0, at[-1:]])
    label: str | None = "nothing like it was logged"
    for i in np.flatnonzero(far):
        axis.axvspan(edges[i], edges[i + 1], color=SHADE, lw=0, zorder=0, label=label)
        label = None


def _step(axis: Axes, entry: Mapping[str, Any], seconds: float | None) -> None:
    step = entry["step"]
    path = numbers(step["path"])
    half = path.shape[1] // 2
    steps = np.arange(1, len(path) + 1)
    for m in range(path.shape[1]):
        axis.plot(steps, path[:, m], color=MODEL if m < half else OTHER, ls="-" if m < half else ":", lw=0.8)
    axis.axhline(0.0, color=FAINT, lw=0.6)
    to = with_unit(f"{step['to']:.3g}", entry["input"]["units"] or "")
    axis.set_title(
        f"{entry['input']['name']} from {step['from']:.3g} to {to} at step 1".replace("$", r"\$"),
        fontsize=8,
    )
    axis.set_xlabel(steps_of("steps", seconds), fontsize=8)
    axis.set_ylabel(f"change of {named(**entry['output'])}", fontsize=8)


def residual_map(study: Study) -> Figure | None:
    """Mean of the one-step residual over each input, with two standard errors; one panel per input."""
    pairs = [(column, name, entry) for column, inputs in study.items() for name, entry in inputs.items()]
    pairs = _largest(pairs, 2 * MOST_PANELS)
    if not pairs:
        return None
    figure, axes = grid(len(pairs), width=11.5, height=2.0, columns=4)
    for axis, (column, name, entry) in zip(axes, pairs, strict=True):
        edges, mean, error, size = (numbers(entry[key]) for key in ("edges", "mean", "error", "size"))
        middle = (edges[1:] + edges[:-1]) / 2.0
        axis.errorbar(
            middle, mean, yerr=2.0 * error, color=MODEL, lw=1, elinewidth=0.8, label="mean, 2 standard errors"
        )
        axis.plot(middle, size, color=OTHER, lw=0.8, ls="--", label="typical size")
        axis.axhline(0.0, color=FAINT, lw=0.6)
        axis.set_xlabel(name.replace("$", r"\$"), fontsize=8)
        axis.set_ylabel(f"{column}: error /\nusual error".replace("$", r"\$"), fontsize=7)
    _legend_above(axes[0])
    return figure


def _legend_above(axis: Axes) -> None:
    """Where it hides no line."""
    axis.legend(fontsize=6, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 0.97))


def _largest(pairs: list[Any], most: int) -> list[Any]:
    """The pairs whose mean residual leaves zero most clearly, where there are too many."""

    def clear(pair: Any) -> float:
        mean, error = numbers(pair[2]["mean"]), numbers(pair[2]["error"])
        ratio = np.abs(mean) / np.maximum(error, 1e-9)
        return -float(np.nanmax(ratio)) if np.isfinite(ratio).any() else 0.0

    return pairs if len(pairs) <= most else sorted(pairs, key=clear)[:most]


def by_trajectory(study: Study) -> Figure | None:
    """Size of the residuals of every trajectory."""
    shown = [(name, entry) for name, entry in study.items() if len(entry["trajectory"]) > 2][
        : MOST_PANELS // 2
    ]
    if not shown:
        return None
    figure, axes = grid(len(shown), width=8.5, height=1.6)
    for axis, (name, entry) in zip(axes, shown, strict=True):
        at = numbers(entry["trajectory"])
        axis.bar(at, numbers(entry["size"]), 0.8, color=MODEL, alpha=0.5, label="typical size")
        axis.plot(at, numbers(entry["mean"]), ".", color=OTHER, ms=4, label="mean")
        axis.axhline(1.0, color=DATA, lw=0.6, ls="--")
        axis.set_ylabel(f"{name}:\nerror / usual".replace("$", r"\$"), fontsize=7)
    axes[0].legend(fontsize=6, frameon=False)
    axes[-1].set_xlabel("trajectory of the logs", fontsize=8)
    return figure


def drift(study: Study) -> Figure | None:
    """CUSUM of the residuals in time, with the level that chance alone seldom reaches."""
    shown = [(name, parts) for name, parts in study.items() if parts][: MOST_PANELS // 2]
    if not shown:
        return None
    figure, axes = grid(len(shown), width=8.5, height=1.9)
    for axis, (name, parts) in zip(axes, shown, strict=True):
        for part in parts:
            axis.plot(
                numbers(part["rows"]), numbers(part["cusum"]), color=OTHER if part["alarm"] else MODEL, lw=1
            )
            for change in part["changes"]:
                axis.axvline(change, color=OTHER, lw=0.8, ls=":")
        for level in (-1.63, 1.63):
            axis.axhline(level, color=FAINT, lw=0.8, ls="--")
        axis.set_ylabel(f"CUSUM of\n{name}".replace("$", r"\$"), fontsize=8)
    axes[-1].set_xlabel(
        "row of the logs, either half by itself; dashed: one series in a hundred gets there by chance",
        fontsize=8,
    )
    return figure
