"""The server: arguments become settings, settings are trained with, and what there is so far is handed over."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from revive.config.compose import load_settings
from revive.config.instantiate import check_sections
from revive.config.settings import Settings
from revive.deploy.bundle import load_policy, load_venv
from revive.deploy.sessions import PolicySession, VenvSession
from revive.errors import Problem, UserError
from revive.pipeline.tune import FILE as TUNED
from revive.runs import fresh_name
from revive.server.arguments import MODES, USUALLY_NONE, USUALLY_TUNE, absolute, collect, mode
from revive.server.name_table import FILE, headline, table, write_names
from revive.server.progress import Progress, TrialStates
from revive.server.training import Training, TrainingFailed, left_as_found

Mode = Literal["tune", "once", "none", "None"]
Tuning = Literal["max", "min", "none", "None"]

_GROUPS = ("dataset", "venv", "policy", "tuning", "search", "trainer", "tracking", "debug")


class ReviveServer:
    """Trains virtual environment and policy, tunes parameters, and hands over what there is so far.

    Training runs in a process of its own, the same pipeline as on the command line, and ends with this process;
    what the object tells is read from the run folder, so one made with the `run_id` of an earlier run tells of
    that one, and goes on with it.

    Args:
        dataset_file_path: the logs.
        dataset_desc_file_path: the description, YAML.
        val_file_path: logs to validate on; None keeps a part of the others for that.
        user_module_file_path: Python file with the functions that `loss_type: user_module.NAME` names.
        matcher_reward_file_path: Python file with `get_reward(data, graph)`, a rule that the venv is to keep.
        reward_file_path: Python file with `get_reward(data)`.
        target_policy_name: the decision node to improve, or several with commas between, which one policy decides
            together; None takes the first one of the graph.
        log_dir: folder of the runs; None is `runs` in the working directory.
        run_id: name of the run; None makes one.
        address: of a Ray cluster (HOST:PORT or auto); None starts a Ray of its own where one is needed.
        venv_mode, policy_mode: `tune` searches hyper-parameters, `once` takes the defaults, `none` skips.
        tuning_mode: `max` or `min` of the reward over the tunable nodes; `none` skips.
        tune_initial_state: node -> (d,), (B, d) or, for what is given per step, (T, d) arrays.
        debug: tiny limits, all in this process, one trial after the other, full errors; `train` waits.
        revive_config_file_path: JSON or YAML with settings, by our keys or by REVIVE's names.
        kwargs: settings as well. They win over the other arguments, these over the file, that over the defaults.

    Attributes:
        settings: what was composed.
        run_id: the name of the run.
        notes: what of the arguments has no counterpart here, with the reasons; `revive_names.md` in the run folder
            holds all of REVIVE's names that were given. `headline`, which is a warning too, says it in one line.

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
        venv_mode: Mode = USUALLY_TUNE,
        policy_mode: Mode = USUALLY_TUNE,
        tuning_mode: Tuning = USUALLY_NONE,
        tune_initial_state: Mapping[str, ArrayLike] | None = None,
        debug: bool = False,
        revive_config_file_path: str | Path | None = None,
        **kwargs: Any,
    ) -> None:
        found = collect({**locals()}, kwargs, debug, revive_config_file_path)
        self.name = re.sub(r"[^\w-]+", "-", Path(dataset_desc_file_path).stem).strip("-_") or "experiment"
        self.run_id: str = str(found.values.get("run_id") or fresh_name(self.name))
        self._debug = debug
        self._values = {**found.values, "run_id": self.run_id}
        self._modes = {key: mode(self._values.pop(key)) for key in MODES.values()}
        self.settings = self._compose(self._modes)
        self.notes = found.notes()
        self.headline = headline(found)
        self._names = table(found) if found.became or self.notes else None
        if self.headline:
            warnings.warn(f"{self.headline}: see `notes`, and {FILE} in the run folder", stacklevel=2)
        self._training: Training | None = None
        self._error: BaseException | None = None

    # -- training ------------------------------------------------------------------------------

    def train(self, env_save_path: str | Path | None = None, wait: bool = False) -> None:
        """Train the virtual environment, then the policy, then tune parameters, as far as the modes say.

        env_save_path: a venv bundle of an earlier run, to start the venv from, or to take it where the venv's
            mode is `none`.
        wait: show how it goes and return when it is done, instead of at once. Ctrl-C then stops it.

        Raises, where it waits, UserError for what can be mended and TrainingFailed for what cannot.
        """
        self._begin(self._modes, env_save_path, wait)

    def train_venv(self, env_save_path: str | Path | None = None, wait: bool = False) -> None:
        """Train the virtual environment alone; arguments and errors as for `train`."""
        self._begin(self._alone("venv"), env_save_path, wait)

    def train_policy(self, env_save_path: str | Path | None = None, wait: bool = False) -> None:
        """Train the policy alone, in the venv of this run or in the bundle `env_save_path`; see `train`."""
        self._begin(self._alone("policy"), env_save_path, wait)

    def tune_parameter(self, env_save_path: str | Path | None = None, wait: bool = False) -> None:
        """Tune parameters alone, in the venv of this run or in the bundle `env_save_path`; see `train`."""
        self._begin(self._alone("tuning"), env_save_path, wait)

    def stop_train(self, wait: bool = True) -> None:
        """Stop what is running; what it reached is kept, and training again goes on from there."""
        if self._training is not None:
            self._training.stop()
            if wait:
                self._training.wait()

    def wait(self) -> None:
        """Wait until what is running is done. Raises what went wrong in it, as `train` does."""
        if self._training is not None:
            self._training.wait()
        self._raise()

    # -- what there is so far ------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.settings.log_dir / self.run_id

    @property
    def log(self) -> str:
        """What training has printed."""
        return self._training.log() if self._training is not None else ""

    def get_virtualenv_env(self) -> tuple[VenvSession | None, dict[str, Any], TrialStates, Path | None]:
        """The virtual environment (the best one so far while trials run; None before there is one), how its
        training stands, its trials, and the bundle of the best one."""
        description = self.settings.dataset.description
        code = description.parent if isinstance(description, Path) else None
        model = self._progress.model("venv", lambda bundle: load_venv(bundle, code))
        return model, *self._told("venv"), self._progress.best("venv")

    def get_policy_model(self) -> tuple[PolicySession | None, dict[str, Any], TrialStates, Path | None]:
        """The policy (the best one so far while trials run; None before there is one), how its training stands,
        its trials, and the bundle of the best one."""
        model = self._progress.model("policy", load_policy)
        return model, *self._told("policy"), self._progress.best("policy")

    def get_parameter(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """The best parameters, tunable node -> array (d,), None before there are any; how tuning stands, with all
        that `tuning.yaml` of the run holds."""
        found = self._progress.tuned(TUNED)
        told = {**self._told("tuning")[0], **(found or {})}
        if found is None:
            return None, told
        values = {node: np.array(list(columns.values())) for node, columns in found["values"].items()}
        return values, told

    def status(self) -> dict[str, Any]:
        """How every task stands: task_state (Wait, Run, End, Shutdown; of a task whose mode is `none` End as soon as
        the others are done), venv_acc and policy_acc (larger is better, -inf before there is any), numbers of trials,
        figures, trials with their states and errors; whether anything is `running`, and the `error` that ended
        training, if any."""
        told: dict[str, Any] = {}
        for stage in ("venv", "policy", "tuning"):
            metrics, trials = self._told(stage)
            told[stage] = {**metrics, "trials": trials}
        running, error = self._is_running(), self._last_error()
        return {**told, "running": running, "error": None if error is None else str(error)}

    # -- inside --------------------------------------------------------------------------------

    def _alone(self, stage: str) -> dict[str, str]:
        if self._modes[f"{stage}.mode"] == "none":
            possible = "max or min" if stage == "tuning" else "tune or once"
            raise UserError(
                Problem("is none, so there is nothing to do", place=f"{stage}_mode", remedy=possible)
            )
        return {key: how if key.startswith(stage) else "none" for key, how in self._modes.items()}

    def _begin(self, modes: dict[str, str], env: str | Path | None, wait: bool) -> None:
        if self._is_running():
            raise UserError(Problem(f"run {self.run_id} is being trained", remedy="wait(), or stop_train()"))
        settings = self._compose(modes, {"venv_path": absolute(env)} if env is not None else {})
        self._error = None
        if self._debug:
            self._train_here(settings)
            return
        self._training = Training(settings, self._names)
        if not wait:
            return
        try:
            self._training.wait(show=True)
        except KeyboardInterrupt:
            self.stop_train()
            raise
        self._raise()

    def _train_here(self, settings: Settings) -> None:
        from revive.pipeline.run import run

        self._training = None
        try:
            with left_as_found():
                run(settings, opened=lambda folder: write_names(folder, self._names))
        except BaseException as error:
            self._error = error
            raise

    def _raise(self) -> None:
        error = self._last_error()
        if isinstance(error, UserError | TrainingFailed):
            raise error

    def _last_error(self) -> BaseException | None:
        return self._training.error if self._training is not None else self._error

    def _is_running(self) -> bool:
        return self._training is not None and self._training.is_running

    @property
    def _progress(self) -> Progress:
        return Progress(self.folder)

    def _told(self, stage: str) -> tuple[dict[str, Any], TrialStates]:
        """How a stage stands, and its trials."""
        progress = self._progress
        running = self._is_running() or progress.is_held()
        tuned = self._modes[f"{stage}.mode"] == "tune" and stage != "tuning"
        planned = self.settings.search.trials_of(stage) if tuned else 1  # type: ignore[arg-type]
        asked = self._modes[f"{stage}.mode"] != "none"
        metrics = {
            "task_state": progress.state(stage, running, asked),
            **progress.metrics(stage, planned if asked else 0),
        }
        trials, error = progress.trials(stage, running), self._last_error()
        if list(trials) == [0] and trials[0] == ("failed", "") and error is not None:
            trials = {0: ("failed", str(error))}
        return metrics, trials

    def _compose(self, modes: Mapping[str, str], more: Mapping[str, Any] | None = None) -> Settings:
        values = {**modes, **self._values, **(more or {})}
        choices = {key: values.pop(key) for key in _GROUPS if isinstance(values.get(key), str)}
        chosen = [f"{group}={option}" for group, option in choices.items()]
        settings = load_settings(chosen, values, self.name)
        check_sections(settings.as_dict(), trusted=settings.trust.targets).raise_if_any()
        return settings
