"""What the records keep of a run that is done: its data, its venv and its policy as models, and what is said of it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from revive.bundles import Bundle, Kind
from revive.bundles.manifest import MANIFEST
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.report.note import note
from revive.report.summary import Summary
from revive.runtime.table import Field, example, of_bundle
from revive.search.trials import FILE as TRIALS
from revive.search.trials import Trial, read_trials
from revive.tracking.base import NOTE, DataRecord, ModelRecord

SCRIPTS: Final = Path(__file__).parent.parent / "deploy" / "served"
KINDS: Final[tuple[Kind, ...]] = ("policy", "venv")
LONGEST: Final = 4000  # characters of a note; MLflow takes a few more
_NEEDS: Final[dict[Kind, tuple[str, ...]]] = {
    "policy": ("revive-logs", "mlflow", "numpy", "pandas", "pydantic"),
    "venv": ("revive-logs", "mlflow", "numpy", "pandas", "pydantic", "torch", "safetensors"),
}
_CHOICES: Final[dict[Kind, tuple[str, ...]]] = {
    "policy": ("accept_failed_gate",),
    "venv": ("accept_failed_gate", "trust"),
}


def data_record(config: Mapping[str, Any], folder: Path, graph: DecisionGraph) -> DataRecord:
    """The logs of a run: config is what its config.yaml holds, folder the run's."""
    path = config["dataset"]["path"]
    made = folder / "data.npz"  # where the experiment's simulator made the logs
    source = Path(path or made)
    nodes = (*graph.leaves, *graph.decisions)
    columns = {c.name: c for n in nodes if graph[n].history is None for c in graph.columns(n)}
    return DataRecord(
        name="_".join((source.stem if path else f"{config['experiment']} simulated").split()),
        digest=config["data"]["sha256"],
        source=str(source.absolute()),
        columns=[_typed(column) for column in columns.values()],
        profile={"num_rows": config["data"]["rows"], "num_elements": config["data"]["rows"] * len(columns)},
    )


def _typed(column: Column) -> dict[str, Any]:
    units = {"units": column.units} if column.units else {}
    return {"name": column.name, "type": "double", **units}


def model_records(folder: Path, afresh: Mapping[str, int] | None = None) -> list[ModelRecord]:
    """The policy and the venv of a run with a summary, as far as it has them.

    afresh: how often each stage was begun afresh; with it, a model that a search chose belongs to its trial too.
    Raises UserError for a bundle that was changed.
    """
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    records = []
    for kind in KINDS:
        if (folder / kind / MANIFEST).is_file():
            trial = _chosen_trial(folder, kind, afresh[kind]) if afresh is not None else None
            records.append(_record(kind, folder, config, summary, trial))
    return records


def _chosen_trial(folder: Path, kind: Kind, afresh: int) -> tuple[str, int, str] | None:
    """The trial of a search that a model comes from, as `ModelRecord` wants it."""
    book = folder / "search" / kind
    stored = read_trials(book) if (book / TRIALS).is_file() else {}
    chosen = stored.get("chosen")
    return (kind, afresh, Trial(**stored["trials"][chosen["trial"]]).name) if chosen else None


def _record(
    kind: Kind,
    folder: Path,
    config: Mapping[str, Any],
    summary: Mapping[str, Any],
    trial: tuple[str, int, str] | None,
) -> ModelRecord:
    bundle = Bundle.open(kind, folder / kind)
    inputs, outputs = of_bundle(bundle)
    metrics = Summary(**summary).metrics()
    return ModelRecord(
        name=kind,
        kind=kind,
        digest=hashlib.sha256((bundle.folder / MANIFEST).read_bytes()).hexdigest(),
        bundle=bundle.folder,
        script=SCRIPTS / f"{kind}.py",
        inputs=[{"name": field.name, "required": field.required} for field in inputs.fields],
        outputs=[{"name": field.name} for field in outputs],
        example=example(bundle),
        settings=dict.fromkeys(_CHOICES[kind], False),
        requirements=_pinned(_NEEDS[kind]),
        metadata={
            "kind": kind,
            "experiment": summary["experiment"],
            "run": summary["run_id"],
            "data_sha256": summary["data"]["sha256"],
            "gate": summary["gate"],
            "units": _units((*inputs.fields, *outputs)),
            "inputs": [field.to_json() for field in inputs.fields],
            "outputs": [field.to_json() for field in outputs],
        },
        params=_params(kind, bundle, summary),
        tags={
            "gate": summary["gate"].get("status", "not judged"),
            "experiment": summary["experiment"],
            "run_id": summary["run_id"],
            NOTE: note(summary)[:LONGEST],
        },
        metrics={name: value for name, value in metrics.items() if name.startswith(f"{kind}.")},
        data=data_record(config, folder, bundle.graph),
        trial=trial,
    )


def _params(kind: Kind, bundle: Bundle, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What one asks first of a model: how it came about."""
    network = bundle.spec["network"]
    told = {"network": "x".join(map(str, network["hidden"] or ())) or "linear", "seed": summary["seed"]}
    if kind == "venv":
        return {**told, "members": bundle.spec["members"]}
    chosen = {key: value for key, value in summary["policy"].get("chosen", {}).items() if value is not None}
    return {**told, "decides": bundle.spec["target"], **chosen}


def _units(fields: Iterable[Field]) -> dict[str, str]:
    return {field.name: field.column.units for field in fields if field.column.units}


def _pinned(names: Sequence[str]) -> list[str]:
    return [f"{name}=={importlib.metadata.version(name)}" for name in names]
