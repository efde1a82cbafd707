"""How a run stands, as its folder tells: also while it is trained, by this process or by another one."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from revive.errors import UserError
from revive.runs import is_held
from revive.search.trials import FILE as TRIALS

TaskState = Literal["Wait", "Run", "End", "Shutdown"]
TrialStates = dict[int, tuple[str, str]]
"""Trial -> (running | stopped | finished | pruned | failed, text of its error)."""

T = TypeVar("T")
_UNDER_WAY = ("running", "waiting")  # what the book of trials calls it
_PATIENCE = 3  # looks at a bundle that is just being replaced


@dataclass(frozen=True)
class Progress:
    """A look at the folder of a run."""

    folder: Path

    def is_held(self) -> bool:
        """Whether a process of this machine is at work on the run."""
        return is_held(self.folder)

    def state(self, stage: str, running: bool, asked: bool = True) -> TaskState:
        """How a stage stands; `running` says whether the run is being trained, `asked` whether this stage is to be."""
        told = self._state().get("stages", {}).get(stage)
        if told == "finished":
            return "End"
        if told == "running":
            return "Run" if running else "Shutdown"
        return "End" if not asked and self._state().get("state") == "finished" else "Wait"

    def trials(self, stage: str, running: bool) -> TrialStates:
        """Every trial so far; a stage that was not tuned is one trial."""
        under_way = "running" if running else "stopped"
        found = self._book(stage)["trials"]
        if found:
            states = dict.fromkeys(_UNDER_WAY, under_way)
            return {t["id"]: (states.get(t["state"], t["state"]), t["error"] or "") for t in found}
        told = self._state().get("stages", {}).get(stage)
        if told is None:
            return {}
        whole = self._state().get("state")
        state = "finished" if told == "finished" else "failed" if whole == "failed" else under_way
        return {0: (state, (self._state().get("error") or "") if state == "failed" else "")}

    def metrics(self, stage: str, planned: int = 1) -> dict[str, Any]:
        """How many trials are over, of how many (`planned` where the run does not say), the accuracy under REVIVE's
        name, and of a tuned stage the best metric so far under its own; of a stage whose run is through also its
        figures, as `summary.json` names them."""
        book, state = self._book(stage), self._state()
        finished = state.get("stages", {}).get(stage) == "finished"
        told: dict[str, Any] = {"current_num_of_trials": int(finished)}
        if book["trials"]:
            told["current_num_of_trials"] = sum(t["state"] not in _UNDER_WAY for t in book["trials"])
            planned = state.get("made_of", {}).get(stage, {}).get("search.trials") or planned
        told["total_num_of_trials"] = max(planned, told["current_num_of_trials"])
        best = next(iter(self._best_first(book)), None)
        if best is not None:
            told[book["metric"]] = best["metric"]
        if state.get("state") == "finished" and finished:
            told |= _figures(stage, _json(self.folder / "summary.json"))
        return told | _accuracy(stage, told, None if best is None else _sign(book) * best["metric"])

    def best(self, stage: str) -> Path | None:
        """The bundle that `model` loads; None before there is one."""
        return next(self._bundles(stage), None)

    def model(self, stage: str, load: Callable[[Path], T]) -> T | None:
        """The best model there is: that of the finished stage, or else of the best finished trial."""
        for _ in range(_PATIENCE):
            bundles = list(self._bundles(stage))
            for bundle in bundles:
                found = _loaded(bundle, load)
                if found is not None:
                    return found
            if not bundles:
                return None
            time.sleep(0.05)
        return load(bundles[0])  # not just being replaced: its message is the user's

    def tuned(self, name: str) -> dict[str, Any] | None:
        """What parameter tuning wrote."""
        path = self.folder / name
        if not path.is_file():
            return None
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found

    def _bundles(self, stage: str) -> Iterator[Path]:
        whole = self.folder / stage
        if (whole / f"{stage}.json").is_file():
            yield whole
        for trial in self._best_first(self._book(stage)):
            bundle = self.folder / "search" / stage / f"trial_{trial['id']:03d}" / stage
            if bundle.is_dir():
                yield bundle

    def _best_first(self, book: dict[str, Any]) -> list[dict[str, Any]]:
        done = [t for t in book["trials"] if t["state"] == "finished" and t["metric"] is not None]
        return sorted(done, key=lambda trial: -_sign(book) * trial["metric"])

    def _book(self, stage: str) -> dict[str, Any]:
        return {"trials": [], **_json(self.folder / "search" / stage / TRIALS)}

    def _state(self) -> dict[str, Any]:
        return _json(self.folder / "state.json")


def _sign(book: dict[str, Any]) -> float:
    """What a trial's metric is multiplied by for larger to be better."""
    return -1.0 if book.get("better") == "min" else 1.0


def _accuracy(stage: str, told: dict[str, Any], best: float | None) -> dict[str, float]:
    """`venv_acc`: minus the rollout error over the longest of the rollouts, or that of the best trial so far;
    `policy_acc`: the reward that is predicted, or the metric of the best trial. -inf before there is any."""
    if stage == "tuning":
        return {}
    longest = [-error for key, error in told.items() if key.startswith("rollout_mae.")][-1:]
    figures = [told["predicted"]] if "predicted" in told else longest
    found = [*figures, *([] if best is None else [best]), -math.inf]
    return {f"{stage}_acc": float(found[0])}


def _figures(stage: str, summary: dict[str, Any]) -> dict[str, Any]:
    """Of the venv its rollout error, of the policy what the logs earn and what it is to earn."""
    found = summary.get(stage) or {}
    if stage == "venv":
        return {f"rollout_mae.{steps}": error for steps, error in found.get("rollout_mae", {}).items()}
    if stage == "policy" and "predicted" in found:
        truth = {"truth": found["truth"]["mean"]} if "truth" in found else {}
        return {"logged": found["logged"], "predicted": found["predicted"]["mean"], **truth}
    return {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _loaded(bundle: Path, load: Callable[[Path], T]) -> T | None:
    """What is loaded from a folder that stays the same meanwhile; None where it is not whole, or is replaced."""
    try:
        before = bundle.stat().st_ino
        found = load(bundle)
        return found if bundle.stat().st_ino == before else None
    except (OSError, UserError):
        return None
