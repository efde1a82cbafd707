"""The run folder: what one execution of an experiment was made of, how far it came, and who holds it.

    <log_dir>/<run_id>/
        config.yaml      the composed config
        versions.json    Python, the main libraries, the commit of the checkout
        state.json       state, current stage, stages that are done
        figures/         pictures

A folder appears whole or not at all, so that two commands never share one by accident.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import random
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import yaml

from revive.errors import Problem, UserError
from revive.versions import versions

State = Literal["running", "finished", "interrupted", "failed"]

# May differ when a run is continued: where and how it runs, not what it computes.
FREE = (
    "run_id",
    "log_dir",
    "venv.mode",
    "policy.mode",
    "tuning",
    "tracking",
    "trainer.threads",
    "search.ray",
    "search.address",
    "search.concurrency",
    "search.cpus_per_trial",
    "search.gpus_per_trial",
    "search.time_budget",
)

_MOODS = ("amber", "brisk", "calm", "deft", "eager", "glad", "keen", "mild", "quiet", "swift")
_ANIMALS = ("crane", "finch", "hare", "heron", "ibex", "lynx", "otter", "seal", "swan", "wren")


class RunInterrupted(KeyboardInterrupt):
    """A run that was stopped by its user; `run_id` continues it."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} was interrupted")
        self.run_id = run_id


class Stopped(BaseException):
    """Raised within a run that was asked to stop. Not KeyboardInterrupt: Lightning touches signals for that one."""


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an exception means Ctrl-C or a stop; Lightning turns the former into SystemExit."""
    if isinstance(error, SystemExit):
        return isinstance(error.__context__, KeyboardInterrupt)
    return isinstance(error, KeyboardInterrupt | Stopped)


class RunFolder:
    """An open run folder, held by this process alone until it is closed.

    Use it as a context manager: leaving it marks the run finished, failed or interrupted. Ctrl-C leaves
    as `RunInterrupted`.
    """

    def __init__(self, path: Path, lock: IO[str], *, continued: bool) -> None:
        self.path = path
        self.continued = continued
        self._lock = lock
        self._state: dict[str, Any] = self.read_json("state.json") or {"state": "running", "stages": {}}

    @classmethod
    def open(cls, log_dir: Path, run_id: str | None, experiment: str, config: Mapping[str, Any]) -> RunFolder:
        """Make a run folder, or continue the one that is there.

        Args:
            log_dir: the folder of the runs; made where it is missing.
            run_id: its name; None makes a fresh one.
            experiment: what a fresh name starts with.
            config: the composed config, as plain values.

        Raises:
            UserError: the folder cannot be written, belongs to something else, holds a run with another
                config, or is in use by another command.
        """
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            if run_id is not None and _is_taken(log_dir / run_id):
                return cls._continue(log_dir / run_id, config)
            return cls._create(log_dir, run_id, experiment, config)
        except OSError as error:
            what = f"cannot be written: {error.strerror or error}"
            raise UserError(
                Problem(what, error.filename or log_dir, remedy="choose another log_dir")
            ) from error

    @classmethod
    def _create(
        cls, log_dir: Path, run_id: str | None, experiment: str, config: Mapping[str, Any]
    ) -> RunFolder:
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=log_dir))
        draft.chmod(0o755)
        try:
            lock = _hold(draft)
            text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
            (draft / "config.yaml").write_text(text, encoding="utf-8")
            write_json(draft / "versions.json", versions())
            now = datetime.now().isoformat(timespec="seconds")
            state: dict[str, Any] = {
                "state": "running",
                "stage": None,
                "stages": {},
                "experiment": experiment,
                "started": now,
            }
            write_json(draft / "state.json", state)
            path = _claim(draft, log_dir, run_id, experiment)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        if path is None:  # another command was faster with this very name
            lock.close()
            shutil.rmtree(draft, ignore_errors=True)
            return cls._continue(log_dir / str(run_id), config)
        return cls(path, lock, continued=False)

    @classmethod
    def _continue(cls, path: Path, config: Mapping[str, Any]) -> RunFolder:
        before = _read_config(path)
        changes = changed_keys(before, config)
        if changes:
            shown = [f"{key}: {_shown(old)} -> {_shown(new)}" for key, old, new in changes]
            what = "holds a run with another config:\n    " + "\n    ".join(shown)
            raise UserError(Problem(what, path, remedy="use a new run_id, or none for a fresh one"))
        folder = cls(path, _hold(path), continued=True)
        folder.mark("running")
        return folder

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def figures(self) -> Path:
        """The folder for pictures; made at its first use."""
        folder = self.path / "figures"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def state(self) -> State:
        return self._state["state"]

    def is_finished(self, stage: str) -> bool:
        """Whether a stage was completed, now or by an earlier command."""
        return self._state["stages"].get(stage) == "finished"

    def stage_started(self, name: str) -> None:
        """Note that a stage is under way."""
        self._state["stages"][name] = "running"
        self._save(stage=name)

    def stage_finished(self, name: str) -> None:
        """Note that a stage is done, so that continuing skips it."""
        self._state["stages"][name] = "finished"
        self._save(stage=None)

    def mark(self, state: State) -> None:
        """Note how the run as a whole stands."""
        self._save(state=state)

    def write_json(self, name: str, value: Any) -> Path:
        """Write a file whole or not at all. Arrays become lists; numbers that are not finite become null."""
        return write_json(self.path / name, value)

    def read_json(self, name: str) -> Any:
        """What `write_json` wrote, or None where there is no such file."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UserError(
                Problem("holds no JSON, so the run cannot be continued", self.path / name)
            ) from error

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = is_interrupt(error)
        try:
            # The folder may be what failed (a full disk); the first error is the one to show.
            with contextlib.suppress(OSError) if error else contextlib.nullcontext():
                self.mark("interrupted" if interrupted else "failed" if error else "finished")
        finally:
            self.close()
        if interrupted:
            raise RunInterrupted(self.run_id) from error

    def _save(self, **changes: Any) -> None:
        self._state.update(changes, updated=datetime.now().isoformat(timespec="seconds"))
        self.write_json("state.json", self._state)


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The dotted keys that differ and matter, each with its old and new value; an absent one reads null."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    keys = [key for key in dict.fromkeys((*old, *new)) if not _is_free(key)]
    return [(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def fresh_name(experiment: str) -> str:
    """A readable name that sorts by time, such as `refrigerator-20261122-101500-calm-otter`."""
    pick = random.SystemRandom()
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{experiment}-{now}-{pick.choice(_MOODS)}-{pick.choice(_ANIMALS)}"


def _is_taken(path: Path) -> bool:
    """Whether anything but an empty folder is there."""
    return os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir()))


def _claim(draft: Path, log_dir: Path, run_id: str | None, experiment: str) -> Path | None:
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


def _hold(path: Path) -> IO[str]:
    """Lock a run folder for as long as the returned file stays open."""
    lock = (path / ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        what = f"is in use by another command{f' (process {holder})' if holder else ''}"
        raise UserError(Problem(what, path, remedy="wait for it, or choose another run_id")) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _read_config(path: Path) -> dict[str, Any]:
    file = path / "config.yaml"
    foreign = Problem(
        "exists and is no run folder; nothing was changed in it", path, remedy="choose another run_id"
    )
    if not file.is_file() or not (path / "state.json").is_file():
        raise UserError(foreign)
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(foreign) from error
    if not isinstance(config, dict):
        raise UserError(foreign)
    return config


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found.extend(_leaves(value, f"{prefix}{key}."))
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)


def _plain(value: Any) -> Any:
    """Nested values as JSON knows them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # arrays, tensors and their scalars
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def write_json(path: Path, value: Any) -> Path:
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_text(text, encoding="utf-8")
    return draft.replace(path)
