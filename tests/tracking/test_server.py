"""A real MLflow server that is killed, and comes back or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from revive.tracking import MlflowTracker
from tests.acceptance.kills import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.kill()


def found(server: Server) -> tuple[dict[str, str], list[tuple[int, float]], list[str]]:
    """Statuses, the trial's curve, and the files of the stage, as the server tells them."""
    from mlflow import MlflowClient

    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    listed = client.search_runs([experiment.experiment_id])
    runs: dict[str, Any] = {run.info.run_name: run.info for run in listed}
    assert len(runs) == len(listed) == 3
    history = client.get_metric_history(runs["trial_000"].run_id, "score")
    files = [file.path for file in client.list_artifacts(runs["venv"].run_id, "figures")]
    return (
        {name: info.status for name, info in runs.items()},
        [(point.step, point.value) for point in history],
        files,
    )


EVERYTHING = (
    {"r": "FINISHED", "venv": "FINISHED", "trial_000": "FINISHED"},
    [(step, float(step)) for step in range(100)],
    ["figures/picture.txt"],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs" / "r"
    made.mkdir(parents=True)
    (made / "picture.txt").write_text("a picture")
    return made


def test_a_server_that_is_killed_and_comes_back_misses_nothing(server: Server, folder: Path) -> None:
    tracker = MlflowTracker(folder.parent, "demo", server.uri, patience=120)
    tracker.start(folder, {}, {"seed": 0})  # the server is not there yet
    server.start()
    with tracker.stage("venv") as records:
        trial = records.trial("trial_000")
        trial.open({"lr": 0.1}, {"trial": 0}, {})
        for step in range(100):
            trial.metrics({"score": float(step)}, step)
            if step == 50:
                server.kill()
            time.sleep(0.2)
        trial.close("FINISHED")
        records.artifact(folder / "picture.txt", "figures")
        server.start()  # ten seconds after its death
    tracker.finish()
    assert tracker.trouble is None
    assert found(server) == EVERYTHING
    assert not (folder / "unsent.jsonl").exists()


def test_a_server_that_never_comes_back_is_told_by_the_next_command(server: Server, folder: Path) -> None:
    server.start()
    first = MlflowTracker(folder.parent, "demo", server.uri, patience=5)
    first.start(folder, {}, {"seed": 0})
    with first.stage("venv") as records:
        trial = records.trial("trial_000")
        trial.open({"lr": 0.1}, {"trial": 0}, {})
        time.sleep(10)
        server.kill()
        for step in range(100):
            trial.metrics({"score": float(step)}, step)
        trial.close("FINISHED")
        records.artifact(folder / "picture.txt", "figures")
    begin = time.monotonic()
    first.finish()
    assert time.monotonic() - begin < 20
    assert first.trouble
    assert "could not be sent" in first.trouble
    assert (folder / "unsent.jsonl").is_file()

    server.start()
    second = MlflowTracker(folder.parent, "demo", server.uri, patience=120)
    second.start(folder, {}, {"seed": 0})
    second.finish()
    assert second.trouble is None
    assert found(server) == EVERYTHING
