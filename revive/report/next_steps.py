"""What one may do with a run that is done: the next commands, as they are typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

PROGRAM = "python -m revive"


def next_steps(
    folder: Path, shown: str, experiment: str, status: str | None, recorded: bool
) -> Iterator[str]:
    """A line for each, the commands aligned.

    folder: of the run; shown: as one types it. status: of the gate, `fail` where nothing may be used. recorded: whether
    MLflow has the run, so that its models can be promoted.
    """
    run, failed = shlex.quote(shown), status == "fail"
    learned = (folder / "policy").is_dir()
    if (folder / "report.html").is_file():
        what = "why it failed, and what to do about it" if failed else "what may be concluded, and what not"
        yield f"next     {shown}/report.html: {what}"
    commands = list(_after_failure(run, experiment) if failed else _with_models(run, learned, recorded))
    width = max((len(command) for command, _ in commands), default=0)
    for command, what in commands:
        yield f"         {PROGRAM} {command:<{width}}  {what}"


def _after_failure(run: str, experiment: str) -> Iterator[tuple[str, str]]:
    yield f"check experiment={shlex.quote(experiment)}", "what the data report proposes"
    yield f"design-experiment run={run}", "how to move the actions in new logs"


def _with_models(run: str, learned: bool, recorded: bool) -> Iterator[tuple[str, str]]:
    if not learned:
        yield f"show {run}/venv", "what the bundle holds"
        return
    yield f"show {run}/policy", "what the bundle holds"
    yield f"trial-plan run={run}", "how to try it on the plant, and when to stop"
    if recorded:
        yield f"promote {run}", "make its models MLflow's champion"
    yield f"serve {run}/policy --shadow LOG", "what it would do beside the operator; nothing is set"
