"""Bundles as MLflow models, and the data that they were learned from; only the worker process makes these calls.

A model is a folder: the bundle, a script that loads it ("models from code", no pickle), the columns that go in and come
out, and the versions that it needs. It is written here and handed to MLflow; nothing is inferred, and nothing is run.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
)

from revive.tracking.outbox import Job

RECORD = "revive.record"
CONTEXT = "mlflow.data.context"
_DIGEST = 32  # characters; MLflow takes 36


def log_model(client: MlflowClient, experiment_id: str, run_id: str, mark: str, job: Job) -> str:
    """Log the model of a job (see `outbox`), unless that was done; returns its id.

    mark: of this record of this run; with the digest of the bundle it says which model was logged before.
    """
    tag = f"{mark}/{job['name']}/{job['digest']}"
    for known in client.search_logged_models([experiment_id], f"tags.`{RECORD}` = '{tag}'"):
        if known.status == LoggedModelStatus.READY:
            show_model(client, run_id, known.model_id)
            return str(known.model_id)
        client.delete_logged_model(known.model_id)  # something died in between
    model = client.create_logged_model(
        experiment_id,
        name=job["name"],
        source_run_id=run_id,
        tags={**job["tags"], RECORD: tag},
        params=job["params"],
        model_type=job["kind"],
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        _save(folder, model, run_id, job)
        client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    show_model(client, run_id, model.model_id)
    return str(model.model_id)


def allowed(key: str) -> str:
    """A name, such as that of a column with its unit, in the characters that MLflow allows."""
    return "".join(char if char.isalnum() or char in "_-. /" else "_" for char in key)[:250]


def show_model(client: MlflowClient, run_id: str, model_id: str) -> None:
    """Say that a run brought forth a model; a search's trial does as well as the command."""
    shown = client.get_run(run_id).outputs
    if model_id not in {output.model_id for output in (shown.model_outputs if shown else ())}:
        client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])


def model_metrics(client: MlflowClient, model_id: str, job: Job) -> list[Metric]:
    """The figures of a job's model that it does not have yet, each with the data that it was found on."""
    data = job["dataset"]
    points = [(allowed(key), float(value), when, step) for key, value, when, step in job["points"]]
    known = {(metric.key, metric.value) for metric in client.get_logged_model(model_id).metrics or ()}
    on = {"dataset_name": data["name"], "dataset_digest": data["digest"][:_DIGEST]} if data else {}
    return [
        Metric(key, value, when, step, model_id=model_id, **on)
        for key, value, when, step in points
        if (key, value) not in known
    ]


def log_dataset(client: MlflowClient, run_id: str, data: Mapping[str, Any]) -> None:
    """Note the data that a run learned from: name, digest, source (a path or address), columns, rows."""
    columns = [
        {"name": c["name"], "type": c["type"], "required": c.get("required", True)} for c in data["columns"]
    ]
    dataset = Dataset(
        name=data["name"],
        digest=data["digest"][:_DIGEST],
        source_type="local",
        source=json.dumps({"uri": data["source"]}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps(data["profile"]),
    )
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag(CONTEXT, "training")])])


def _save(folder: Path, model: LoggedModel, run_id: str, job: Job) -> None:
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import save_model
    from pandas import DataFrame

    save_model(
        str(folder),
        python_model=job["script"],
        artifacts={"bundle": job["bundle"]},
        signature=ModelSignature(_schema(job["inputs"]), _schema(job["outputs"])),
        input_example=DataFrame(job["example"]),
        model_config=job["settings"],
        pip_requirements=job["requirements"],
        metadata=job["metadata"],
        mlflow_model=Model(model_uuid=model.model_id, model_id=model.model_id, run_id=run_id),
    )


def _schema(columns: Sequence[Mapping[str, Any]]) -> Any:
    from mlflow.types.schema import ColSpec, Schema

    return Schema([ColSpec("double", c["name"], required=c.get("required", True)) for c in columns])
