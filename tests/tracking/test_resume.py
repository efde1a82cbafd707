"""What a second command on one run folder does to the records of the first, in real databases."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from revive.tracking import MlflowTracker
from revive.tracking.store import Store
from tests.tracking.in_process import InProcess, copy_database


@pytest.fixture
def home(new_database: Path, tmp_path: Path) -> Path:
    return copy_database(new_database, tmp_path)


def command(home: Path, patience: float = 30, uri: str | None = None, **params: Any) -> MlflowTracker:
    tracker = MlflowTracker(home, "demo", uri, patience=patience)
    tracker._sender._worker = InProcess(Store(home, uri, "demo"))
    tracker.start(home / "r", {"seed": 0}, params)
    return tracker


def killed(tracker: MlflowTracker) -> None:
    """As kill -9 leaves it: nothing more is sent, what was not sent is in the outbox."""
    with tracker._sender._change:
        tracker._sender._closed = tracker._sender._given_up = True
        tracker._sender._change.notify()
    assert tracker._sender._thread
    tracker._sender._thread.join(30)


def idle(tracker: MlflowTracker) -> None:
    """Wait until all is sent."""
    until = time.monotonic() + 120
    while tracker._sender._queue and time.monotonic() < until:
        time.sleep(0.02)
    assert not tracker._sender._queue


def rows(home: Path, what: str = "name, status") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        return database.execute(f"select {what} from runs order by start_time, rowid").fetchall()


def tags(home: Path, name: str) -> dict[str, str]:
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        found = "select t.key, t.value from tags t join runs r on r.run_uuid = t.run_uuid where r.name = ?"
        return dict(database.execute(found, (name,)).fetchall())


def history(home: Path, name: str) -> list[tuple[int, float]]:
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        found = (
            "select m.step, m.value from metrics m join runs r on r.run_uuid = m.run_uuid where r.name = ?"
            " order by m.step"
        )
        return database.execute(found, (name,)).fetchall()


@pytest.fixture
def interrupted(home: Path) -> Path:
    """A command that was killed with one trial done and one under way, both of which it had recorded."""
    tracker = command(home, venv={"mode": "tune"}, policy={"mode": "none"})
    stage = tracker.stage("venv")
    records = stage.__enter__()
    for name, far in (("trial_000", 100), ("trial_001", 50)):
        trial = records.trial(name)
        trial.open({"lr": 0.1}, {"trial": name}, {})
        trial.metrics({"score": 1.0}, 50)
        if far == 100:
            trial.close("FINISHED")
    idle(tracker)
    killed(tracker)
    return home


def test_a_killed_run_goes_on_in_the_same_records(interrupted: Path) -> None:
    before = rows(interrupted, "run_uuid, name")
    assert dict(rows(interrupted)) == {
        "r": "RUNNING",
        "venv": "RUNNING",
        "trial_000": "FINISHED",
        "trial_001": "RUNNING",
    }
    ended = rows(interrupted, "name, end_time")[2]
    tracker = command(interrupted, venv={"mode": "tune"}, policy={"mode": "once"})
    with tracker.stage("venv") as records:
        records.trial("trial_000").keep("FINISHED", {"lr": 0.1}, {}, {"score": [(50, 1.0)]})
        trial = records.trial("trial_001")
        trial.open({"lr": 0.1}, {"trial": "trial_001"}, {"score": [(50, 1.0)]})
        idle(tracker)
        assert dict(rows(interrupted))["trial_001"] == "RUNNING"
        trial.metrics({"score": 2.0}, 100)
        trial.close("FINISHED")
    tracker.finish()
    assert tracker.trouble is None
    assert rows(interrupted, "run_uuid, name") == before
    assert {status for _, status in rows(interrupted)} == {"FINISHED"}
    assert rows(interrupted, "name, end_time")[2] == ended
    assert history(interrupted, "trial_000") == [(50, 1.0)]
    assert history(interrupted, "trial_001") == [(50, 1.0), (100, 2.0)]
    # MLflow takes a parameter once: the new value is a tag.
    assert tags(interrupted, "r")["changed.policy.mode"] == "once"
    assert not (interrupted / "r" / "unsent.jsonl").exists()


def test_steps_that_are_trained_again_are_recorded_once(home: Path) -> None:
    first = command(home)
    records = first.stage("venv").__enter__()
    for step in range(6):
        records.metrics({"loss": step / 3}, step)
    idle(first)
    killed(first)
    second = command(home)
    with second.stage("venv") as records:
        for step in range(4, 9):  # from a checkpoint
            records.metrics({"loss": step / 3}, step)
        records.metrics({"kept": 1.0})
    second.finish()
    assert history(home, "venv") == [(0, 0.0), (0, 1.0), *((step, step / 3) for step in range(1, 9))]


def test_a_trial_whose_end_was_lost_is_recorded_whole(interrupted: Path) -> None:
    tracker = command(interrupted)
    with tracker.stage("venv") as records:
        for name in ("trial_001", "trial_002"):
            curves = {"score": [(50, 1.0), (100, 3.0)]}
            records.trial(name).keep("KILLED", {"lr": 0.1}, {"why": "pruned"}, curves)
    tracker.finish()
    assert tracker.trouble is None
    found = dict(rows(interrupted))
    assert (len(rows(interrupted)), found["trial_001"], found["trial_002"]) == (5, "KILLED", "KILLED")
    for name in ("trial_001", "trial_002"):
        assert history(interrupted, name) == [(50, 1.0), (100, 3.0)]
        assert tags(interrupted, name)["why"] == "pruned"


def test_a_run_whose_id_was_never_noted_is_found_again(interrupted: Path) -> None:
    file = interrupted / "r" / "mlflow.json"
    noted = json.loads(file.read_text())
    file.write_text(json.dumps({**noted, "runs": {}}))
    tracker = command(interrupted)
    with tracker.stage("venv"):
        pass
    tracker.finish()
    assert len(rows(interrupted)) == 4
    assert json.loads(file.read_text())["runs"].items() <= noted["runs"].items()


@pytest.mark.parametrize("how", ["database gone", "runs deleted", "another database"])
def test_records_that_are_gone_are_made_anew(interrupted: Path, new_database: Path, how: str) -> None:
    uri, where = None, interrupted
    if how == "database gone":
        shutil.copy(new_database, interrupted / "mlflow.db")
    elif how == "another database":
        where = interrupted / "elsewhere"
        where.mkdir()
        uri = f"sqlite:///{where / 'mlflow.db'}"
        shutil.copy(new_database, where / "mlflow.db")
    else:
        with closing(sqlite3.connect(interrupted / "mlflow.db")) as database:
            database.execute("update runs set lifecycle_stage = 'deleted'")
            database.commit()
    tracker = command(interrupted, uri=uri)
    with tracker.stage("venv"):
        pass
    tracker.finish()
    assert tracker.trouble is None
    assert rows(where)[-2:] == [("r", "FINISHED"), ("venv", "FINISHED")]


def test_a_locked_database_holds_up_nothing_and_loses_nothing(home: Path) -> None:
    tracker = command(home)
    idle(tracker)
    with closing(sqlite3.connect(home / "mlflow.db", isolation_level=None, check_same_thread=False)) as lock:
        lock.execute("begin exclusive")
        timer = threading.Timer(3, lambda: lock.execute("rollback"))
        timer.start()
        begin = time.monotonic()
        with tracker.stage("venv") as records:
            for step in range(50):
                records.metrics({"loss": float(step)}, step)
        assert time.monotonic() - begin < 1
        tracker.finish()
        timer.join()
    assert tracker.trouble is None
    assert history(home, "venv") == [(step, float(step)) for step in range(50)]
    assert dict(rows(home)) == {"r": "FINISHED", "venv": "FINISHED"}


def test_a_database_that_stays_locked_is_kept_for_the_next_command(home: Path) -> None:
    first = MlflowTracker(home, "demo", patience=1)  # with its process, which hangs in the database
    first.start(home / "r", {}, {})
    idle(first)
    with closing(sqlite3.connect(home / "mlflow.db", isolation_level=None)) as lock:
        lock.execute("begin exclusive")
        with first.stage("venv") as records:
            records.metrics({"loss": 1.0}, 7)
        begin = time.monotonic()
        first.finish()
        assert time.monotonic() - begin < 10
        lock.execute("rollback")
    assert first.trouble
    assert str(home / "r" / "unsent.jsonl") in first.trouble
    second = command(home)
    second.finish()
    assert second.trouble is None
    assert history(home, "venv") == [(7, 1.0)]
    assert dict(rows(home)) == {"r": "FINISHED", "venv": "FINISHED"}
