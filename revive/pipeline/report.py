"""The trust report in the run folder: written at the end of a run, and made again from what the run left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from revive import __version__
from revive.errors import Problem, UserError, suggestion
from revive.report.trust.page import page
from revive.report.trust.words import words
from revive.runs import is_held, write_bytes

FORMAT = 1
PAGE, FIGURES = "report.html", "report.json"


def write_report(folder: Path, summary: Mapping[str, Any], study: Mapping[str, Any]) -> None:
    """report.json, then report.html, each whole or not at all; nothing before the page is made.

    summary: what `summary.json` holds. study: see `study.py`.
    """
    told = words(summary, study)
    text = page(summary, told, study)
    content = {
        "format": FORMAT,
        "version": __version__,
        "experiment": summary["experiment"],
        "run_id": summary["run_id"],
        "words": told,
        "study": study,
    }
    write_bytes(folder / FIGURES, (json.dumps(content, ensure_ascii=False) + "\n").encode())
    write_bytes(folder / PAGE, text.encode())


def remake(folder: Path) -> Path:
    """Write the page of a finished run anew; returns it.

    Raises UserError, with nothing written, for a folder that is no run, a run that is not finished or at work, one of
    an earlier version, and files that are damaged.
    """
    state = _read(folder, "state.json", _no_run(folder))
    if is_held(folder):
        raise UserError(Problem("a command is at work in this run", folder, remedy="wait until it is done"))
    if state.get("state") != "finished":
        what = f"this run is {state.get('state', 'not finished')}, so that there is nothing to report yet"
        raise UserError(Problem(what, folder, remedy=f"go on with it: run_id={folder.name}"))
    again = f"the same command with run_id={folder.name} makes it: stages that are done are taken as they are"
    summary = _read(folder, "summary.json", _missing(folder / "summary.json", again))
    report = _read(folder, FIGURES, _missing(folder / FIGURES, again))
    if report.get("format") != FORMAT:
        what = f"was written in format {report.get('format')!r}, this version reads {FORMAT}"
        raise UserError(Problem(what, folder / FIGURES, remedy=again))
    try:
        write_report(folder, summary, report["study"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        what = f"is damaged: it lacks what the page needs ({type(error).__name__}: {error})"
        raise UserError(Problem(what, folder / FIGURES, remedy=again)) from error
    return folder / PAGE


def _missing(file: Path, again: str) -> Problem:
    return Problem(
        "is not there: the run was made by an earlier version, or with report=none", file, remedy=again
    )


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
        else "name a run: report run=NAME, and log_dir=DIR where it lies"
    )
    return Problem("there is no run", folder, remedy=remedy)


def _read(folder: Path, name: str, missing: Problem) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(missing) from error
    except (ValueError, OSError) as error:
        raise UserError(Problem(f"is damaged: {error}", folder / name)) from error
    if not isinstance(content, dict):
        raise UserError(Problem("is damaged: it holds no mapping", folder / name))
    return content
