"""What the command prints: a line per stage, then the table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from revive.data.trajectories import Trajectories
from revive.graph.decision_graph import DecisionGraph
from revive.report.summary import Summary

PLAIN: dict[str, Any] = {
    "title_justify": "left",
    "caption_justify": "left",
    "title_style": "bold",
    "box": None,
    "pad_edge": False,
    "padding": (0, 2, 0, 0),
}
RESULTS = ("summary.json", "tuning.yaml", "figures/", "venv/", "policy/")
WIDE = 110  # characters, where the output is no terminal


class Terminal:
    """Progress on a terminal; one line per finished stage where the output is a file."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = WIDE
        self._bar: tuple[Progress, TaskID] | None = None

    def opening(self, experiment: str, folder: Path, graph: DecisionGraph, logs: Trajectories) -> None:
        """What is about to happen, with what."""
        plural = "trajectory" if logs.count == 1 else "trajectories"
        self.console.print(f"[bold]{escape(experiment)}[/bold]  {logs.rows} rows, {logs.count} {plural}")
        for name in graph.order:
            self.console.print(f"  {name} <- {', '.join(graph[name].inputs)}", markup=False)
        self.note(f"run     {_short(folder)}")

    def findings(self, warnings: int, proposals: int, experiment: str) -> None:
        """How much the data report has to say."""
        if warnings or proposals:
            self.note(
                f"data    {warnings} warnings, {proposals} proposals: revive check experiment={experiment}"
            )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Shows a bar while a stage runs and leaves one line when it is done."""
        started = time.perf_counter()
        columns = (TextColumn("{task.description:<11}"), BarColumn(), TimeElapsedColumn())
        with Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        ) as bar:
            self._bar = (bar, bar.add_task(name, total=None))
            yield
        self._bar = None
        self.console.print(f"{name:<11} {time.perf_counter() - started:5.1f} s")

    def progress(self, done: int, total: int) -> None:
        """How far the current stage is."""
        if self._bar:
            bar, task = self._bar
            bar.update(task, completed=done, total=total)

    def note(self, text: str) -> None:
        """Text as it is, never wrapped."""
        self.console.print(text, markup=False, soft_wrap=True)

    def table(self, summary: Summary) -> None:
        """What was learned and how far to trust it."""
        self.console.print()
        if "predicted" in summary.policy:
            self.console.print(_policy_table(summary))
            self.console.print()
        self.console.print(_venv_table(summary))
        for remark in _remarks(summary):
            self.note(f"\n{remark}")
        for stage, searched in summary.search.items():
            self.note(_search_line(stage, searched))
        spent = ", ".join(f"{name} {value:g}" for name, value in summary.seconds.items())
        self.console.print(f"\nseconds  {spent}")

    def closing(self, folder: Path, ui_command: str | None, trouble: str | None) -> None:
        """Where everything lies."""
        if trouble:
            self.note(trouble)
        there = [name for name in RESULTS if (folder / name.rstrip("/")).exists()]
        self.note(f"results  {_short(folder)}" + (f"  ({', '.join(there)})" if there else ""))
        if ui_command:
            self.note(f"compare  {ui_command}")


def _remarks(summary: Summary) -> list[str]:
    """What a user must not overlook in the figures."""
    remarks, venv, policy = [], summary.venv, summary.policy
    longest = list(venv["rollout_mae"])[-1:]
    if any(venv["rollout_mae"][steps] >= venv["persistence_mae"][steps] for steps in longest):
        remarks.append(
            f"Over {longest[0]} steps the venv predicts no better than that nothing changes: "
            "do not trust what was found in it."
        )
    if "predicted" in policy:
        other = 1 - policy["learned_in_half"]
        if policy["predicted"]["mean"] <= policy["behaviour"][other]["mean"]:
            remarks.append(
                "The learned policy promises no more than the logs' controller earns: do not use it."
            )
    return remarks


def _search_line(stage: str, searched: dict[str, Any]) -> str:
    """How many trials, and how much too well the search thought of what it chose."""
    counts = ", ".join(f"{count} {state}" for state, count in searched["trials"].items())
    line = f"search  {stage}: {counts} trials, {searched['training_seconds']:g} s of training"
    if "optimism" not in searched:
        return f"{line}; no test part was kept aside to tell its optimism"
    what = "rollout error" if stage == "venv" else "gain over the logs' controller"
    figures = f"{searched['validation']:.3f} in validation, {searched['test']:.3f} on the test part"
    return f"{line};\n        {what} {figures} (optimism {searched['optimism']:.3f})"


def _policy_table(summary: Summary) -> Table:
    policy = summary.policy
    table = Table(title="Reward per step (in brackets: 90 % of rollouts)", **PLAIN)
    table.add_column("")
    for where in ("in the logs", "venv, training half", "venv, validation half", "in truth"):
        table.add_column(where, justify="right")
    truth = policy.get("truth")
    for who, estimates in (("logs' controller", policy["behaviour"]), ("learned policy", policy["halves"])):
        learned = who == "learned policy"
        cells = [f"{e['mean']:.3f} ({e['low']:.2f} .. {e['high']:.2f})" for e in estimates]
        if learned:
            cells[policy["learned_in_half"]] += " *"
        logged = "" if learned else f"{policy['logged']:.3f}"
        real = f"{truth['mean']:.3f} (se {truth['se']:.4f})" if learned and truth else ""
        table.add_row(who, logged, *cells, real)
    table.caption = "* learned in it; the other half is the honest estimate"
    return table


def _venv_table(summary: Summary) -> Table:
    venv = summary.venv
    table = Table(title="Open-loop rollout error (mean absolute error over the first steps)", **PLAIN)
    table.add_column("steps")
    for steps in venv["rollout_mae"]:
        table.add_column(steps, justify="right")
    rows = {
        "venv, on the validation half": venv["rollout_mae"],
        "nothing changes": venv["persistence_mae"],
        "venv of the other half, on the training half": venv["other_half"]["rollout_mae"],
        "nothing changes ": venv["other_half"]["persistence_mae"],
    }
    if "test" in venv:
        rows["venv, on the test part"] = venv["test"]["rollout_mae"][0]
        rows["nothing changes  "] = venv["test"]["persistence_mae"]
    for label, errors in rows.items():
        table.add_row(label, *(f"{value:.3f}" for value in errors.values()))
    return table


def _short(path: Path) -> str:
    """Relative to the working directory where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
