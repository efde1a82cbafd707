"""Going on with a run: what each stage is made of, and what becomes of one whose ingredients have changed.

A stage notes its ingredients when it begins: the data, its part of the config, the content of the files that
it reads, the venv that it works in. A later command with the same `run_id` keeps a stage whose ingredients are the
same. Where they are not, it asks: `resume=fresh` learns the stage again, with all that was learned from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from revive.bundles.manifest import WEIGHTS
from revive.config.settings import Settings
from revive.errors import Problem, UserError
from revive.graph.found import amendment_to_json
from revive.pipeline.inputs import Inputs
from revive.runs import Change, RunFolder, changes_between, leaves, stages_finished

Stage = Literal["venv", "policy"]
Ingredients = dict[str, Any]
"""Dotted keys and plain values."""

STAGES: tuple[Stage, ...] = ("venv", "policy")
ORDER = (*STAGES, "tuning")
LEFT = {
    "venv": ("venv", "search/venv", "checkpoints/venv.ckpt"),
    "policy": ("policy", "candidates", "search/policy", "checkpoints/policy.ckpt"),
    "tuning": ("tuning.yaml",),
}
"""What a stage leaves in the run folder."""

VENV = "venv.source"
"""The ingredient that says which venv a policy was learned in: that of the run, or one by its weights."""
TEST_SHARE = 0.15  # of the data
# Where and how fast a search runs, and what belongs to one of the stages alone.
_ANYWHERE = {"concurrency", "cpus_per_trial", "gpus_per_trial", "time_budget"}
_OF_STAGE = {"trials", "venv_trials", "policy_trials", "venv_metric", "policy_metric"}


def ingredients(settings: Settings, inputs: Inputs, data_hash: str) -> dict[str, Ingredients]:
    """What venv and policy depend on; under `data`, what both do: the logs, how they are split, graph, functions."""
    data = _data_ingredients(settings, inputs, data_hash)
    common = {**data, **leaves({"trainer": settings.trainer.model_dump(exclude={"threads"})})}
    venv, policy = settings.venv, settings.policy
    of_venv = {
        "venv": venv.model_dump(mode="json", exclude=_excluded(venv.mode, {"user_module", "rules"})),
        "files": {
            "venv.user_module": digest(venv.user_module),
            "venv.rules": digest(venv.rules),
            "venv_path": weights_digest(settings.venv_path),
        },
    }
    of_policy = {
        "policy": policy.model_dump(mode="json", exclude=_excluded(policy.mode, {"truth"})),
        "files": {"reward": digest(settings.reward)},
        VENV: venv_source(settings),
    }
    return {
        "data": data,
        "venv": {**common, **leaves(of_venv), **_searched(settings, "venv", venv.mode)},
        "policy": {**common, **leaves(of_policy), **_searched(settings, "policy", policy.mode)},
    }


def _data_ingredients(settings: Settings, inputs: Inputs, data_hash: str) -> Ingredients:
    graph, folder = inputs.graph, inputs.folder
    validation = inputs.parts.validation.hash() if settings.dataset.validation_path else None
    values = {
        "seed": settings.seed,
        "data": {"sha256": data_hash, "validation_sha256": validation},
        "dataset": {"split": settings.dataset.split.model_dump()},
        "graph": _sha(json.dumps(graph.to_json(), sort_keys=True).encode()),
        "files": {name: digest(folder / name) for name in graph.code_files},
        **({"found_in_data": [amendment_to_json(change) for change in graph.found]} if graph.found else {}),
    }
    return leaves(values)


def _searched(settings: Settings, stage: Stage, mode: str) -> Ingredients:
    if mode != "tune":
        return {}
    chosen = settings.search
    values = chosen.model_dump(mode="json", exclude=_ANYWHERE | _OF_STAGE)
    return leaves(
        {"search": {**values, "trials": chosen.trials_of(stage), "metric": chosen.metric_of(stage)}}
    )


def uses_other_venv(settings: Settings) -> bool:
    """Whether the venv is one that `venv_path` names, and not one that the run learns or has learned."""
    return settings.venv.mode == "none" and settings.venv_path is not None


def venv_source(settings: Settings) -> str | None:
    """`run` for the venv that the run learns or has learned; another one by its weights."""
    return weights_digest(settings.venv_path) if uses_other_venv(settings) else "run"


def was_finished(settings: Settings, stage: str) -> bool:
    """Whether the run that is gone on with has finished a stage."""
    return settings.run_id is not None and stage in stages_finished(settings.log_dir / settings.run_id)


def open_run(settings: Settings, made_of: Mapping[str, Ingredients], config: Mapping[str, Any]) -> RunFolder:
    """The run folder of a command, made or gone on with. Raises UserError where it cannot be; see `reconcile`."""
    folder = RunFolder.open(settings.log_dir, settings.run_id, settings.experiment, config)
    if folder.continued:
        try:
            reconcile(folder, settings, made_of)
        except BaseException:
            folder.close()
            raise
        folder.take_up(config)
    return folder


def reconcile(folder: RunFolder, settings: Settings, now: Mapping[str, Ingredients]) -> None:
    """Hold what the run was made of against this command; set aside what is to be learned afresh.

    Raises UserError with all that has changed, where `resume` does not say what to do about it.
    """
    modes = {"venv": settings.venv.mode, "policy": settings.policy.mode}
    changed: dict[str, list[Change]] = {}
    for stage in STAGES:
        before = folder.made_of(stage)
        if stage not in folder.begun or before is None:
            continue
        found = changes_between(before, now[stage])
        changed[stage] = [c for c in found if modes[stage] != "none" or c.key in {*now["data"], VENV}]
    affected = [stage for stage, changes in changed.items() if changes]
    if settings.resume == "fresh":
        pledge = _sha(json.dumps([modes, now], sort_keys=True, default=str).encode())
        again = affected or [stage for stage in changed if modes[stage] != "none"]
        _require_learning(folder, affected, changed, modes)
        if affected or folder.pledge != pledge:  # else: this very command was stopped, and goes on
            first = min(map(ORDER.index, again), default=len(STAGES))
            folder.set_aside([s for s in ORDER[first:] if s in folder.begun], LEFT, pledge)
    elif affected:
        raise UserError(_differs(folder, changed, affected))


def _differs(folder: RunFolder, changed: Mapping[str, list[Change]], affected: Sequence[str]) -> Problem:
    """The keys that differ, with the stages that they matter to."""
    told: dict[str, tuple[Change, list[str]]] = {}
    for stage in affected:
        for change in changed[stage]:
            told.setdefault(change.key, (change, []))[1].append(stage)
    lines = [f"{change}  ({', '.join(stages)})" for change, stages in told.values()]
    what = "holds a run with other settings:\n    " + "\n    ".join(lines)
    kept = "" if affected[0] == "venv" else " and keeps the venv"
    again = "venv and policy" if affected[0] == "venv" else "the policy"
    remedy = f"resume=fresh learns {again} again{kept}; a new run_id, or none, begins a run of its own"
    return Problem(what, folder.path, remedy=remedy)


def _require_learning(
    folder: RunFolder, again: Sequence[str], changed: Mapping[str, list[Change]], modes: Mapping[str, str]
) -> None:
    stuck = [stage for stage in again if modes[stage] == "none"]
    if stuck:
        keys = ", ".join(change.key for change in changed[stuck[0]])
        what = f"its {stuck[0]} was learned with another {keys}, but {stuck[0]}.mode=none learns none"
        raise UserError(Problem(what, folder.path, remedy=f"{stuck[0]}.mode=once or tune, or a new run_id"))


def with_test_part(settings: Settings) -> Settings:
    """The settings with the share of the test part: a search needs one, because it reads what it validates on.

    The halves shrink alike. A run that is gone on with keeps the share that it began with.
    """
    chosen = settings.dataset.split
    if chosen.test is not None:
        return settings
    searches = "tune" in (settings.venv.mode, settings.policy.mode)
    before = _earlier_test_share(settings)
    wanted = TEST_SHARE if searches else 0.0
    share = wanted if before is None or settings.resume == "fresh" else before
    halves = {"test": share, "validation": chosen.validation * (1.0 - share)}
    part = settings.dataset.model_copy(update={"split": chosen.model_copy(update=halves)})
    return settings.model_copy(update={"dataset": part})


def _earlier_test_share(settings: Settings) -> float | None:
    """The share of the test part in the run that is gone on with; None where there is none."""
    if settings.run_id is None:
        return None
    file = settings.log_dir / settings.run_id / "state.json"
    try:
        made_of = json.loads(file.read_text(encoding="utf-8")).get("made_of", {})
    except (OSError, ValueError):
        return None
    shares = [made["dataset.split.test"] for made in made_of.values() if "dataset.split.test" in made]
    return float(shares[0]) if shares else None


def _excluded(mode: str, also: set[str]) -> set[str]:
    return also | (set() if mode == "tune" else {"space"})


def weights_digest(bundle: Path | None) -> str | None:
    """The start of the sha256 of a bundle's weights; None where there is none."""
    return None if bundle is None else digest(bundle / WEIGHTS)


def digest(path: Path | None) -> str | None:
    """The start of the sha256 of a file; None where there is none."""
    return None if path is None or not path.is_file() else _sha(path.read_bytes())


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
