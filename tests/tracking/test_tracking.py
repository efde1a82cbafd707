"""What ends up in MLflow, and that nothing of it can stop a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from revive.config import instantiate
from revive.tracking import MlflowTracker, NullTracker, StageTracker, Status, Tracker, status_of

ENDS: tuple[Status | None, ...] = ("FINISHED", "KILLED", "FAILED", None)


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
    params = {"seed": 0, "venv": {"learner": {"lr": 0.1}}, "long": "x" * 9000}
    tracker.start(home / "calm-otter", {"data": "abc"}, params)
    with tracker.stage("venv") as stage:
        stage.params({"members": 7})
        for step in range(1200):
            stage.metrics({"loss": 1.0 / (step + 1), "odd=name": float("nan")}, step)
        stage.artifact(picture, "figures")
        stage.artifact(home / "bundle")
    with pytest.raises(ZeroDivisionError), tracker.stage("policy") as stage:
        _search_that_breaks(stage)
    with pytest.raises(KeyboardInterrupt), tracker.stage("tuning"):
        raise KeyboardInterrupt
    tracker.finish("KILLED")
    return home, tracker


def _search_that_breaks(stage: StageTracker) -> None:
    for number, status in enumerate(ENDS):
        trial = stage.trial(f"trial_{number}")
        trial.open({"learner.lr": 10.0**-number}, {"trial": number}, {})
        for percent in (50, 100):
            trial.metrics({"score": number + percent / 1000}, percent)
        if status:
            stage.trial(f"trial_{number}").close(status)
    raise ZeroDivisionError


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


def test_a_server_is_shown_by_its_address(tmp_path: Path) -> None:
    assert MlflowTracker(tmp_path, "demo", uri="http://there:5000").ui_command() == "http://there:5000"


def test_trials_end_one_by_one_and_with_their_stage_at_the_latest(runs: dict[str, Any]) -> None:
    trials = [runs[f"trial_{number}"] for number in range(4)]
    assert [trial.info.status for trial in trials] == ["FINISHED", "KILLED", "FAILED", "KILLED"]
    stage = runs["policy"].info.run_id
    assert all(trial.data.tags["mlflow.parentRunId"] == stage for trial in trials)
    # What parallel coordinates need: the same parameters and the same metric in all of them.
    assert [set(trial.data.params) for trial in trials] == [{"learner.lr"}] * 4
    assert [trial.data.metrics for trial in trials] == [{"score": n + 0.1} for n in range(4)]
    history = runs["client"].get_metric_history(trials[1].info.run_id, "score")
    assert [(point.step, point.value) for point in history] == [(50, 1.05), (100, 1.1)]


def test_mlflow_stays_out_of_the_process_of_the_run(tmp_path: Path) -> None:
    code = (
        "import os, sys, logging, warnings; from pathlib import Path\n"
        "from revive.tracking import MlflowTracker\n"
        "before = dict(os.environ), list(warnings.filters), list(sys.meta_path), set(logging.root.manager.loggerDict)\n"
        "t = MlflowTracker(Path('runs').absolute(), 'demo'); t.warm_up(); t.start(Path('runs/r'), {}, {}); t.finish()\n"
        "assert t.trouble is None, t.trouble\n"
        "assert 'mlflow' not in sys.modules\n"
        "assert before == (dict(os.environ), list(warnings.filters), list(sys.meta_path),"
        " set(logging.root.manager.loggerDict))\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
        capture_output=True,
        text=True,
    )
    said = [
        line for line in done.stderr.splitlines() if not line.startswith("MLflow is slow")
    ]  # a busy machine
    assert (done.returncode, done.stdout, said) == (0, "", [])
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def test_a_wrong_uri_is_trouble_and_no_more(tmp_path: Path) -> None:
    tracker = MlflowTracker(tmp_path, "demo", uri="htp://nowhere", patience=30)
    begin = time.monotonic()
    tracker.start(tmp_path / "calm-otter", {}, {"seed": 0})
    with tracker.stage("venv") as stage:
        stage.metrics({"loss": 1.0})
    assert time.monotonic() - begin < 5  # nothing of it waits
    tracker.finish()
    assert tracker.trouble
    assert "\n" not in tracker.trouble
    assert "htp://nowhere" in tracker.trouble
    assert len((tmp_path / "calm-otter" / "unsent.jsonl").read_text().splitlines()) == 5
    tracker.metrics({"late": 1.0})


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
    tracker.start(tmp_path / "calm-otter", {}, {})
    with tracker.stage("venv") as stage:
        stage.metrics({"loss": 1.0}, 1)
        stage.artifact(tmp_path)
        stage.trial("trial_000").open({}, {}, {})
        stage.trial("trial_000").close("FINISHED")
    tracker.finish()
    assert tracker.ui_command() is None
    assert not list(tmp_path.iterdir())
