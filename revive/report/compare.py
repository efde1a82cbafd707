"""Runs side by side: in which settings they differ, and the figures that stand in the records too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table

from revive.report.tables import PLAIN
from revive.runs import leaves

_OWN: Final = ("run_id", "log_dir", "resume", "tracking", "data", "trust")  # of every run; data is told apart
_BUILT: Final = "._target_"  # key of the class that a part of the config builds
_MOST: Final = 20  # settings that are listed
_FILES: Final = ("reward", "simulator", "dataset.description")  # where the experiment lies


@dataclass(frozen=True)
class Compared:
    """name, config and summary of a run, as its folder holds them, and its figures by name."""

    name: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    figures: Mapping[str, float]

    def to_json(self, varied: Sequence[str]) -> dict[str, Any]:
        """What `revive compare --json` prints of a run."""
        asked = _settings(self.config)
        return {
            "run": self.name,
            "experiment": self.summary["experiment"],
            "data_sha256": self.summary["data"]["sha256"],
            "settings": {key: asked.get(key) for key in varied},
            "gate": self.summary["gate"],
            "verdicts": [verdict["code"] for verdict in self.summary["verdicts"]],
            "taken": self.summary["policy"].get("chosen"),
            "figures": dict(self.figures),
        }


def varied_settings(runs: Sequence[Compared]) -> list[str]:
    """The settings in which runs differ, in the order of the config."""
    asked = [_settings(run.config) for run in runs]
    keys = dict.fromkeys(key for settings in asked for key in settings)
    return [key for key in keys if len({repr(settings.get(key)) for settings in asked}) > 1]


def compare_table(runs: Sequence[Compared]) -> Table:
    """A column for each run; what is said of the run, then its figures, last the settings that somebody changed."""
    table = Table(**PLAIN)
    table.add_column("", no_wrap=True)
    for run in runs:
        table.add_column(run.name, justify="right", overflow="fold")
    table.add_row("gate", *(_gate(run.summary["gate"]) for run in runs))
    table.add_row("verdicts", *(_codes(run.summary["verdicts"]) for run in runs))
    table.add_row("taken", *(_taken(run.summary["policy"]) for run in runs))
    table.add_row("data", *(run.summary["data"]["sha256"][:12] for run in runs))
    for name in _names(runs):
        table.add_row(name, *(_figure(run.figures.get(name)) for run in runs))
    table.add_section()
    rows, left = _told_settings(runs)
    table.add_row("[bold]settings that differ[/bold]" if rows else "no settings differ")
    for key, values in rows:
        table.add_row(key, *values)
    if left:
        table.caption = f"... and {left} more: --json"
    return table


def _told_settings(runs: Sequence[Compared]) -> tuple[list[tuple[str, list[str]]], int]:
    """The settings that differ, with their values; how many are left out.

    Where runs differ in what is built (`_target_`), its arguments differ as well: the choice is told, they are not.
    """
    asked = [_settings(run.config) for run in runs]
    varied = varied_settings(runs)
    built = [key.removesuffix(_BUILT) for key in varied if key.endswith(_BUILT)]
    outermost = [of for of in built if not any(of.startswith(f"{other}.") for other in built)]
    follow = (*(f"{of}." for of in outermost), *(f"{of.rpartition('.')[0]}.space." for of in outermost))
    outer = [key for key in varied if key.removesuffix(_BUILT) in outermost or not key.startswith(follow)]
    rows = [
        (
            key.removesuffix(_BUILT),
            [_built(s.get(key)) if key.endswith(_BUILT) else _shown(s.get(key)) for s in asked],
        )
        for key in outer[:_MOST]
    ]
    return rows, len(varied) - len(rows)


def _names(runs: Sequence[Compared]) -> list[str]:
    """The figures of any run; those of one kind (`policy.`, `venv.`) side by side."""
    names = dict.fromkeys(name for run in runs for name in run.figures)
    kinds = dict.fromkeys(name.partition(".")[0] for name in names)
    return [name for kind in kinds for name in names if name.partition(".")[0] == kind]


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    found = leaves(config)
    return {k: v for k, v in found.items() if k.partition(".")[0] not in _OWN and k not in _FILES}


def _gate(gate: Mapping[str, Any]) -> str:
    return gate.get("status", "not judged") + (" (accepted)" if gate.get("overridden") else "")


def _codes(verdicts: Sequence[Mapping[str, str]]) -> str:
    return ", ".join(sorted({verdict["code"] for verdict in verdicts})) or "none"


def _taken(policy: Mapping[str, Any]) -> str:
    chosen = policy.get("chosen")
    return "-" if chosen is None else chosen["source"] + (" (fallback)" if chosen.get("fallback") else "")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _built(value: Any) -> str:
    """`first_order` of `revive.policy.learners.first_order.FirstOrder`."""
    parts = str(value).split(".")
    return _shown(value if len(parts) < 3 else parts[-2])


def _shown(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 40 else f"...{text[-37:]}"
