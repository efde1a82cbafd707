"""The data report: what `revive check` prints, and what every run starts with."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from revive.config.settings import Settings
from revive.data.report import DataReport, check_data
from revive.errors import Problem, UserError
from revive.pipeline.drafts import unfinished
from revive.pipeline.inputs import Inputs, gather
from revive.report.data_page import data_page
from revive.report.terminal import Terminal
from revive.runs import plain_json, write_json


def check(settings: Settings, *, as_json: bool = False) -> None:
    """Check what an experiment gives, print the report and write it beside the runs.

    as_json: print what stands in data_report.json in place of text. Raises UserError with everything that stops a run.
    """
    folder = settings.log_dir / "checks" / settings.experiment
    settings = _without_learning(settings) if settings.reward is None else settings
    try:
        inputs = gather(settings)
    except UserError as error:
        report = DataReport.of_error(error)
        write_report(report, None, settings.experiment, folder)
        if as_json:
            _print(report, folder)
        raise  # it says all that the report does
    report = report_on(inputs, settings)
    write_report(report, inputs, settings.experiment, folder)
    if as_json:
        _print(report, folder)
    else:
        terminal = Terminal()
        terminal.note(report.to_text())
        terminal.note(f"\nreport  {folder / 'data_report.html'}")
    require_no_errors(report, settings)


def _print(report: DataReport, folder: Path) -> None:
    """For a script that reads standard output."""
    said = plain_json({**report.to_json(), "report": str(folder / "data_report.html")})
    sys.stdout.write(f"{json.dumps(said, indent=2, ensure_ascii=False)}\n")


def _without_learning(settings: Settings) -> Settings:
    """The same data, of which nothing is asked that needs a reward."""
    parts = {"policy": settings.policy, "tuning": settings.tuning}
    idle = {name: part.model_copy(update={"mode": "none"}) for name, part in parts.items()}
    return settings.model_copy(update=idle)


def report_on(inputs: Inputs, settings: Settings) -> DataReport:
    """The data report of checked inputs; lengths are held against the longest rollout that will be learned on."""
    curriculum = settings.venv.learner.get("curriculum") or []  # of a learner that has one
    horizon = max((int(steps) for steps, updates in curriculum if updates > 0), default=None)
    ignored = settings.dataset.ignore_check
    report = check_data(inputs.logs, inputs.graph, inputs.parts, horizon, inputs.applied, ignored)
    return replace(report, findings=(*report.findings, *unfinished(settings)))


def require_no_errors(report: DataReport, settings: Settings) -> None:
    """Raises UserError with the errors of the report."""
    file = settings.dataset.path
    problems = [Problem(f.message, file, f.where or None, f.remedy) for f in report.errors]
    if problems:
        raise UserError(*problems)


def write_report(report: DataReport, inputs: Inputs | None, experiment: str, folder: Path) -> None:
    """data_report.json and data_report.html, and the graph as an SVG and as Mermaid text."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "data_report.json", report.to_json())
    graph, logs = (inputs.graph, inputs.logs) if inputs else (None, None)
    page = data_page(f"{experiment}: the data", report, graph, logs)
    (folder / "data_report.html").write_text(page, encoding="utf-8")
    if graph is not None:
        (folder / "graph.mmd").write_text(graph.mermaid(), encoding="utf-8")
