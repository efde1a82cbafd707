"""The tracker that writes to MLflow: it turns what a run tells it into jobs, and returns at once."""

from __future__ import annotations

import getpass
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from revive.runs import readable_name
from revive.tracking.base import Curves, DataRecord, ModelRecord, Status, status_of
from revive.tracking.outbox import Job, points
from revive.tracking.sender import Sender
from revive.tracking.worker import WorkerProcess

ExperimentName = Annotated[str, Field(pattern=r"^(/?[A-Za-z0-9][A-Za-z0-9_ .@-]*)+$", max_length=250)]
"""Folders of it start with a letter or digit: MLflow keeps trying where a name has `..` in it."""

COMMAND = "."  # the key of the command's own record


class MlflowRun:
    """One MLflow run. Every call queues a job."""

    def __init__(self, sender: Sender, key: str, parent: str | None = None) -> None:
        self._sender, self.key, self.parent = sender, key, parent
        self._open: dict[str, MlflowRun] = {}  # trials under way

    def open(self, params: Mapping[str, Any], tags: Mapping[str, Any], curves: Curves) -> None:
        """Open the run, or go on with the one that an earlier command opened."""
        self._sender.submit(self._whole("open", params, tags, curves))

    def keep(
        self, status: Status, params: Mapping[str, Any], tags: Mapping[str, Any], curves: Curves
    ) -> None:
        """Record a run that an earlier command ended; nothing happens where that was done."""
        self._sender.submit({**self._whole("keep", params, tags, curves), "status": status})

    def params(self, values: Mapping[str, Any]) -> None:
        """Record settings; nested mappings become dotted names."""
        self._submit("params", values=dict(_flat(values)))

    def tags(self, values: Mapping[str, Any]) -> None:
        """Record what the run is to be found by."""
        self._submit("tags", values=dict(_flat(values)))

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file or folder; it must stay as it is until it is sent."""
        self._submit("artifact", path=str(path.absolute()), folder=folder)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step; they are sent now and then, many at once."""
        when = _now()
        self._submit("metrics", points=points([(key, float(v), when, step) for key, v in values.items()]))

    def close(self, status: Status) -> None:
        """End the run."""
        self._submit("end", status=status, time=_now())

    def trial(self, name: str) -> MlflowTrial:
        """A child run for a trial."""
        return MlflowTrial(self, name)

    def _submit(self, do: str, **content: Any) -> None:
        self._sender.submit({"do": do, "key": self.key, **content})

    def _whole(
        self, do: str, params: Mapping[str, Any], tags: Mapping[str, Any], curves: Curves
    ) -> dict[str, Any]:
        when = _now()
        told = [(key, value, when, step) for key, curve in curves.items() for step, value in curve]
        return {
            "do": do,
            "key": self.key,
            "name": self.key.rpartition("/")[2],
            "parent": self.parent,
            "params": dict(_flat(params)),
            "tags": dict(_flat(tags)),
            "points": points(told),
            "time": when,
        }


class MlflowTrial(MlflowRun):
    """The run of a trial; it ends with its stage at the latest."""

    def __init__(self, stage: MlflowRun, name: str) -> None:
        super().__init__(stage._sender, f"{stage.key}/{name}", stage.key)
        self._stage = stage

    def open(self, params: Mapping[str, Any], tags: Mapping[str, Any], curves: Curves) -> None:
        """The trial is under way."""
        super().open(params, tags, curves)
        self._stage._open[self.key] = self

    def close(self, status: Status) -> None:
        """The trial is over."""
        super().close(status)
        self._stage._open.pop(self.key, None)


class MlflowTracker(MlflowRun):
    """A parent run for the command and a child run for each stage.

    Args:
        log_dir: the folder of the runs; the database and the artifacts go beside them.
        name: the experiment's name.
        uri: an MLflow tracking server or database, instead of the database beside the runs.
        experiment: the MLflow experiment, if not of the same name.
        patience: how many seconds `finish` waits for a server that is gone or a database that is locked; ten
                times as long for one that is slow and goes on.
    """

    def __init__(
        self,
        log_dir: Path,
        name: str,
        uri: str | None = None,
        experiment: ExperimentName | None = None,
        patience: float = 60.0,
    ) -> None:
        where = {"log_dir": str(log_dir.absolute()), "uri": uri, "experiment": experiment or name}
        super().__init__(Sender(WorkerProcess(where), patience), COMMAND)
        self._patience = patience
        self._uri = uri or f"sqlite:///{log_dir.absolute() / 'mlflow.db'}"

    def warm_up(self) -> None:
        """Import MLflow and make the database in the background."""
        self._sender.begin()

    def start(self, folder: Path, tags: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """Open the run of this command, after what an earlier one on this folder could not send."""
        self._sender.use(folder)
        job = self._whole("open", params, tags, {})
        source = {"mlflow.source.name": "revive", "mlflow.source.type": "LOCAL", "mlflow.user": _user()}
        if "git_commit" in tags:
            source["mlflow.source.git.commit"] = str(tags["git_commit"])
        self._sender.submit({**job, "name": readable_name(folder.name), "tags": {**source, **job["tags"]}})

    def data(self, record: DataRecord) -> None:
        """Note the data as an input of the run."""
        self._submit("dataset", data=asdict(record))

    def model(self, record: ModelRecord) -> None:
        """Log a model; it must stay as it is until it is sent."""
        self._sender.submit(model_job(record))

    @contextmanager
    def stage(self, name: str, afresh: int = 0) -> Iterator[MlflowRun]:
        """A child run for a stage; it ends as the stage does."""
        stage = MlflowRun(self._sender, _stage_key(name, afresh), COMMAND)
        stage.open({}, {"stage": name}, {})
        error: BaseException | None = None
        try:
            yield stage
        except BaseException as raised:
            error = raised
            raise
        finally:
            for trial in list(stage._open.values()):
                trial.close("KILLED")
            stage.close(status_of(error))

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run and wait until all is written, at most as long as patience lasts."""
        self.close(status)
        self._sender.finish()

    @property
    def delay(self) -> str | None:
        away = self._sender.away
        return f"MLflow ({self._uri}), at most {self._patience:g} s: {away}" if away else None

    @property
    def trouble(self) -> str | None:
        told = self._sender.trouble
        return f"MLflow ({self._uri}): {told}" if told else None

    def ui_command(self) -> str:
        """The command that shows the runs in a browser; of a server its address."""
        if self._uri.startswith(("http:", "https:")):
            return self._uri
        return f"mlflow ui --backend-store-uri {shlex.quote(self._uri)}"


def model_job(record: ModelRecord) -> Job:
    """What the worker is asked for to log a model with the command's run."""
    when = _now()
    told = [(key, float(value), when, 0) for key, value in record.metrics.items()]
    of = None
    if record.trial is not None:
        stage, afresh, name = record.trial
        of = f"{_stage_key(stage, afresh)}/{name}"
    plain = {name: getattr(record, name) for name in _MODEL_FIELDS}
    return {
        "do": "model",
        "key": COMMAND,
        **plain,
        "bundle": str(record.bundle.absolute()),
        "script": str(record.script.absolute()),
        "params": dict(_flat(record.params)),
        "tags": dict(_flat(record.tags)),
        "points": points(told),
        "dataset": asdict(record.data) if record.data else None,
        "trial": of,
    }


_MODEL_FIELDS = (
    "name",
    "kind",
    "digest",
    "inputs",
    "outputs",
    "example",
    "settings",
    "requirements",
    "metadata",
)


def _stage_key(name: str, afresh: int) -> str:
    return f"{afresh}/{name}" if afresh else name


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as containers have it
        return "unknown"


def _now() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
