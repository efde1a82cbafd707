"""Registering the models of a run under an alias, through the process that talks to MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from revive.errors import Problem, UserError
from revive.tracking.base import NOTE, ModelRecord
from revive.tracking.fetching import Fetched, Reference
from revive.tracking.ids import FILE
from revive.tracking.mlflow import COMMAND, model_job
from revive.tracking.outbox import Job
from revive.tracking.worker import WorkerProcess


@dataclass(frozen=True)
class Promoted:
    """A version of a registered model. before: `{version, run}` that the alias pointed to, None where it is new."""

    name: str
    version: str
    alias: str
    before: Mapping[str, Any] | None

    @property
    def uri(self) -> str:
        """What MLflow's tools call it."""
        return f"models:/{self.name}@{self.alias}"


class Registry:
    """The model registry of the database or server where the runs below `log_dir` are recorded.

    uri, experiment: as of `MlflowTracker`; without an experiment nothing but `fetch` can be asked. Use it as a context;
    a registry that is away is a UserError.
    """

    def __init__(self, log_dir: Path, uri: str | None, experiment: str | None = None) -> None:
        self.uri = uri or f"sqlite:///{log_dir.absolute() / 'mlflow.db'}"
        self._file = None if uri else log_dir.absolute() / "mlflow.db"
        self._connects = experiment is not None
        self._worker = WorkerProcess(
            {"log_dir": str(log_dir.absolute()), "uri": uri, "experiment": experiment}
        )

    def __enter__(self) -> Registry:
        if self._file is not None and not self._file.is_file():
            remedy = _AGAIN if self._connects else "name it: log_dir=DIR of the runs, or tracking.uri=URI"
            what = "no records of these runs are here" if self._connects else "no model registry is here"
            raise UserError(Problem(what, self._file, remedy=remedy))
        if self._connects:
            self._ask({"do": "connect"}, None)
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.dismiss(now=False)

    def promote(
        self, folder: Path, record: ModelRecord, name: str, alias: str, texts: Mapping[str, str]
    ) -> Promoted:
        """Log the model of a run, unless that was done, make it a version of `name` and point the alias to it.

        texts: description of the registered model, and note on this version. Raises UserError where that cannot be.
        """
        if not (folder / FILE).is_file():
            raise UserError(Problem("this run is in no records", folder, remedy=_AGAIN))
        model_id = self._ask(model_job(record), folder)
        job = {"do": "register", "key": COMMAND, "model_id": model_id, "name": name, "alias": alias}
        tags = {key: value for key, value in record.tags.items() if key != NOTE}  # `texts` say it
        found = self._ask({**job, **texts, "tags": tags}, folder)
        return Promoted(found["name"], found["version"], alias, found["before"])

    def fetch(self, reference: Reference, into: Path | None) -> Fetched:
        """A version of a registered model; its bundle is copied into a folder where one is given.

        Raises UserError where there is no such model, alias or version, or none that revive has logged.
        """
        asked = {"name": reference.name, "alias": reference.alias, "version": reference.version}
        found = self._ask({"do": "fetch", **asked, "into": None if into is None else str(into)}, None)
        reference.require(found, self.uri)
        bundles = [] if into is None else [*into.rglob("policy.json"), *into.rglob("venv.json")]
        if into is not None and len(bundles) != 1:
            what = f"version {found['version']} of '{reference.name}' holds no bundle of revive"
            raise UserError(Problem(what, self.uri, remedy="promote a run of revive, and name its model"))
        bundle = bundles[0].parent if bundles else None
        return Fetched(reference.name, found["version"], found["run"], bundle)

    def tag(self, folder: Path, promoted: Sequence[Promoted]) -> None:
        """Say in the record of the run what became of it."""
        told = ", ".join(f"{one.name} {one.version} ({one.alias})" for one in promoted)
        self._ask({"do": "tags", "key": COMMAND, "values": {"promoted": told}}, folder)

    def _ask(self, job: Job, folder: Path | None) -> Any:
        reply = self._worker.ask(job, folder)
        if reply.state == "done":
            return reply.result
        error = " ".join(reply.error.split())[:500]
        if reply.state == "refused":
            remedy = _AGAIN if self._connects else "name another registry, with tracking.uri=URI"
            raise UserError(Problem(f"MLflow refuses: {error}", self.uri, remedy=remedy))
        raise UserError(
            Problem(f"the registry cannot be reached: {error}", self.uri, remedy="start it, then try again")
        )


_AGAIN = "the command that made the run records it again, with run_id=NAME"
