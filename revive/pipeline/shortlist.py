"""The policies of a run that are worth a trial on the plant, kept beside the one that it took."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from revive.deploy.bundle import save_policy
from revive.policy.choice import Score
from revive.runs import write_json

FOLDER = "candidates"


@dataclass(frozen=True)
class Listed:
    """A policy that may be tried. name: of its bundle in the folder. source: what made it.

    gain: promised over the logs' controller, per step, in the half that it did not learn in; sure: the same less doubt
    (members that disagree, states that were not logged). clone: whether it does what that controller did. taken:
    whether the run took it.
    """

    name: str
    source: str
    half: int
    gain: float
    sure: float
    clone: bool
    taken: bool


def keep_shortlist(run: Path, scores: Sequence[Score], provenance: Mapping[str, Any]) -> None:
    """Write a bundle for each, and the list; in place of an earlier one. scores: the taken policy's first."""
    folder = run / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    if not scores:
        return
    listed = []
    for number, score in enumerate(scores):
        candidate = score.candidate
        kind = "clone" if candidate.is_clone else "learned"
        entry = Listed(
            f"{number + 1}_{kind}_{'ab'[candidate.half % 2]}",
            candidate.name,
            candidate.half,
            score.mean_gain,
            score.gain,
            candidate.is_clone,
            number == 0,
        )
        save_policy(candidate.policy, folder / entry.name, provenance)
        listed.append(entry)
    write_json(folder / "list.json", {"candidates": [asdict(entry) for entry in listed]})


def adopt_shortlist(trial: Path, run: Path) -> None:
    """Keep in the run what a trial of its search wrote with `keep_shortlist`."""
    shutil.rmtree(run / FOLDER, ignore_errors=True)
    if (trial / FOLDER).is_dir():
        shutil.copytree(trial / FOLDER, run / FOLDER)


def read_shortlist(run: Path) -> list[Listed]:
    """What `keep_shortlist` wrote; empty for a run without it.

    Raises ValueError where it is damaged.
    """
    try:
        content = json.loads((run / FOLDER / "list.json").read_text(encoding="utf-8"))
        return [Listed(**entry) for entry in content["candidates"]]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
