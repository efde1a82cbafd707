"""The place of a run folder: free, a run's, or somebody else's; and how a free one is claimed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import yaml

from revive.errors import Problem, UserError
from revive.runs.names import fresh_name

STATE, CONFIG = "state.json", "config.yaml"


def is_taken(path: Path) -> bool:
    """Whether anything but an empty folder is there."""
    return os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir()))


def claim(draft: Path, log_dir: Path, run_id: str | None, experiment: str) -> Path | None:
    """Rename the draft to its final name; None where a wanted name is taken."""
    while True:
        path = log_dir / (run_id or fresh_name(experiment))
        try:
            return draft.rename(path)
        except OSError:
            if not os.path.lexists(path):
                raise
            if run_id:
                return None


def stages_finished(path: Path) -> set[str]:
    """The stages that a run folder says are finished; none where it is no run folder."""
    try:
        stages = json.loads((path / STATE).read_text(encoding="utf-8"))["stages"]
    except (OSError, ValueError, KeyError):
        return set()
    return {stage for stage, state in stages.items() if state == "finished"}


def require_run(path: Path) -> None:
    """Raises UserError for a folder that no run has made."""
    foreign = Problem(
        "exists and is no run folder; nothing was changed in it", path, remedy="choose another run_id"
    )
    if not (path / CONFIG).is_file() or not (path / STATE).is_file():
        raise UserError(foreign)
    try:
        config = yaml.safe_load((path / CONFIG).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(foreign) from error
    if not isinstance(config, dict):
        raise UserError(foreign)
