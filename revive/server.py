"""`ReviveServer`: every training task of an experiment behind one Python object.

    server = ReviveServer("logs.npz", "description.yaml", reward_file_path="reward.py", venv_mode="once",
                          policy_mode="once")
    server.train(wait=False)
    policy, metrics, trials = server.get_policy_model()

It composes the same settings as the command line and calls the same pipeline, in a background thread; what it
tells is read from the run folder, so an object made with the `run_id` of an earlier run tells of that one.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import ArrayLike

from revive.config.compose import load_settings
from revive.config.instantiate import check_sections
from revive.config.settings import Settings
from revive.deploy.bundle import load_policy, load_venv
from revive.deploy.sessions import PolicySession, VenvSession
from revive.errors import Problem, UserError
from revive.runs import fresh_name
from revive.search.trials import FILE, read_trials
from revive.server_names import from_file

Mode = Literal["tune", "once", "none", "None"]
Tuning = Literal["max", "min", "none", "None"]
TaskState = Literal["Wait", "Run", "End", "Shutdown"]
TrialStates = dict[int, tuple[str, str]]
"""Trial -> (running | finished | pruned | failed, text of its error)."""

_GROUPS = ("dataset", "venv", "policy", "tuning", "search", "trainer", "tracking", "debug")


@dataclass
class _Task:
    """What runs in the background, and what it ended with."""

    thread: threading.Thread | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class ReviveServer:
    """Trains virtual environment and policy, tunes parameters, and hands over what there is so far.

    Args:
        dataset_file_path: the logs.
        dataset_desc_file_path: the description, YAML.
        val_file_path: logs to validate on; None keeps a part of the others for that.
        user_module_file_path: Python file with the functions that `loss_type: user_module.NAME` names.
        matcher_reward_file_path: has no counterpart; must be None.
        reward_file_path: Python file with `get_reward(data)`.
        target_policy_name: the decision node to improve; None takes the first one of the graph.
        log_dir: folder of the runs; None is `runs` in the working directory.
        run_id: name of the run; None makes one. That of an earlier run goes on with it.
        address: of a Ray cluster (HOST:PORT or auto); None starts a Ray of its own where one is needed.
        venv_mode, policy_mode: `tune` searches hyper-parameters, `once` takes the defaults, `none` skips.
        tuning_mode: `max` or `min` of the reward over the tunable nodes; `none` skips.
        tune_initial_state: node -> (d,), (B, d) or, for what is given per step, (T, d) arrays.
        debug: tiny limits, all in this process, full errors; `train` waits.
        revive_config_file_path: JSON or YAML with settings, by our keys or by REVIVE's names.
        kwargs: settings as well; they win over the file, which wins over the defaults.

    Raises UserError with everything that is wrong, before anything is started or written.
    """

    def __init__(
        self,
        dataset_file_path: str | Path,
        dataset_desc_file_path: str | Path,
        val_file_path: str | Path | None = None,
        user_module_file_path: str | Path | None = None,
        matcher_reward_file_path: str | Path | None = None,
        reward_file_path: str | Path | None = None,
        target_policy_name: str | None = None,
        log_dir: str | Path | None = None,
        run_id: str | None = None,
        address: str | None = None,
        venv_mode: Mode = "tune",
        policy_mode: Mode = "tune",
        tuning_mode: Tuning = "none",
        tune_initial_state: Mapping[str, ArrayLike] | None = None,
        debug: bool = False,
        revive_config_file_path: str | Path | None = None,
        **kwargs: Any,
    ) -> None:
        if matcher_reward_file_path is not None:
            what = "has no counterpart: no matcher judges the venv"
            raise UserError(Problem(what, place="matcher_reward_file_path"))
        self.name = re.sub(r"[^\w-]+", "-", Path(dataset_desc_file_path).stem).strip("-_") or "experiment"
        self.run_id = run_id or fresh_name(self.name)
        self._debug = debug
        given: dict[str, Any] = {
            "dataset.path": _path(dataset_file_path),
            "dataset.description": _path(dataset_desc_file_path),
            "dataset.validation_path": _path(val_file_path),
            "venv.user_module": _path(user_module_file_path),
            "reward": _path(reward_file_path),
            "policy.target": target_policy_name,
            "log_dir": _path(log_dir),
            "ray.address": address,
            "tuning.initial_state": _plain(tune_initial_state),
        }
        self._modes = {
            "venv.mode": _mode(venv_mode),
            "policy.mode": _mode(policy_mode),
            "tuning.mode": _mode(tuning_mode),
        }
        self._values: dict[str, Any] = {}
        if debug:
            self._values |= {"debug": "fast", "ray.enabled": False}
        self._values |= {key: value for key, value in given.items() if value is not None}
        if revive_config_file_path is not None:
            self._values |= from_file(_read(Path(revive_config_file_path)))
        self._values |= from_file(kwargs)
        self._values["run_id"] = self.run_id
        self._modes |= {key: _mode(self._values.pop(key)) for key in self._modes if key in self._values}
        self.settings = self._compose(self._modes)
        self._task = _Task()

    # -- training ------------------------------------------------------------------------------

    def train(self, env_save_path: str | Path | None = None, wait: bool = False) -> None:
        """Train the virtual environment, then the policy, then tune parameters, as far as the modes say.

        env_save_path: a venv bundle of an earlier run to take the virtual environment from.
        wait: return when it is done (raising what went wrong) instead of at once.
        """
        self._begin(self._modes, env_save_path, wait)

    def train_venv(self, wait: bool = False) -> None:
        """Train the virtual environment alone."""
        self._begin({**self._modes, "policy.mode": "none", "tuning.mode": "none"}, None, wait)

    def train_policy(self, env_save_path: str | Path | None = None, wait: bool = False) -> None:
        """Train the policy alone, in the venv of this run or in the bundle `env_save_path`."""
        self._begin({**self._modes, "venv.mode": "none", "tuning.mode": "none"}, env_save_path, wait)

    def tune_parameter(self, env_save_path: str | Path | None = None, wait: bool = False) -> None:
        """Tune parameters alone, in the venv of this run or in the bundle `env_save_path`."""
        self._begin({**self._modes, "venv.mode": "none", "policy.mode": "none"}, env_save_path, wait)

    def stop_train(self, wait: bool = True) -> None:
        """Stop what is running; what it reached is kept, and training again goes on from there."""
        self._task.stop.set()
        if wait and self._task.thread is not None:
            self._task.thread.join()

    def wait(self) -> None:
        """Wait until what is running is done. Raises what went wrong in it."""
        if self._task.thread is not None:
            self._task.thread.join()
        if self._task.error is not None and not isinstance(self._task.error, KeyboardInterrupt):
            raise self._task.error

    # -- what there is so far ------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.settings.log_dir / self.run_id

    def get_virtualenv_env(self) -> tuple[VenvSession | None, dict[str, Any], TrialStates]:
        """The virtual environment (the best one so far while trials run; None before there is one), how its
        training stands, and its trials."""
        bundle, metrics, trials = self._so_far("venv")
        code = self.settings.dataset.description
        folder = code.parent if isinstance(code, Path) else None
        return (load_venv(bundle, folder) if bundle else None), metrics, trials

    def get_policy_model(self) -> tuple[PolicySession | None, dict[str, Any], TrialStates]:
        """The policy (the best one so far while trials run; None before there is one), how its training stands,
        and its trials."""
        bundle, metrics, trials = self._so_far("policy")
        return (load_policy(bundle) if bundle else None), metrics, trials

    def get_parameter(self) -> dict[str, Any] | None:
        """What parameter tuning found, as `tuning.yaml` of the run holds it; None before that."""
        from revive.pipeline.tune import FILE as tuning_file

        path = self.folder / tuning_file
        found: dict[str, Any] | None = (
            yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
        )
        return found

    def status(self) -> dict[str, Any]:
        """How every task stands: state, trials and errors, and the error that ended training, if any."""
        tasks = {name: self._so_far(name) for name in ("venv", "policy")}
        told: dict[str, Any] = {
            name: {**metrics, "trials": trials} for name, (_, metrics, trials) in tasks.items()
        }
        error = self._task.error
        return {**told, "running": self._is_running(), "error": str(error) if error else None}

    # -- inside --------------------------------------------------------------------------------

    def _begin(self, modes: dict[str, str], env: str | Path | None, wait: bool) -> None:
        if self._is_running():
            raise UserError(Problem(f"run {self.run_id} is being trained", remedy="wait(), or stop_train()"))
        settings = self._compose(modes, {"venv_path": _path(env)} if env is not None else {})
        self._task = task = _Task()

        def body() -> None:
            from revive.pipeline.run import run

            try:
                run(settings, task.stop)
            except BaseException as error:  # kept for whoever waits
                task.error = error

        task.thread = threading.Thread(target=body, name=f"revive-{self.run_id}", daemon=True)
        task.thread.start()
        if wait or self._debug:
            self.wait()

    def _compose(self, modes: Mapping[str, str], more: Mapping[str, Any] | None = None) -> Settings:
        values = {**modes, **self._values, **(more or {})}
        choices = {key: values.pop(key) for key in _GROUPS if isinstance(values.get(key), str)}
        chosen = [f"{group}={option}" for group, option in choices.items()]
        settings = load_settings(chosen, values, self.name)
        check_sections(settings.as_dict()).raise_if_any()
        return settings

    def _is_running(self) -> bool:
        return self._task.thread is not None and self._task.thread.is_alive()

    def _so_far(self, stage: str) -> tuple[Path | None, dict[str, Any], TrialStates]:
        search = self.folder / "search" / stage
        book = read_trials(search) if (search / FILE).is_file() else {"trials": []}
        trials = book["trials"]
        metrics: dict[str, Any] = {"task_state": self._state(stage)}
        bundle = self.folder / stage
        if trials:
            over = sum(trial["state"] != "running" for trial in trials)
            metrics |= {"current_num_of_trials": over, "total_num_of_trials": self.settings.search.trials}
        sign = -1.0 if book.get("better") == "min" else 1.0
        done = [t for t in trials if t["state"] == "finished" and t["metric"] is not None]
        best = max(done, key=lambda trial: sign * trial["metric"], default=None)
        if best is not None:
            metrics[book["metric"]] = best["metric"]
            if not bundle.is_dir():
                bundle = search / f"trial_{best['id']:03d}" / stage
        states = {trial["id"]: (trial["state"], trial["error"] or "") for trial in trials}
        return (bundle if bundle.is_dir() else None), metrics, states

    def _state(self, stage: str) -> TaskState:
        file = self.folder / "state.json"
        told = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        state = told.get("stages", {}).get(stage)
        if state == "finished":
            return "End"
        if self._is_running():
            return "Run" if state == "running" else "Wait"
        return "Shutdown" if state == "running" else "Wait"


def _mode(value: str | None) -> str:
    return str(value or "none").lower()


def _path(value: str | Path | None) -> str | None:
    return None if value is None else str(Path(value).expanduser().absolute())


def _plain(state: Mapping[str, ArrayLike] | None) -> dict[str, Any] | None:
    return None if state is None else {name: np.asarray(value).tolist() for name, value in state.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(Problem(f"cannot be read: {error}", path)) from error
    if not isinstance(values, dict):
        raise UserError(Problem("must hold names and values", path))
    return values
