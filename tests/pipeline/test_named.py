"""What stands for a bundle on the command line: a folder, a run, a registered model; and what is wrong with it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from revive.__main__ import main
from revive.bundles import Gate, set_gate
from revive.outcome import DONE, WRONG
from revive.serving.service import Service
from tests.pipeline.made_run import made_run, record
from tests.tracking.in_process import copy_database


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded_here: None) -> Path:
    monkeypatch.chdir(tmp_path)
    made_run(tmp_path / "runs" / "calm-lynx")
    return tmp_path / "runs"


@pytest.fixture
def registry(runs: Path, new_database: Path) -> Path:
    """calm-lynx is champion, and version 1."""
    copy_database(new_database, runs)
    record(runs / "calm-lynx")
    assert main(["promote", "calm-lynx"]) == DONE
    return runs


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Service]:
    """The services that `serve` would have run."""
    found: list[Service] = []
    monkeypatch.setattr("revive.pipeline.serve.listening", lambda service, host, port: found.append(service))
    return found


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


@pytest.mark.parametrize(
    "words", [["calm-lynx"], ["run=calm-lynx"], ["runs/calm-lynx"], ["runs/calm-lynx/policy"]]
)
def test_a_run_stands_for_its_policy(runs: Path, served: list[Service], words: list[str]) -> None:
    assert main(["serve", *words, "--port", "0"]) == DONE
    assert served[0].health()["run_id"] == "calm-lynx"


def test_the_champion_is_served(registry: Path, served: list[Service]) -> None:
    for name in ("models:/demo-policy@champion", "models:/demo-policy/1", "run=models:/demo-policy/1"):
        assert main(["serve", name]) == DONE
    assert {service.health()["bundle"] for service in served} == {"models:/demo-policy/1"}
    assert served[0].act({"inputs": {"level": 5.0, "flow": 5.0}})["action"]


def test_other_verbs_take_the_same_names(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_run(registry / "swift-hare", seed=1)
    assert (
        main(["export", "models:/demo-policy@champion", "--to", "c99", "--out", str(tmp_path / "c")]) == DONE
    )
    assert (tmp_path / "c" / "policy.h").is_file()
    assert main(["export", "calm-lynx", "--to", "c99", "--out", str(tmp_path / "d")]) == DONE
    capsys.readouterr()
    assert main(["show", "models:/demo-venv@champion"]) == DONE
    assert capsys.readouterr().out.startswith("venv bundle  models:/demo-venv/1\n")
    assert main(["show", "run=calm-lynx", "--json"]) == DONE
    assert [one["kind"] for one in json.loads(capsys.readouterr().out)] == ["venv", "policy"]
    assert main(["compare", "models:/demo-policy@champion", "swift-hare", "--json"]) == DONE
    assert [run["run"] for run in json.loads(capsys.readouterr().out)] == ["calm-lynx", "swift-hare"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "models:/demo-polcy@champion",
            "no registered model 'demo-polcy'\n    -> did you mean 'demo-policy'",
        ),
        ("models:/demo-policy@champoin", "has no alias 'champoin'\n    -> did you mean 'champion'"),
        ("models:/demo-policy/7", "the model 'demo-policy' has no version 7\n    -> there are: 1"),
        ("models:/demo-policy", "names no version of a registered model"),
        ("models:/demo-venv@champion", "models:/demo-venv/1: no policy bundle is here"),
        ("calm-lnyx", "there is no bundle and no run 'calm-lnyx'\n    -> did you mean 'calm-lynx'"),
        ("run=", "'run=' is empty"),
    ],
)
def test_a_name_of_nothing_is_one_message(
    registry: Path, served: list[Service], capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    capsys.readouterr()
    assert main(["serve", name]) == WRONG
    assert said in capsys.readouterr().err
    assert served == []


def test_a_registry_that_is_away(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("serve", "show", "export"):
        assert main([verb, "models:/demo-policy@champion"]) == WRONG
        assert "no model registry is here\n    -> name it: log_dir=DIR" in capsys.readouterr().err
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert main(["serve", "models:/demo-policy@champion", f"tracking.uri={uri}"]) == WRONG
    assert f"{uri}: the registry cannot be reached" in capsys.readouterr().err


def test_a_gate_that_failed(
    registry: Path, served: list[Service], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from revive.bundles import Bundle

    def fail(bundle: Any, accept_failed: bool) -> None:
        object.__setattr__(bundle.manifest, "gate", Gate(status="fail", reasons=["too good"]))
        kept(bundle, accept_failed)

    kept = Bundle.require_gate
    set_gate("policy", registry / "calm-lynx" / "policy", Gate(status="fail", reasons=["too good"]))
    assert main(["serve", "calm-lynx"]) == WRONG
    assert "did not pass its gate: too good" in capsys.readouterr().err
    assert main(["serve", "calm-lynx", "--accept-failed-gate"]) == DONE
    monkeypatch.setattr(Bundle, "require_gate", fail)
    assert main(["serve", "models:/demo-policy@champion"]) == WRONG
    assert "models:/demo-policy/1: did not pass its gate: too good" in capsys.readouterr().err


def test_a_port_in_use(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with taken_port() as port:
        assert main(["serve", "calm-lynx", "--port", str(port)]) == WRONG
    assert f"port {port} of 127.0.0.1 is in use by another program" in capsys.readouterr().err
