"""`promote`: the models of a run in MLflow's registry."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from revive.__main__ import main
from revive.outcome import DONE, WRONG
from tests.pipeline.made_run import BAD, made_run, record
from tests.tracking.in_process import copy_database


@pytest.fixture
def log_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded_here: None) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.fixture
def database(log_dir: Path, new_database: Path) -> Path:
    return copy_database(new_database, log_dir)


def client_of(log_dir: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{log_dir / 'mlflow.db'}")


def test_the_alias_moves_and_what_it_pointed_to_is_said(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(made_run(database / "calm-lynx"))
    record(made_run(database / "swift-hare", seed=1))
    assert main(["promote", "run=calm-lynx"]) == DONE
    told = capsys.readouterr().out
    assert "demo-policy  version 1 is champion\n" in told
    assert "mlflow models serve -m models:/demo-policy@champion" in told
    assert main(["promote", "swift-hare"]) == DONE
    assert "version 2 is champion; before it was version 1, of run calm-lynx" in capsys.readouterr().out
    assert main(["promote", "swift-hare", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["models"][0]["version"] == "2"  # there is no third one of the same model
    assert main(["promote", str(database / "calm-lynx"), "alias=fallback"]) == DONE

    client = client_of(database)
    assert client.get_registered_model("demo-venv").aliases == {"champion": 2, "fallback": 1} or {
        key: str(value) for key, value in client.get_registered_model("demo-venv").aliases.items()
    } == {"champion": "2", "fallback": "1"}
    version = client.get_model_version_by_alias("demo-policy", "champion")
    assert version.tags["gate"] == "pass"
    assert "Run swift-hare" in version.description
    run = client.get_run(version.run_id)
    assert run.info.run_name == "swift-hare"
    assert run.data.tags["promoted"] == "demo-policy 2 (champion), demo-venv 2 (champion)"
    assert len(run.outputs.model_outputs) == 2


def test_what_failed_its_gate_is_not_promoted_unless_that_was_accepted(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(made_run(database / "bad", BAD))
    assert main(["promote", "bad"]) == WRONG
    told = capsys.readouterr().err
    assert "is not promoted, because its gate fails: The venv is not the plant." in told
    assert "gate.override=true with run_id=bad" in told
    made_run(database / "bad", {**BAD, "overridden": True})
    assert main(["promote", "bad"]) == DONE
    version = client_of(database).get_model_version_by_alias("demo-policy", "champion")
    assert "accepted by hand" in version.description


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        ([], ["'promote' takes one run, 0 are named"]),
        (["one", "two"], ["'promote' takes one run, 2 are named"]),
        (["run=calm-lyn"], ["there is no run", "did you mean 'calm-lynx'?"]),
        (["calm-lynx", "alias=v2"], ["'v2' is no alias"]),
        (["calm-lynx", "alias=Latest"], ["'Latest' is no alias"]),
        (["calm-lynx", "alais=champion"], ["did you mean 'alias'?"]),
        (["calm-lynx"], ["no records of these runs are here", "run_id=NAME"]),
    ],
)
def test_what_is_wrong_is_one_message(
    log_dir: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], hints: list[str]
) -> None:
    made_run(log_dir / "calm-lynx")
    assert main(["promote", *arguments]) == WRONG
    told = capsys.readouterr().err
    assert all(hint in told for hint in hints), told
    assert "Traceback" not in told


def test_a_run_without_records_says_how_it_gets_them(
    log_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = {"_target_": "revive.tracking.NullTracker"}
    made_run(log_dir / "quiet", tracking=nowhere)
    assert main(["promote", "quiet"]) == WRONG
    assert "tracking=none" in capsys.readouterr().err


def test_a_registry_that_is_away_is_one_message(log_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
        made_run(log_dir / "calm-lynx", uri=uri)
        assert main(["promote", "calm-lynx"]) == WRONG
    told = capsys.readouterr().err
    assert f"{uri}: the registry cannot be reached: " in told
    assert len(told.splitlines()) == 2


def test_a_bundle_that_was_changed_is_not_promoted(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record(made_run(database / "calm-lynx"))
    file = run / "policy" / "policy.json"
    file.write_text(file.read_text().replace("silu", "relu"))
    assert main(["promote", "calm-lynx"]) == WRONG
    assert "policy.json" in capsys.readouterr().err
