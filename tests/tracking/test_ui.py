"""MLflow's own pages, opened in a browser: what a user sees of a run, of its models, and of a search."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from revive.__main__ import main
from revive.tracking.base import NOTE
from revive.tracking.store import Store
from tests.acceptance.kills import Server
from tests.made_runs import EXPERIMENTS
from tests.pipeline.made_run import made_run, record
from tests.tracking.browser import browser, show

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def server(new_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a run, its two models, a figure, and a search of three trials."""
    made = Server(tmp_path_factory.mktemp("mlflow"))
    shutil.copy(new_database, made.database)
    uri = f"sqlite:///{made.database}"
    store, folder = Store(made.home, uri, "demo"), made_run(made.home / "calm-lynx")
    record(folder, uri, models=True)
    _fill(store, folder)
    made.start()
    yield made
    made.kill()


def _fill(store: Store, folder: Path) -> None:
    from matplotlib.figure import Figure

    picture = folder / "rollouts.png"
    drawn = Figure(figsize=(3, 2))
    drawn.subplots().plot([0, 1], [1, 0])
    drawn.savefig(picture)
    points = [["policy.gain", 0.3, 1, 0], ["policy.predicted", -0.2, 1, 0]]
    jobs: list[dict[str, Any]] = [
        {"do": "tags", "key": ".", "values": {"gate": "pass", NOTE: "**Use with care** (gate: warn)"}},
        {"do": "metrics", "key": ".", "points": points},
        {"do": "artifact", "key": ".", "path": str(picture), "folder": "figures"},
        _opened("policy", ".", {}),
    ]
    for number in range(3):
        key = f"policy/trial_{number:03d}"
        jobs += [_opened(key, "policy", {"learner.lr": str(10.0**-number)})]
        jobs += [{"do": "metrics", "key": key, "points": [["score", float(number), 1, 100]]}]
    for job in jobs:
        store.do(job, folder)


def _opened(key: str, parent: str, params: dict[str, str]) -> dict[str, Any]:
    name = key.rpartition("/")[2]
    return {
        "do": "open", "key": key, "name": name, "parent": parent, "params": params, "tags": {}, "points": [], "time": 1
    }  # fmt: skip


def test_pages_of_a_run_of_its_models_and_of_a_search(server: Server) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("demo").experiment_id
    runs = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment])}
    models = {model.name: model.model_id for model in client.search_logged_models([experiment])}
    here = f"{server.uri}/#/experiments/{experiment}"
    with browser() as page:
        show(
            page,
            f"{here}/runs?viewStateShareKey=revive",
            "calm-lynx",
            "policy.gain",
            "policy.predicted",
            "gate",
        )
        show(page, f"{here}/runs/{runs['calm-lynx']}", "Use with care", "policy.gain", "logs (abab")
        show(page, f"{here}/runs/{runs['calm-lynx']}/artifacts/figures/rollouts.png", "figures/rollouts.png")
        page.locator("img[src^='blob:'], img[src*='rollouts']").first.wait_for()
        show(page, f"{here}/models/{models['policy']}", "policy.gain", "first_order", "Nothing was found")
        trials = json.dumps(
            [run for name, run in runs.items() if name.startswith("trial_")], separators=(",", ":")
        )
        address = f'{server.uri}/#/compare-runs?runs={trials}&experiments=["{experiment}"]'
        show(page, address, "Parallel Coordinates Plot", "learner.lr", "trial_002")
        page.locator("svg .parcoords, .parcoords").first.wait_for(state="attached")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_whole_run_and_its_models_can_be_looked_at(server: Server, tmp_path: Path, name: str) -> None:
    from mlflow import MlflowClient

    where = (f"tracking.uri={server.uri}", f"log_dir={tmp_path}", "run_id=seen")
    assert main([f"experiment={name}", "debug=fast", "gate.override=true", *where]) == 0
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name(name).experiment_id
    run = client.search_runs([experiment], "attributes.run_name = 'seen'")[0].info.run_id
    models = {model.name: model.model_id for model in client.search_logged_models([experiment])}
    here = f"{server.uri}/#/experiments/{experiment}"
    with browser() as page:
        show(page, f"{here}/runs?viewStateShareKey=revive", "seen", "gate")
        show(page, f"{here}/runs/{run}", "seen", "policy.gain", "policy.predicted", f"{name}_simulated")
        for model in ("policy", "venv"):
            show(page, f"{here}/models/{models[model]}", model)
