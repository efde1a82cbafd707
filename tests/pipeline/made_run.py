"""A run that is done, made without learning anything: what its folder holds, and its record in MLflow."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from revive.bundles import Gate
from revive.deploy import save_policy, save_venv
from revive.pipeline.models import model_records
from revive.tracking.mlflow import model_job
from revive.tracking.store import Store
from tests.runtime.plants import policy_of
from tests.venv.plants import hand_set, plant_graph

GOOD: dict[str, Any] = {"status": "pass", "reasons": [], "overridden": False}
BAD: dict[str, Any] = {"status": "fail", "reasons": ["The venv is not the plant."], "overridden": False}
LINEAR = {"u": ([[0.5]], [0.0]), "next_x": ([[0.0], [1.0], [1.0]], [0.0])}  # x' = x + u + wind
VERDICT = {
    "code": "imitation",
    "sentence": "The venv is not the plant.",
    "remedy": "Log more.",
    "severity": "distrust",
}


def made_run(
    folder: Path, gate: dict[str, Any] | None = None, seed: int = 0, uri: str | None = None, **settings: Any
) -> Path:
    """A finished run of the experiment `demo` in `folder`; settings are those of its config that are worth a look."""
    gate = gate or GOOD
    made_of = {"experiment": "demo", "run_id": folder.name, "seed": seed}
    save_policy(policy_of("category", hidden=(4,), seed=seed), folder / "policy", made_of, Gate(**gate))
    save_venv(hand_set(plant_graph(), LINEAR, members=2), folder / "venv", made_of, Gate(**gate))
    summary = {
        "experiment": "demo",
        "run_id": folder.name,
        "seed": seed,
        "data": {"sha256": "ab" * 32, "rows": 500, "trajectories": 1},
        "venv": {
            "rollout_mae": {"1": 0.1, "10": 0.2},
            "persistence_mae": {"1": 0.2, "10": 0.8},
            "columns": {"level": {"venv": 0.2, "persistence": 0.8}},
        },
        "policy": {
            "logged": -0.5,
            "predicted": {
                "mean": -0.2 - seed,
                "low": -0.3,
                "high": -0.1,
                "interval": {"low": -0.25, "high": -0.15},
            },
            "truth": {"mean": -0.21, "se": 0.001, "episodes": 2},
            "chosen": {"source": "first_order", "half": 0, "iteration": 7, "fallback": None},
        },
        "seconds": {"venv": 1.5},
        "verdicts": [VERDICT] if gate["status"] == "fail" else [],
        "gate": gate,
    }
    config = {
        "experiment": "demo",
        "seed": seed,
        "run_id": folder.name,
        "dataset": {"path": "logs.npz"},
        "tracking": {"_target_": "revive.tracking.MlflowTracker", "uri": uri, "experiment": None},
        "data": {"sha256": "ab" * 32, "rows": 500},
        **settings,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "state.json").write_text(json.dumps({"state": "finished"}))
    return folder


def record(folder: Path, uri: str | None = None, models: bool = False) -> Path:
    """The run, with a record of it in the database beside it or at `uri`; with its models, as at the end of a run."""
    store = Store(folder.parent, uri, "demo")
    opened = {"do": "open", "name": folder.name, "parent": None, "params": {}, "tags": {}, "points": []}
    jobs: list[dict[str, Any]] = [{**opened, "time": _now()}]
    for one in model_records(folder) if models else ():
        jobs += [{"do": "dataset", "data": asdict(one.data)} if one.data else {}, model_job(one)]
    jobs += [{"do": "end", "status": "FINISHED", "time": _now()}]
    for job in jobs:
        store.do({"key": ".", **json.loads(json.dumps(job))}, folder)
    return folder


def _now() -> int:
    return int(time.time() * 1000)
