"""What the runs of one command (`-m seed=0,1,2`) say together: a line for each, their mean and their spread."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

_NOT_VARIED: Final = ("run_id", "tracking")
_FIGURES: Final = {
    "logs": ("policy", "logged"),
    "predicted": ("policy", "predicted", "mean"),
    "true": ("policy", "truth", "mean"),
    "return, logs": ("policy", "episodes", "logs", "return"),
    "return, predicted": ("policy", "episodes", "predicted", "mean"),
    "return, true": ("policy", "episodes", "truth", "return"),
    "venv error, 10 steps": ("venv", "rollout_mae", "10"),
    "tuned": ("tuning", "reward", "mean"),
}


@dataclass
class Sweep:
    """The runs of one command, as they are done: what each was asked, and the folder that it left."""

    runs: list[tuple[Mapping[str, Any], Path]] = field(default_factory=list)

    def add(self, settings: Mapping[str, Any], folder: Path) -> None:
        """A run that has opened its folder."""
        self.runs.append((dict(_flat(settings)), folder))

    def lines(self) -> list[str]:
        """The table; empty where there are fewer than two runs."""
        if len(self.runs) < 2:
            return []
        varied = self._varied()
        rows = [[folder.name, *(_shown(asked.get(key)) for key in varied)] for asked, folder in self.runs]
        found = [_figures(folder) for _, folder in self.runs]
        names = [name for name in _FIGURES if any(name in figures for figures in found)]
        for row, figures in zip(rows, found, strict=True):
            row += [f"{figures[name]:.5g}" if name in figures else "-" for name in names]
            row.append(str(figures.get("distrust", "not finished")))
        head = ["run", *varied, *names, "distrusted"]
        blank = [""] * (len(varied))
        summary = [[word, *blank, *(_of(kind, found, name) for name in names), ""] for word, kind in _ENDS]
        return ["", f"{len(self.runs)} runs", *_aligned([head, *rows, *summary])]

    def _varied(self) -> list[str]:
        """The settings in which the runs differ."""
        keys = dict.fromkeys(key for asked, _ in self.runs for key in asked)
        return [
            key
            for key in keys
            if key.partition(".")[0] not in _NOT_VARIED
            and len({repr(asked.get(key)) for asked, _ in self.runs}) > 1
        ]


_ENDS: Final = (("mean", "mean"), ("spread (sd)", "spread"))


def _figures(folder: Path) -> dict[str, Any]:
    """The figures of a run that is done, as far as it has them."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found: dict[str, Any] = {}
    for name, path in _FIGURES.items():
        value: Any = summary
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            found[name] = float(value)
    severe = [v.get("code", "?") for v in summary.get("verdicts", ()) if v.get("severity") == "distrust"]
    found["distrust"] = ", ".join(severe) or "no"
    return found


def _of(kind: str, found: Sequence[Mapping[str, Any]], name: str) -> str:
    values = np.array([figures[name] for figures in found if name in figures])
    if kind == "mean":
        return f"{values.mean():.5g}"
    return f"{values.std(ddof=1):.3g}" if len(values) > 1 else "-"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 30 else f"...{text[-27:]}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
