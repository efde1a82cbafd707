"""What the command prints: a line per stage, then the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from revive.data.duration import duration
from revive.data.finding import counted
from revive.data.trajectories import Trajectories
from revive.graph.decision_graph import DecisionGraph
from revive.report.next_steps import PROGRAM, next_steps
from revive.report.summary import Summary
from revive.report.tables import card_lines, policy_table, sentences, venv_table
from revive.trust.card import Cards

RESULTS = ("report.html", "summary.json", "tuning.yaml", "figures/", "venv/", "policy/")
PROGRESS = "progress.log"
PERIOD = 30.0  # seconds between lines about progress
WIDE = 110  # characters, where the output is no terminal
Latest = Callable[[], Mapping[str, float]]  # the figures of learning that were recorded last
_LIVE = {  # the first that there is, is shown
    "filter_error": "held-out error one step ahead of filtered readings {:.4g} ('nothing changes': 1)",
    "held_out_error": "held-out error {:.4g} ('nothing changes': 1)",
    "rollout_reward": "rollout reward {:.4g} per step",
    "loss": "loss {:.4g}",
}


class Pace:
    """How fast a stage goes, in a line that is worth saying every `PERIOD` seconds."""

    def __init__(self, stage: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._stage, self._clock = stage, clock
        self._started = self._said = clock()
        self._first = True

    def line(self, done: int, total: int, latest: Latest = dict) -> str | None:
        """A line about `done` of `total` steps, with the latest figure; None where one was said a short while ago."""
        now = self._clock()
        if now - self._said < PERIOD or done <= 0 or total <= 0:
            return None
        self._said = now
        spent = now - self._started
        left = spent * max(total - done, 0) / done
        times = f"after {_about(spent)}, at most {_about(left)} left"
        figure = live_figure(latest())
        line = f"{self._stage:<8} {min(done / total, 1):4.0%}  {times}" + (f", {figure}" if figure else "")
        first, self._first = self._first, False
        return f"{line} (it ends before that where it learns no more)" if first else line


def _about(seconds: float) -> str:
    """Whole seconds, from two minutes on whole minutes."""
    return duration(round(seconds) if seconds < 120 else 60 * round(seconds / 60))


def live_figure(latest: Mapping[str, float]) -> str:
    """The figure that says most about how learning goes; empty where there is none."""
    for word in _LIVE:
        for name, value in latest.items():
            if name.rpartition(".")[2] == word:
                return _LIVE[word].format(value)
    return ""


class Terminal:
    """Progress on a terminal; one line per finished stage where the output is a file."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = WIDE
        self._bar: tuple[Progress, TaskID] | None = None
        self._pace: Pace | None = None
        self._log: Path | None = None

    def opening(self, experiment: str, folder: Path, graph: DecisionGraph, logs: Trajectories) -> None:
        """What is about to happen, with what."""
        size = f"{counted(logs.rows, 'row')}, {counted(logs.count, 'trajectory', 'trajectories')}"
        every = f", a row every {duration(logs.step_seconds)}" if logs.step_seconds else ""
        self.console.print(f"[bold]{escape(experiment)}[/bold]  {size}{every}")
        for name in graph.order:
            self.console.print(f"  {name} <- {', '.join(graph[name].inputs)}", markup=False)
        self.note(f"run     {_short(folder)}")
        self._log = folder / PROGRESS

    def findings(self, warnings: int, proposals: int, experiment: str) -> None:
        """How much the data report has to say."""
        if warnings or proposals:
            found = f"{counted(warnings, 'warning')}, {counted(proposals, 'proposal')}"
            self.note(f"data    {found}: {PROGRAM} check experiment={experiment}")

    def cards(self, cards: Cards) -> None:
        """What the logs say about cause and effect: a line for each pair that is not well known, or one for all."""
        for line in card_lines(cards):
            self.note(line)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Shows a bar while a stage runs and leaves one line when it is done."""
        started = time.perf_counter()
        self._pace = Pace(name)
        columns = (
            TextColumn("{task.description:<11}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("at most"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figure]}"),
        )
        with Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        ) as bar:
            self._bar = (bar, bar.add_task(name, total=None, figure=""))
            yield
        self._bar = None
        self.console.print(f"{name:<11} {time.perf_counter() - started:5.1f} s")

    def progress(self, done: int, total: int, latest: Latest = dict) -> None:
        """How far the current stage is, and its latest figure; every half minute also a line in the run's
        `progress.log`."""
        if self._bar and self.console.is_terminal:
            bar, task = self._bar
            bar.update(task, completed=done, total=total, figure=live_figure(latest()))
        line = self._pace.line(done, total, latest) if self._pace else None
        if line is None:
            return
        if not self.console.is_terminal:
            self.note(line)
        if self._log is not None and self._log.parent.is_dir():
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n")

    def note(self, text: str) -> None:
        """Text as it is, never wrapped."""
        self.console.print(text, markup=False, soft_wrap=True)

    def table(self, summary: Summary) -> None:
        """What was learned and how far to trust it."""
        self.console.print()
        if "predicted" in summary.policy:
            self.console.print(policy_table(summary))
            self.console.print()
        self.console.print(venv_table(summary))
        for sentence in sentences(summary):
            self.note(f"\n{sentence}")
        for stage, searched in summary.search.items():
            self.note(_search_line(stage, searched))
        spent = ", ".join(f"{name} {value:g}" for name, value in summary.seconds.items() if "." not in name)
        self.console.print(f"\nseconds  {spent}")

    def closing(
        self,
        folder: Path,
        ui_command: str | None,
        trouble: str | None,
        experiment: str = "",
        status: str | None = None,
    ) -> None:
        """Where everything lies, and what to do next. status: of the gate."""
        if trouble:
            self.note(trouble)
        there = [name for name in RESULTS if (folder / name.rstrip("/")).exists()]
        self.note(f"results  {_short(folder)}" + (f"  ({', '.join(there)})" if there else ""))
        if ui_command:
            self.note(f"compare  {ui_command}")
        if experiment:
            for line in next_steps(folder, _short(folder), experiment, status, bool(ui_command)):
                self.note(line)


def _search_line(stage: str, searched: dict[str, Any]) -> str:
    """How many trials, and how much too well the search thought of what it chose."""
    counts = ", ".join(f"{count} {state}" for state, count in searched["trials"].items())
    trials = "trial" if sum(searched["trials"].values()) == 1 else "trials"
    line = f"search  {stage}: {counts} {trials}, {searched['training_seconds']:g} s of training"
    if "optimism" not in searched:
        return f"{line}; no test part was kept aside to tell its optimism"
    what = "rollout error" if stage == "venv" else "gain over the logs' controller"
    figures = f"{searched['validation']:.3f} in validation, {searched['test']:.3f} on the test part"
    return f"{line};\n        {what} {figures} (optimism {searched['optimism']:.3f})"


def _short(path: Path) -> str:
    """Relative to the working directory where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
