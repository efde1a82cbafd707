"""Several runs of one command are compared in a table."""

from __future__ import annotations

import json
from pathlib import Path

from revive.report.sweep import Sweep


def run(folder: Path, predicted: float, *codes: str) -> Path:
    folder.mkdir()
    verdicts = [{"code": code, "severity": "distrust"} for code in codes]
    policy = {"logged": -2.0, "predicted": {"mean": predicted}}
    (folder / "summary.json").write_text(json.dumps({"policy": policy, "verdicts": verdicts}))
    return folder


def test_runs_stand_beside_each_other_with_their_mean_and_spread(tmp_path: Path) -> None:
    sweep = Sweep()
    for seed, predicted in enumerate((-1.0, -2.0, -3.0)):
        codes = ["gain"] if seed else []
        settings = {"seed": seed, "run_id": str(seed), "policy": {"lr": 0.1}}
        sweep.add(settings, run(tmp_path / f"run-{seed}", predicted, *codes))
    sweep.add({"seed": 3, "run_id": "3", "policy": {"lr": 0.1}}, tmp_path / "run-3")
    lines = [line.split() for line in sweep.lines()]
    assert lines[2] == ["run", "seed", "logs", "predicted", "distrusted"]
    assert lines[3] == ["run-0", "0", "-2", "-1", "no"]
    assert lines[4] == ["run-1", "1", "-2", "-2", "gain"]
    assert lines[6] == ["run-3", "3", "-", "-", "not", "finished"]
    assert lines[7] == ["mean", "-2", "-2"]
    assert lines[8] == ["spread", "(sd)", "0", "1"]


def test_one_run_needs_no_table(tmp_path: Path) -> None:
    sweep = Sweep()
    assert sweep.lines() == []
    sweep.add({"seed": 0}, run(tmp_path / "run", 1.0))
    assert sweep.lines() == []
