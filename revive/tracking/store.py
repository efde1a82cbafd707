"""The calls to MLflow itself; only the worker process makes them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from revive.tracking.fetching import fetch
from revive.tracking.ids import Ids
from revive.tracking.models import RECORD, allowed, log_dataset, log_model, model_metrics, show_model
from revive.tracking.outbox import Job
from revive.tracking.registry import register
from revive.tracking.view import TAGS

# MLflow's limits for one request.
_METRICS, _PARAMS, _TAGS, _PARAM_LENGTH, _TAG_LENGTH = 1000, 100, 100, 6000, 5000

Points = Sequence[Sequence[Any]]
"""Name, value, time in milliseconds, step of each."""


class Store:
    """An MLflow experiment in a database beside the runs, or on the server that `uri` names.

    log_dir: an absolute path.
    """

    def __init__(self, log_dir: Path, uri: str | None, experiment: str) -> None:
        self.uri = uri or f"sqlite:///{log_dir / 'mlflow.db'}"
        self._given_uri, self._log_dir, self._experiment = uri, log_dir, experiment
        self._local = self.uri.startswith("sqlite:")
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._ids: Ids | None = None
        self._tried: set[str] = set()
        self._reopened: dict[str, dict[str, set[tuple[int, float]]]] = {}  # run -> metric -> points it has

    def do(self, job: Job, folder: Path | None) -> Any:
        """Do a job (see `outbox`) for the run in `folder`. Doing it again changes nothing.

        Returns what comes of it, plain values, where that is worth knowing.
        """
        if job["do"] == "fetch":  # of whatever experiment; none is made
            mlflow.set_tracking_uri(self.uri)
            return fetch(MlflowClient(tracking_uri=self.uri), job)
        client = self._connect()
        if job["do"] == "connect":
            return None
        assert folder is not None
        if self._ids is None or self._ids.folder != folder:
            self._ids = Ids(folder, self._given_uri)
        if job["do"] in ("open", "keep"):
            self._whole(client, self._ids, job)
            return None
        run_id = self._id(client, self._ids, job["key"])
        match job["do"]:
            case "params":
                self._log_params(client, run_id, job["values"])
            case "tags":
                self._log_tags(client, run_id, job["values"])
            case "metrics":
                self._log_points(client, run_id, self._new(client, run_id, job["points"]))
            case "artifact":
                self._log_artifact(client, run_id, Path(job["path"]), job["folder"])
            case "end":
                client.set_terminated(run_id, job["status"], end_time=job["time"])
            case "dataset":
                log_dataset(client, run_id, job["data"])
            case "model":
                return self._log_model(client, run_id, self._ids.tag(job["key"]), job)
            case "register":
                return register(client, run_id, job)
            case other:
                raise ValueError(f"unknown job {other}")
        return None

    def _whole(self, client: MlflowClient, ids: Ids, job: Job) -> None:
        """Begin a record, or go on with it; or keep one that has ended."""
        run = self._find(client, ids, job["key"])
        if run is None:
            run_id = self._create(client, ids, job)
            missing = job["points"]
        else:
            run_id = run.info.run_id
            if job["do"] == "keep" and run.info.status != "RUNNING":
                return
            client.update_run(run_id, status="RUNNING")
            self._reopened[run_id] = {}
            missing = _missing(client, run, job["points"])
        self._log_tags(client, run_id, job["tags"])
        self._log_params(client, run_id, job["params"])
        self._log_points(client, run_id, missing)
        if job["do"] == "keep":
            client.set_terminated(run_id, job["status"], end_time=job["time"])

    def _create(self, client: MlflowClient, ids: Ids, job: Job) -> str:
        key = job["key"]
        tags = {RECORD: ids.tag(key)}
        if job["parent"] is not None:
            tags["mlflow.parentRunId"] = self._id(client, ids, job["parent"])
        self._tried.add(key)
        run = client.create_run(self._experiment_id, start_time=job["time"], tags=tags, run_name=job["name"])
        ids.add(key, run.info.run_id)
        return str(run.info.run_id)

    def _find(self, client: MlflowClient, ids: Ids, key: str) -> Run | None:
        """The MLflow run of a record, unless it was never made, deleted, or left behind in another database."""
        if key in ids.known:
            try:
                run = client.get_run(ids.known[key])
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
            else:
                return run if run.info.lifecycle_stage == "active" else None
        if ids.fresh and key not in self._tried:
            return None
        wanted = f"tags.`{RECORD}` = '{ids.tag(key)}'"
        found = client.search_runs([self._experiment_id], wanted, max_results=1)
        if not found:
            return None
        ids.add(key, found[0].info.run_id)
        return found[0]

    def _id(self, client: MlflowClient, ids: Ids, key: str) -> str:
        if key in ids.known:
            return ids.known[key]
        run = self._find(client, ids, key)
        if run is None:
            raise LookupError(f"{self.uri} holds no record of {key} of {ids.folder}")
        return str(run.info.run_id)

    def _new(self, client: MlflowClient, run_id: str, points: Points) -> Points:
        """Without what is told twice, because training goes on from a checkpoint before the interruption."""
        if run_id not in self._reopened:
            return points
        known = self._reopened[run_id]
        for key in {allowed(point[0]) for point in points} - set(known):
            known[key] = {(point.step, point.value) for point in client.get_metric_history(run_id, key)}
        # At step 0 are results, of which the last one counts.
        return [p for p in points if p[3] == 0 or (p[3], float(p[1])) not in known[allowed(p[0])]]

    @staticmethod
    def _log_points(client: MlflowClient, run_id: str, points: Points) -> None:
        for start in range(0, len(points), _METRICS):
            part = [
                Metric(allowed(key), float(value), when, step)
                for key, value, when, step in points[start:][:_METRICS]
            ]
            client.log_batch(run_id, metrics=part)

    def _log_params(self, client: MlflowClient, run_id: str, values: Mapping[str, str]) -> None:
        """MLflow takes a parameter once; what differs when a run goes on becomes a tag `changed.NAME`."""
        before = client.get_run(run_id).data.params
        cut = {allowed(key): _cut(value, _PARAM_LENGTH) for key, value in values.items()}
        new = [Param(key, value) for key, value in cut.items() if key not in before]
        for start in range(0, len(new), _PARAMS):
            client.log_batch(run_id, params=new[start:][:_PARAMS])
        changed = {key: value for key, value in cut.items() if before.get(key, value) != value}
        self._log_tags(client, run_id, {f"changed.{key}": value for key, value in changed.items()})

    @staticmethod
    def _log_tags(client: MlflowClient, run_id: str, values: Mapping[str, str]) -> None:
        tags = [RunTag(allowed(key), _cut(value, _TAG_LENGTH)) for key, value in values.items()]
        for start in range(0, len(tags), _TAGS):
            client.log_batch(run_id, tags=tags[start:][:_TAGS])

    def _log_model(self, client: MlflowClient, run_id: str, mark: str, job: Job) -> str:
        model_id = log_model(client, self._experiment_id, run_id, mark, job)
        if job["trial"] is not None and self._ids is not None:
            show_model(client, self._id(client, self._ids, job["trial"]), model_id)
        metrics = model_metrics(client, model_id, job)
        for start in range(0, len(metrics), _METRICS):
            client.log_batch(run_id, metrics=metrics[start:][:_METRICS])
        return model_id

    @staticmethod
    def _log_artifact(client: MlflowClient, run_id: str, path: Path, folder: str | None) -> None:
        """Copy a file or a whole folder."""
        if path.is_dir():
            client.log_artifacts(run_id, str(path), f"{folder}/{path.name}" if folder else path.name)
        else:
            client.log_artifact(run_id, str(path), folder)

    def _connect(self) -> MlflowClient:
        """The client, made at the first call together with the database and the experiment."""
        if self._client is None:
            with self._alone():
                self._make_database()
                mlflow.set_tracking_uri(self.uri)  # where MLflow itself looks up a model that is registered
                client = MlflowClient(tracking_uri=self.uri)
                self._experiment_id = self._find_experiment(client)
            self._client = client
        return self._client

    def _make_database(self) -> None:
        """A new SQLite file appears whole or not at all: half a schema could never be completed."""
        path = Path(self.uri.removeprefix("sqlite:///").partition("?")[0])
        if not self._local or not path.name or path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        MlflowClient(tracking_uri=f"sqlite:///{draft}").search_experiments(max_results=1)
        draft.rename(path)

    def _find_experiment(self, client: MlflowClient) -> str:
        known = client.get_experiment_by_name(self._experiment)
        if known is None:
            # A database keeps no files, so say where they go: the default is the working directory.
            location = (self._log_dir / "mlartifacts").as_uri() if self._local else None
            try:
                return str(client.create_experiment(self._experiment, artifact_location=location, tags=TAGS))
            except MlflowException as error:
                known = client.get_experiment_by_name(self._experiment)  # was another command faster?
                if known is None or error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
        if known.lifecycle_stage == "deleted":
            client.restore_experiment(known.experiment_id)
        for key, value in TAGS.items():
            if key not in known.tags:  # made by an earlier version, or by hand
                client.set_experiment_tag(known.experiment_id, key, value)
        return str(known.experiment_id)

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


def _missing(client: MlflowClient, run: Run, points: Points) -> Points:
    """The points at whose step a run knows no value."""
    known = {
        key: {point.step for point in client.get_metric_history(run.info.run_id, key)}
        for key in {allowed(point[0]) for point in points} & set(run.data.metrics)
    }
    return [point for point in points if point[3] not in known.get(allowed(point[0]), ())]


def _cut(value: str, length: int) -> str:
    return value if len(value) <= length else value[: length - 3] + "..."
