"""The trust report in the run folder: written at the end of a run, and made again from what the run left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from revive import __version__
from revive.errors import Problem, UserError
from revive.pipeline.finished import finished_file, require_finished
from revive.report.trust.page import page
from revive.report.trust.words import words
from revive.runs import write_bytes

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
    require_finished(folder)
    again = f"the same command with run_id={folder.name} makes it: stages that are done are taken as they are"
    summary, report = finished_file(folder, "summary.json"), finished_file(folder, FIGURES)
    if report.get("format") != FORMAT:
        what = f"was written in format {report.get('format')!r}, this version reads {FORMAT}"
        raise UserError(Problem(what, folder / FIGURES, remedy=again))
    try:
        write_report(folder, summary, report["study"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        what = f"is damaged: it lacks what the page needs ({type(error).__name__}: {error})"
        raise UserError(Problem(what, folder / FIGURES, remedy=again)) from error
    return folder / PAGE
