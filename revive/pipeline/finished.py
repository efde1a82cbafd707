"""Reading what a run that is done has left in its folder; whatever is not as it should be is one message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from revive.config.settings import Settings
from revive.errors import Problem, UserError, suggestion
from revive.report.summary import Summary
from revive.runs import is_held

_DAMAGED = "restore it, or run the experiment again"


@dataclass(frozen=True)
class FinishedRun:
    """summary: what summary.json holds. config: what config.yaml holds."""

    folder: Path
    summary: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def figures(self) -> dict[str, float]:
        """Those that stand in the records too, under the same names."""
        return Summary(**self.summary).metrics()


def finished_run(folder: Path) -> FinishedRun:
    """Raises UserError for a folder that is no run, one that is not finished or at work, and damaged files."""
    require_finished(folder)
    again = f"the same command with run_id={folder.name} makes it"
    summary = finished_file(folder, "summary.json")
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        Summary(**summary).metrics()
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        what = f"is damaged, or of another version ({type(error).__name__}: {error})"
        raise UserError(Problem(what, folder, remedy=again)) from error
    return FinishedRun(folder, summary, config)


def finished_file(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file that a finished run left. Raises UserError where it is missing or damaged."""
    again = f"the same command with run_id={folder.name} makes it: stages that are done are taken as they are"
    what = "is not there: the run was made by an earlier version, or without it"
    return read_mapping(folder / name, Problem(what, folder / name, remedy=again))


def require_finished(folder: Path) -> None:
    """Raises UserError where there is no run in `folder`, or it is not done."""
    state = read_mapping(folder / "state.json", _no_run(folder))
    if is_held(folder):
        raise UserError(Problem("a command is at work in this run", folder, remedy="wait until it is done"))
    if state.get("state") != "finished":
        what = f"this run is {state.get('state', 'not finished')}, so there is nothing to say about it yet"
        raise UserError(Problem(what, folder, remedy=f"go on with it: run_id={folder.name}"))


def settings_of(folder: Path) -> Settings:
    """Those of the last command of a run; logs that its simulator made are read from the run folder."""
    file = folder / "config.yaml"
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        values.pop("data", None)
        if (folder / "data.npz").is_file() and values["dataset"]["path"] is None:
            values["dataset"]["path"] = str((folder / "data.npz").absolute())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(_no_run(folder)) from error
    except (yaml.YAMLError, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(Problem(f"is damaged: {error}", file, remedy=_DAMAGED)) from error
    try:
        return Settings.check(values)
    except UserError as error:
        what = "was written by another version: it lacks settings that this one needs, or has others"
        remedy = f"the same command with run_id={folder.name} resume=fresh, or that version"
        raise UserError(Problem(what, file, remedy=remedy)) from error


def read_mapping(file: Path, missing: Problem) -> dict[str, Any]:
    """A JSON file that holds an object. Raises UserError: `missing` where it is not there."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(missing) from error
    except (ValueError, OSError) as error:
        raise UserError(Problem(f"is damaged: {error}", file, remedy=_DAMAGED)) from error
    if not isinstance(content, dict):
        raise UserError(Problem("is damaged: it holds no mapping", file, remedy=_DAMAGED))
    return content


def _no_run(folder: Path) -> Problem:
    """What to say where there is no run folder of that name."""
    there = (
        sorted(p.name for p in folder.parent.glob("*") if (p / "state.json").is_file())
        if folder.parent.is_dir()
        else []
    )
    remedy = (
        suggestion(folder.name, there[-20:])
        if there
        else "name a run: run=NAME, and log_dir=DIR where it lies"
    )
    return Problem("there is no run", folder, remedy=remedy)
