"""What scripts read: `check` and `new` with --json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from revive.__main__ import main
from tests.pipeline.conftest import Write, tank_logs


def test_check_as_json(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank()
    assert main(["check", "experiment=tank", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["trajectories"]) == (240, 3)
    assert Path(told["report"]).is_file()


def test_check_as_json_of_what_stops_a_run(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    logs = tank_logs()
    logs["valve"][17] = 9.0
    tank(logs)
    assert main(["check", "--json", "experiment=tank"]) == 2
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert any(finding["severity"] == "error" for finding in told["findings"])
    assert "row 17" in captured.err


def test_check_of_bare_files_as_json(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    home = tank()
    files = [f"dataset.path={home / 'logs.npz'}", f"dataset.description={home / 'description.yaml'}"]
    arguments = [text.replace(" ", "\\ ") for text in files]
    assert main(["check", *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 240


def test_new_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    level, valve = rng.normal(size=(200, 1)).cumsum(0), rng.uniform(size=(200, 1))
    rows = "\n".join(f"{x:.4f},{u:.4f}" for x, u in zip(level[:, 0], valve[:, 0], strict=True))
    Path("logs.csv").write_text(f"level,valve\n{rows}\n")
    assert main(["new", "cooling", "--data", "logs.csv", "--action", "valve", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == "cooling"
    assert Path(told["folder"], "description.yaml").is_file()
    assert told["next"].endswith("check experiment=cooling")
    assert told["said"]
