"""What ends up in MLflow, and that nothing of it can stop a run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from revive.config import instantiate
from revive.tracking import MlflowTracker, NullTracker, Tracker, status_of
from revive.tracking.store import Store
from revive.tracking.worker import Worker


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MlflowTracker]:
    """One command with a good, a broken and an interrupted stage, recorded."""
    home = tmp_path_factory.mktemp("runs with space")
    picture = home / "picture.txt"
    picture.write_text("a picture")
    (home / "bundle").mkdir()
    (home / "bundle" / "model.json").write_text("{}")
    tracker = MlflowTracker(home, "demo")
    tracker.warm_up()
    tracker.start(
        "calm-otter", {"data": "abc"}, {"seed": 0, "venv": {"learner": {"lr": 0.1}}, "long": "x" * 9000}
    )
    with tracker.stage("venv") as stage:
        stage.params({"members": 7})
        for step in range(1200):
            stage.metrics({"loss": 1.0 / (step + 1), "odd=name": float("nan")}, step)
        stage.artifact(picture, "figures")
        stage.artifact(home / "bundle")
    with pytest.raises(ZeroDivisionError), tracker.stage("policy"):
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), tracker.stage("tuning"):
        raise KeyboardInterrupt
    tracker.finish("KILLED")
    return home, tracker


@pytest.fixture(scope="module")
def runs(finished: tuple[Path, MlflowTracker]) -> dict[str, Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished[0] / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo")
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])} | {
        "client": client
    }


def test_the_parent_holds_the_command(finished: tuple[Path, MlflowTracker], runs: dict[str, Any]) -> None:
    parent = runs["calm-otter"]
    assert finished[1].trouble is None
    assert parent.info.status == "KILLED"
    assert parent.data.tags["data"] == "abc"
    assert parent.data.params["venv.learner.lr"] == "0.1"
    assert parent.data.params["long"].endswith("x...")


def test_stages_are_children_and_end_as_they_ended(runs: dict[str, Any]) -> None:
    ends = {name: runs[name].info.status for name in ("venv", "policy", "tuning")}
    assert ends == {"venv": "FINISHED", "policy": "FAILED", "tuning": "KILLED"}
    parent = runs["calm-otter"].info.run_id
    assert all(runs[name].data.tags["mlflow.parentRunId"] == parent for name in ends)


def test_every_metric_arrives(runs: dict[str, Any]) -> None:
    history = runs["client"].get_metric_history(runs["venv"].info.run_id, "loss")
    assert sorted((point.step, point.value) for point in history)[:2] == [(0, 1.0), (1, 0.5)]
    assert len(history) == 1200
    assert "odd_name" in runs["venv"].data.metrics


def test_artifacts_lie_beside_the_runs(finished: tuple[Path, MlflowTracker], runs: dict[str, Any]) -> None:
    found = {path.name for path in (finished[0] / "mlartifacts").rglob("*.*")}
    assert {"picture.txt", "model.json"} <= found
    run_id = runs["venv"].info.run_id
    assert [file.path for file in runs["client"].list_artifacts(run_id, "figures")] == ["figures/picture.txt"]


def test_the_ui_command_names_the_database(tmp_path: Path) -> None:
    tracker = MlflowTracker(tmp_path, "demo")
    assert tracker.ui_command() == f"mlflow ui --backend-store-uri sqlite:///{tmp_path / 'mlflow.db'}"
    quoted = MlflowTracker(tmp_path / "a b", "demo").ui_command()
    assert quoted.endswith(f"'sqlite:///{tmp_path / 'a b' / 'mlflow.db'}'")


def test_trouble_is_one_line_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Store) -> None:
        raise OSError("no such\nserver")

    monkeypatch.setattr(Store, "connect", broken)
    tracker = MlflowTracker(tmp_path, "demo")
    tracker.start("calm-otter", {}, {"seed": 0})
    with caplog.at_level(logging.WARNING), tracker.stage("venv") as stage:
        stage.metrics({"loss": 1.0})
        tracker.finish()
    assert len(caplog.records) == 1
    assert "OSError: no such server" in caplog.text
    tracker.metrics({"late": 1.0})


def test_calls_return_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "connect", lambda self: time.sleep(0.5))
    tracker = MlflowTracker(tmp_path, "demo")
    begin = time.monotonic()
    tracker.warm_up()
    tracker.params({"a": 1})
    assert time.monotonic() - begin < 0.3
    tracker.finish()
    assert time.monotonic() - begin >= 0.5


def test_jobs_keep_their_order_and_survive_one_another() -> None:
    worker, done = Worker("test"), []

    def bad() -> None:
        raise ValueError("bad")

    jobs: list[Callable[[], object]] = [lambda: done.append(1), bad, lambda: done.append(2), bad]
    for job in jobs:
        worker.submit(job)
    worker.join()
    assert done == [1, 2]
    assert worker.trouble == "ValueError: bad (and 1 more)"


def test_status_of_an_error() -> None:
    assert [status_of(error) for error in (None, ValueError(), KeyboardInterrupt())] == [
        "FINISHED",
        "FAILED",
        "KILLED",
    ]


@pytest.mark.parametrize("section", ["MlflowTracker", "NullTracker"])
def test_the_config_makes_trackers(tmp_path: Path, section: str) -> None:
    made: Tracker = instantiate(
        {"_target_": f"revive.tracking.{section}"}, "tracking", log_dir=tmp_path, name="demo"
    )
    assert made.trouble is None


def test_the_null_tracker_takes_everything(tmp_path: Path) -> None:
    tracker: Tracker = NullTracker(tmp_path, "demo")
    tracker.warm_up()
    tracker.start("calm-otter", {}, {})
    with tracker.stage("venv") as stage:
        stage.metrics({"loss": 1.0}, 1)
        stage.artifact(tmp_path)
    tracker.finish()
    assert tracker.ui_command() is None
    assert not list(tmp_path.iterdir())
