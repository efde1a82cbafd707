"""`python -m revive server`: the options of REVIVE's training script, for a `ReviveServer` that waits."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from revive.errors import Problem, Problems, UserError, suggestion
from revive.server.name_table import FILE
from revive.server.server import ReviveServer

_FILES = {
    "data_file": "dataset_file_path",
    "config_file": "dataset_desc_file_path",
    "val_file": "val_file_path",
    "user_module_file_path": "user_module_file_path",
    "matcher_reward_file": "matcher_reward_file_path",
    "reward_file": "reward_file_path",
    "revive_config_file": "revive_config_file_path",
    "tuning_initial_state_file": "tune_initial_state",
}
_WORDS = ("address", "target_policy_name", "run_id", "log_dir", "venv_mode", "policy_mode", "tuning_mode")
_SHORT = {
    "df": "data_file",
    "cf": "config_file",
    "vf": "val_file",
    "umf": "user_module_file_path",
    "mrf": "matcher_reward_file",
    "rf": "reward_file",
    "rcf": "revive_config_file",
    "tisf": "tuning_initial_state_file",
    "tpn": "target_policy_name",
    "vm": "venv_mode",
    "pm": "policy_mode",
    "tm": "tuning_mode",
}
_REQUIRED = ("data_file", "config_file")
_BESIDE = Path("data")  # where REVIVE's script looks for files that are not in the working directory
_TASKS = (("venv", "Virtual environment", "venv_acc"), ("policy", "Policy", "policy_acc"))


def main(arguments: Sequence[str]) -> None:
    """Train with what the options say, and print how every task ended. Raises UserError as `ReviveServer` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # its notes are printed instead
        server = ReviveServer(**_arguments(dict(_pairs(arguments))))
    if server.headline:
        sys.stdout.write(f"names   {server.headline}: {FILE} in the run folder\n")
    server.train(wait=True)
    sys.stdout.write(_table(server.status()))


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Names without dashes, and values: `-df FILE`, `--data_file FILE`, `--data_file=FILE`, `--debug`."""
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or not name:
            raise _misused(f"'{word}' belongs to no option")
        if name == "debug" and not equals:
            yield "debug", True
            continue
        if not equals:
            if not words:
                raise _misused(f"'{word}' has no value")
            value = words.pop(0)
        yield _SHORT.get(name, name), value


def _misused(what: str) -> UserError:
    usage = "write: server -df DATA -cf DESCRIPTION [-rf REWARD] [-rcf CONFIG] [-vm once] [-pm once] [--NAME VALUE ...]"
    return UserError(Problem(what, place="command line", remedy=usage))


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ReviveServer; what is no option of the script is a parameter."""
    problems = Problems()
    for name in _REQUIRED:
        if name not in given:
            short = next(short for short, full in _SHORT.items() if full == name)
            problems.add(f"--{name} is missing", place="command line", remedy=f"write -{short} FILE")
    problems.raise_if_any()
    folder = Path() if Path(given["data_file"]).exists() or not _BESIDE.is_dir() else _BESIDE
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in _FILES:
            found[_FILES[name]] = folder / value
        elif name in (*_WORDS, "debug"):
            found[name] = value
        else:
            found[name] = _plain(value)
    if "tune_initial_state" in found:
        found["tune_initial_state"] = _state(found["tune_initial_state"])
    return found


def _plain(value: str) -> Any:
    """A number, a list or a word, as YAML reads it; 1e-3 is a number as well."""
    try:
        return float(value) if "e" in value.lower() else yaml.safe_load(value)
    except (ValueError, yaml.YAMLError):
        return value


def _state(path: Path) -> dict[str, Any]:
    """Node -> array, from an npz."""
    if path.suffix != ".npz":
        remedy = suggestion(path.suffix, [".npz"])
        raise UserError(Problem("an initial state is read from an npz", path, remedy=remedy))
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError) as error:
        raise UserError(Problem(f"cannot be read: {error}", path)) from error


def _table(status: dict[str, Any]) -> str:
    """How the tasks ended; accuracies as `ReviveServer.status` gives them."""
    lines = []
    for stage, title, accuracy in _TASKS:
        told = status[stage]
        trials = f"{told['current_num_of_trials']} of {told['total_num_of_trials']} trials"
        lines.append(f"{title:20} {told['task_state']:9} {accuracy} {told[accuracy]:<12.5g} {trials}")
    return "\n".join(lines) + "\n"
