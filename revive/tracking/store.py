"""The calls to MLflow itself. All of it runs in the tracker's background thread."""

from __future__ import annotations

import fcntl
import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from revive.tracking.base import Status

# MLflow's limits for one request.
_METRICS, _PARAMS, _PARAM_LENGTH, _TAG_LENGTH = 1000, 100, 6000, 5000

Metric = tuple[str, float, int, int]
"""Name, value, time in milliseconds, step."""


class Store:
    """An MLflow experiment in a database beside the runs, or on the server that `uri` names."""

    def __init__(self, log_dir: Path, uri: str | None, experiment: str) -> None:
        self.uri = uri or f"sqlite:///{log_dir.absolute() / 'mlflow.db'}"
        self._log_dir = log_dir.absolute()
        self._local = uri is None or uri.startswith("sqlite:")
        self._experiment = experiment
        self._client: MlflowClient | None = None
        self._experiment_id = ""

    def connect(self) -> MlflowClient:
        """The client, made at the first call together with the database and the experiment."""
        if self._client is None:
            client_class = _import_quietly()
            with self._alone():
                client = client_class(tracking_uri=self.uri)
                self._experiment_id = self._find_experiment(client)
            self._client = client
        return self._client

    def create_run(self, name: str, tags: Mapping[str, Any], parent: str | None = None) -> str:
        """Open a run, below `parent` where given, and return its id."""
        shown = {key: _cut(value, _TAG_LENGTH) for key, value in tags.items()}
        if parent:
            shown["mlflow.parentRunId"] = parent
        client = self.connect()
        return client.create_run(self._experiment_id, tags=shown, run_name=name).info.run_id

    def log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Send numbers, as many to a request as MLflow takes."""
        from mlflow.entities import Metric as Entity

        for start in range(0, len(metrics), _METRICS):
            part = [
                Entity(_name(key), value, when, step) for key, value, when, step in metrics[start:][:_METRICS]
            ]
            self.connect().log_batch(run_id, metrics=part)

    def log_params(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Send settings under dotted names."""
        from mlflow.entities import Param

        flat = list(_flat(values))
        for start in range(0, len(flat), _PARAMS):
            part = [Param(_name(key), _cut(value, _PARAM_LENGTH)) for key, value in flat[start:][:_PARAMS]]
            self.connect().log_batch(run_id, params=part)

    def log_tags(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Send tags."""
        from mlflow.entities import RunTag

        tags = [RunTag(_name(key), _cut(value, _TAG_LENGTH)) for key, value in values.items()]
        self.connect().log_batch(run_id, tags=tags)

    def log_artifact(self, run_id: str, path: Path, folder: str | None) -> None:
        """Copy a file or a whole folder."""
        if path.is_dir():
            inside = f"{folder}/{path.name}" if folder else path.name
            self.connect().log_artifacts(run_id, str(path), inside)
        else:
            self.connect().log_artifact(run_id, str(path), folder)

    def end_run(self, run_id: str, status: Status) -> None:
        """Close a run."""
        self.connect().set_terminated(run_id, status)

    def _find_experiment(self, client: MlflowClient) -> str:
        known = client.get_experiment_by_name(self._experiment)
        if known is None:
            # A database keeps no files, so say where they go: the default is the working directory.
            location = (self._log_dir / "mlartifacts").as_uri() if self._local else None
            return client.create_experiment(self._experiment, artifact_location=location)
        if known.lifecycle_stage == "deleted":
            client.restore_experiment(known.experiment_id)
        return known.experiment_id

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep two commands from making one database at once."""
        if not self._local:
            yield
            return
        self._log_dir.mkdir(parents=True, exist_ok=True)
        with (self._log_dir / ".mlflow.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def now() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


def _import_quietly() -> type[MlflowClient]:
    """MLflow's client, without its notes on migrations, its warnings and its usage reports."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    warnings.filterwarnings("ignore", module=r"(mlflow|alembic|sqlalchemy|pydantic)\b.*")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _cut(value: Any, length: int) -> str:
    text = str(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def _name(key: str) -> str:
    """A key in the characters that MLflow allows."""
    return "".join(char if char.isalnum() or char in "_-. /" else "_" for char in key)[:250]
