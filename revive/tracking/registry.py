"""The registry: versions, and the aliases that they are served by; only the worker process makes these calls."""

from __future__ import annotations

import json
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from revive.tracking.outbox import Job

_VERSIONS = "mlflow.modelVersions"


def register(client: MlflowClient, run_id: str, job: Job) -> dict[str, Any]:
    """Make a version of a logged model, unless there is one, and point the alias to it.

    Returns name, version, and before: the version that the alias pointed to and the run that it came from, or None.
    """
    name, model_id, alias = job["name"], job["model_id"], job["alias"]
    try:
        client.create_registered_model(name, description=job["description"])
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    before = _pointed_to(client, name, alias)
    version = _version_of(client, name, model_id)
    if version is None:
        made = client.create_model_version(
            name, f"models:/{model_id}", run_id, job["tags"], description=job["note"], model_id=model_id
        )
        version = str(made.version)
        _note_in_model(client, model_id, name, version)
    client.set_registered_model_alias(name, alias, version)
    return {"name": name, "version": version, "before": before}


def _pointed_to(client: MlflowClient, name: str, alias: str) -> dict[str, Any] | None:
    aliases = client.get_registered_model(name).aliases
    if alias not in aliases:
        return None
    version = str(aliases[alias])
    found = client.get_model_version(name, version)
    return {"version": version, "run": found.tags.get("run_id") or found.run_id}


def _version_of(client: MlflowClient, name: str, model_id: str) -> str | None:
    """The version that was made of this model before."""
    versions = client.search_model_versions(f"name = '{name}'")
    return next(
        (str(v.version) for v in versions if model_id in (v.model_id, (v.source or "").rpartition("/")[2])),
        None,
    )


def _note_in_model(client: MlflowClient, model_id: str, name: str, version: str) -> None:
    """Have the page of the logged model show its version, as MLflow's own `register_model` does."""
    known = json.loads(client.get_logged_model(model_id).tags.get(_VERSIONS, "[]"))
    client.set_logged_model_tags(
        model_id, {_VERSIONS: json.dumps([*known, {"name": name, "version": version}])}
    )
