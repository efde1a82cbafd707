"""What a tracker does, and the one that does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from revive.runs import is_interrupt

Status = Literal["FINISHED", "FAILED", "KILLED"]
Curves = Mapping[str, Sequence[tuple[int, float]]]
"""Metric -> (step, value) pairs."""
NOTE: Final = "mlflow.note.content"
"""The tag whose Markdown is shown as the description of a run."""


def status_of(error: BaseException | None) -> Status:
    """How something ended that left with `error`."""
    if error is None:
        return "FINISHED"
    return "KILLED" if is_interrupt(error) else "FAILED"


@dataclass(frozen=True)
class DataRecord:
    """The data that something was learned from.

    digest: a hash of the values. source: a path or an address. columns: name, type and units of each.
    profile: sizes, such as the number of rows.
    """

    name: str
    digest: str
    source: str
    columns: Sequence[Mapping[str, Any]]
    profile: Mapping[str, Any]


@dataclass(frozen=True)
class ModelRecord:
    """A bundle that is to be kept as a model, which tools of others load, register and serve.

    digest: of the bundle; one that was kept before is not kept again. script: the Python file that loads it.
    inputs, outputs: its columns, `{name, required, ...}` each, all of them numbers. example: a row, column -> [value].
    settings: what `script` lets its user choose, with the defaults. requirements: pinned, as pip writes them.
    metadata: plain values that travel with it. params, tags, metrics: what it is found and compared by. data: what the
    metrics were found on.
    trial: stage, how often that was begun afresh before, and name of the trial that it comes from.
    """

    name: str
    kind: str
    digest: str
    bundle: Path
    script: Path
    inputs: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, Any]]
    example: Mapping[str, Sequence[float]]
    settings: Mapping[str, Any]
    requirements: Sequence[str]
    metadata: Mapping[str, Any]
    params: Mapping[str, Any]
    tags: Mapping[str, Any]
    metrics: Mapping[str, float]
    data: DataRecord | None = None
    trial: tuple[str, int, str] | None = None


class Recorder(Protocol):
    """Something that parameters, tags and files can be attached to."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Record settings; nested mappings become dotted names."""

    def tags(self, values: Mapping[str, Any]) -> None:
        """Record what the run is to be found by."""

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file or folder, under `folder`."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step; buffered, so that calling often is cheap."""


class TrialTracker(Recorder, Protocol):
    """Records one trial of a search, under its name: an earlier command's record of it is gone on with."""

    def open(self, params: Mapping[str, Any], tags: Mapping[str, Any], curves: Curves) -> None:
        """The trial is under way. curves: what it told earlier; recorded where that is missing."""

    def close(self, status: Status) -> None:
        """The trial is over."""

    def keep(
        self, status: Status, params: Mapping[str, Any], tags: Mapping[str, Any], curves: Curves
    ) -> None:
        """Record a trial that an earlier command ended; nothing happens where that was done."""


class StageTracker(Recorder, Protocol):
    """Records one stage of a run."""

    def trial(self, name: str) -> TrialTracker:
        """The record of a trial of this stage; nothing is written yet."""


class Tracker(Recorder, Protocol):
    """Records one command; no trouble of its own ever stops a run.

    Order of use: `start`, then `stage` for each stage, then `finish`. The records of an earlier command on the
    same run folder are gone on with, and what it could not send is sent.
    """

    def warm_up(self) -> None:
        """Begin what takes long (imports, a new database) in the background."""

    def start(self, folder: Path, tags: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """Open the record of this command, named after its run folder."""

    def data(self, record: DataRecord) -> None:
        """Note the data that the command learns from."""

    def model(self, record: ModelRecord) -> None:
        """Keep a bundle as a model; it must stay as it is until it is sent."""

    def stage(self, name: str, afresh: int = 0) -> AbstractContextManager[StageTracker]:
        """The record of a stage, below that of the command; closes with how the stage ended.

        afresh: how often the stage was begun afresh before, each time with a record of its own.
        """

    def finish(self, status: Status = "FINISHED") -> None:
        """Close the record and wait, not forever, until everything is written."""

    @property
    def delay(self) -> str | None:
        """One line on why nothing can be recorded at the moment; `finish` will wait for it."""

    @property
    def trouble(self) -> str | None:
        """One line on what could not be recorded; final after `finish`."""

    def ui_command(self) -> str | None:
        """The command or the address that shows the records, where there is one."""


class NullTracker:
    """Records nothing."""

    def __init__(self, log_dir: Path, name: str) -> None:
        """Takes what every tracker takes."""

    def warm_up(self) -> None:
        """Nothing to prepare."""

    def start(self, folder: Path, tags: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """Nothing to open."""

    def data(self, record: DataRecord) -> None:
        """Forget it."""

    def model(self, record: ModelRecord) -> None:
        """Leave it where it is."""

    @contextmanager
    def stage(self, name: str, afresh: int = 0) -> Iterator[StageTracker]:
        """A stage tracker that does nothing either."""
        yield self

    def trial(self, name: str) -> TrialTracker:
        """A trial tracker that does nothing either."""
        return self

    def open(self, params: Mapping[str, Any], tags: Mapping[str, Any], curves: Curves) -> None:
        """Nothing to open."""

    def close(self, status: Status) -> None:
        """Nothing to close."""

    def keep(
        self, status: Status, params: Mapping[str, Any], tags: Mapping[str, Any], curves: Curves
    ) -> None:
        """Forget it."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Forget them."""

    def tags(self, values: Mapping[str, Any]) -> None:
        """Forget them."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Forget them."""

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Leave it where it is."""

    def finish(self, status: Status = "FINISHED") -> None:
        """Nothing to close."""

    @property
    def delay(self) -> str | None:
        return None

    @property
    def trouble(self) -> str | None:
        return None

    def ui_command(self) -> str | None:
        """There is nothing to show."""
        return None
