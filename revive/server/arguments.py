"""The arguments of `ReviveServer` as dotted keys of the settings, in their order of precedence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from revive.errors import Problem, Problems, UserError
from revive.server.translate import Translation, chosen_learner, chosen_venv, from_config, translate

MODES = {"venv_mode": "venv.mode", "policy_mode": "policy.mode", "tuning_mode": "tuning.mode"}
# REVIVE's defaults where ours differ; what is missing in the logs is masked there without being asked.
_USUAL = {"venv.mode": "tune", "policy.mode": "tune", "tuning.mode": "none", "dataset.missing": "mask"}
_KEYS = {
    "dataset_file_path": "dataset.path",
    "dataset_desc_file_path": "dataset.description",
    "val_file_path": "dataset.validation_path",
    "user_module_file_path": "venv.user_module",
    "matcher_reward_file_path": "venv.rules",
    "reward_file_path": "reward",
    "log_dir": "log_dir",
    "run_id": "run_id",
    "address": "ray.address",
}
_MUST_BE_FILES = (
    "dataset_desc_file_path",
    "user_module_file_path",
    "matcher_reward_file_path",
    "reward_file_path",
)
_ALGORITHMS = ("venv_algo", "policy_algo")


class Usual(str):
    """The default of an argument, told from the same word where somebody wrote it."""


USUALLY_TUNE: Any = Usual("tune")
USUALLY_NONE: Any = Usual("None")


def collect(named: Mapping[str, Any], kwargs: Mapping[str, Any], debug: bool, config: Any) -> Translation:
    """Keyword arguments over named ones over the config file over the defaults.

    named: the constructor's arguments by name; a `Usual` one counts as not given.
    Raises UserError with what cannot be understood.
    """
    found = Translation(dict(_USUAL))
    if debug:
        found.values |= {"debug": "fast", "ray.enabled": False}
    written = {} if config is None else _read(Path(config))
    learner = chosen_learner(kwargs, written)
    venv = chosen_venv(kwargs, written)
    given = translate(kwargs, learner=learner, venv=venv)
    chosen = {key: str(kwargs[key]) for key in _ALGORITHMS if key in kwargs}
    found.take(from_config(written, chosen, learner, venv))
    found.take(_named(named))
    found.take(given)
    if learner in ("ppo", "sac"):
        found.remarks.append(
            f"policy_algo: {learner} alone learns the policy; policy=auto has several compete"
        )
    if venv == "adversarial" and "venv" not in kwargs:
        found.remarks.append(
            "venv_algo: a game with matchers refines the clone; without that name venv=multi_step learns"
        )
    return found


def mode(value: str | None) -> str:
    """REVIVE writes 'None'."""
    return str(value or "none").lower()


def absolute(value: str | Path | None) -> str | None:
    """A path of the caller, who may be elsewhere when it is read."""
    return None if value is None else str(Path(value).expanduser().absolute())


def _named(named: Mapping[str, Any]) -> Translation:
    problems, found = Problems(), Translation()
    for argument, key in _KEYS.items():
        value = named[argument]
        if value is None:
            continue
        found.values[key] = absolute(value) if argument not in ("run_id", "address") else str(value)
        if argument in _MUST_BE_FILES and not Path(found.values[key]).is_file():
            problems.add("no such file", file=found.values[key], place=argument)
    problems.raise_if_any()
    for argument, key in MODES.items():
        if not isinstance(named[argument], Usual):
            found.values[key] = mode(named[argument])
    state = named["tune_initial_state"]
    if state is not None:
        plain = {name: np.asarray(value).tolist() for name, value in state.items()}
        found.values["tuning.initial_state"] = plain
    targets = [part.strip() for part in (named["target_policy_name"] or "").split(",") if part.strip()]
    if targets:
        found.values["policy.target"] = targets if len(targets) > 1 else targets[0]
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(Problem(f"cannot be read: {error}", path)) from error
    if not isinstance(values, dict):
        raise UserError(Problem("must hold names and values", path))
    return values
