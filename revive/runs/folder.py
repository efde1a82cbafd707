"""One run folder, held by one process at a time.

    <log_dir>/<run_id>/
        config.yaml      the composed config of the last command
        versions.json    Python, the main libraries, the commit of the checkout, the device
        state.json       state, current stage, how far every stage is, what each was made of, the error of a failure
        figures/         pictures
        earlier/N/       what was set aside when stages were begun afresh

A folder appears whole or not at all, so that two commands never share one by accident.
"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from revive.errors import Problem, UserError
from revive.runs.files import disk_trouble, write_json, write_yaml
from revive.runs.locks import hold
from revive.runs.places import CONFIG, STATE, claim, is_taken, require_run
from revive.runs.stops import RunInterrupted, is_interrupt
from revive.versions import device, versions

State = Literal["running", "finished", "interrupted", "failed"]
_ERROR_LENGTH = 4000


class RunFolder:
    """An open run folder, held by this process alone until it is closed.

    Use it as a context manager: leaving it marks the run finished, failed or interrupted. Ctrl-C leaves
    as `RunInterrupted`, a disk that is full or broken as UserError.
    """

    def __init__(self, path: Path, lock: IO[str], *, continued: bool) -> None:
        self.path = path
        self.continued = continued
        self._lock = lock
        self._state: dict[str, Any] = self.read_json(STATE) or {"state": "running", "stages": {}}

    @classmethod
    def open(cls, log_dir: Path, run_id: str | None, experiment: str, config: Mapping[str, Any]) -> RunFolder:
        """Make a run folder, or take the one that is there.

        Args:
            log_dir: the folder of the runs; made where it is missing.
            run_id: its name; None makes a fresh one.
            experiment: what a fresh name starts with.
            config: the composed config, as plain values.

        Raises:
            UserError: the folder cannot be written, belongs to something else, or is in use by another command.
        """
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            if run_id is not None and is_taken(log_dir / run_id):
                return cls._continue(log_dir / run_id)
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
            lock = hold(draft)
            write_yaml(draft / CONFIG, config)
            write_json(draft / "versions.json", _made_with(config))
            now = datetime.now().isoformat(timespec="seconds")
            state: dict[str, Any] = {
                "state": "running",
                "stage": None,
                "stages": {},
                "made_of": {},
                "experiment": experiment,
                "started": now,
            }
            write_json(draft / STATE, state)
            path = claim(draft, log_dir, run_id, experiment)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        if path is None:  # another command was faster with this very name
            lock.close()
            shutil.rmtree(draft, ignore_errors=True)
            return cls._continue(log_dir / str(run_id))
        return cls(path, lock, continued=False)

    @classmethod
    def _continue(cls, path: Path) -> RunFolder:
        require_run(path)
        folder = cls(path, hold(path), continued=True)
        if "aside" in folder._state:  # a command was stopped while it did this
            folder._move_aside()
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

    @property
    def begun(self) -> list[str]:
        """The stages that were begun, in order."""
        return list(self._state["stages"])

    def made_of(self, stage: str) -> dict[str, Any] | None:
        """What a stage that was begun is made of, as `stage_started` noted it."""
        return self._state.get("made_of", {}).get(stage)

    def times_afresh(self, stage: str) -> int:
        """How often a stage was set aside."""
        return int(self._state.get("afresh", {}).get(stage, 0))

    @property
    def pledge(self) -> str | None:
        """What `set_aside` was last asked for and has not been completed by a finished run."""
        return self._state.get("pledge")

    def is_finished(self, stage: str) -> bool:
        """Whether a stage was completed, now or by an earlier command."""
        return self._state["stages"].get(stage) == "finished"

    def stage_started(self, name: str, made_of: Mapping[str, Any] | None = None) -> None:
        """Note that a stage is under way, and what its result depends on, as dotted keys and plain values."""
        self._state["stages"][name] = "running"
        if made_of is not None:
            self._state.setdefault("made_of", {})[name] = dict(made_of)
        self._save(stage=name)

    def stage_finished(self, name: str) -> None:
        """Note that a stage is done, so that continuing skips it."""
        self._state["stages"][name] = "finished"
        self._save(stage=None)

    def take_up(self, config: Mapping[str, Any]) -> None:
        """Begin to work in a folder that was there, with the config of this command."""
        write_yaml(self.path / CONFIG, config)
        write_json(self.path / "versions.json", _made_with(config))
        self.mark("running")

    def set_aside(
        self, stages: Collection[str], files: Mapping[str, Collection[str]], pledge: str | None = None
    ) -> Path:
        """Forget stages, so that they are learned afresh; what they left is kept in the returned folder.

        files: stage -> what it leaves, relative to the run folder. pledge: noted until the run is finished, so that
        the same request again is known to be under way. Also done to its end after a sudden death.
        """
        if pledge is not None:
            self._state["pledge"] = pledge
        earlier = self.path / "earlier"
        number = 1 + max((int(p.name) for p in earlier.glob("*") if p.name.isdigit()), default=0)
        names = [name for stage in stages for name in files.get(stage, ())]
        self._state["aside"] = {"number": number, "stages": list(stages), "files": names}
        self.mark("running")
        return self._move_aside()

    def _move_aside(self) -> Path:
        told = self._state["aside"]
        target = self.path / "earlier" / str(told["number"])
        target.mkdir(parents=True, exist_ok=True)
        for name in (CONFIG, STATE, "summary.json"):
            if (self.path / name).exists():
                shutil.copy2(self.path / name, target / name)
        for name in told["files"]:
            if (self.path / name).exists():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (self.path / name).replace(target / name)
        for stage in told["stages"]:
            self._state.setdefault("afresh", {})[stage] = self.times_afresh(stage) + 1
            self._state["stages"].pop(stage, None)
            self._state.get("made_of", {}).pop(stage, None)
        del self._state["aside"]
        self.mark(self.state)
        return target

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
            what = "holds no JSON, so the run cannot be continued"
            remedy = "restore it, or begin another run, under another run_id"
            raise UserError(Problem(what, self.path / name, remedy=remedy)) from error

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
            if error is None:
                self._state.pop("pledge", None)
            self._state["error"] = None if error is None or interrupted else str(error)[:_ERROR_LENGTH]
            with contextlib.suppress(OSError) if error else contextlib.nullcontext():
                self.mark("interrupted" if interrupted else "failed" if error else "finished")
        finally:
            self.close()
        if interrupted:
            raise RunInterrupted(self.run_id) from error
        if trouble := disk_trouble(error):
            raise UserError(self._broken_off(trouble)) from error

    def _broken_off(self, trouble: OSError) -> Problem:
        """What is on disk is whole, so that the run can go on from there once the disk can be written again."""
        full = trouble.errno in (errno.ENOSPC, errno.EDQUOT)
        first = "make space" if full else "see to the disk"
        remedy = f"{first}, then run_id={self.run_id} goes on from there; nothing that was finished is lost"
        return Problem(trouble.strerror or str(trouble), trouble.filename or self.path, remedy=remedy)

    def _save(self, **changes: Any) -> None:
        self._state.update(changes, updated=datetime.now().isoformat(timespec="seconds"))
        self.write_json(STATE, self._state)


def _made_with(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**versions(), "device": device(str(config.get("trainer", {}).get("accelerator", "cpu")))}
