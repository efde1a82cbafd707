"""`trial-plan` on the run folder of a tiny run, and a trial that is played on a made plant."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import revive
from revive.__main__ import main
from revive.outcome import DONE, WRONG
from revive.pipeline.shortlist import read_shortlist
from tests.acceptance.trust_logs import refrigerator
from tests.conftest import figures_not_rendered
from tests.pipeline.test_gate import run_on


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trial")
    with pytest.MonkeyPatch.context() as patch, figures_not_rendered():
        patch.setenv("REVIVE_EXPERIMENTS", str(folder / "experiments"))
        run_on(refrigerator(3), folder, "gate.override=true")
    file = folder / "run" / "candidates" / "list.json"
    content = json.loads(file.read_text())
    for number, entry in enumerate(content["candidates"]):  # a tiny run promises anything; here, something
        entry |= {"gain": 0.1 - 0.02 * number, "sure": 0.05 - 0.02 * number}
    file.write_text(json.dumps(content))
    return folder / "run"


def plan_of(run: Path, *more: str) -> dict[str, Any]:
    assert main(["trial-plan", "run=run", f"log_dir={run.parent}", *more]) == DONE
    return dict(json.loads((run / "trial_plan.json").read_text()))


def test_the_plan_says_what_to_try_and_how(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(run)
    text = capsys.readouterr().out
    assert "back    to the controller at once where 'temperature' leaves" in text
    assert "begin   with 'power' no further from what the controller would do than" in text
    assert len(plan["candidates"]) >= 2
    expected = [c["expected"] for c in plan["candidates"]]
    assert expected == sorted(expected, reverse=True)
    assert sum(c["rule"]["alpha"] for c in plan["candidates"]) == pytest.approx(0.05)
    with (run / "trial_plan.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (
        len(rows)
        == len(plan["schedule"])
        == 2 * sum(c["before"] + c["rule"]["most"] for c in plan["candidates"])
    )
    first = [row for row in rows if row["candidate"] == plan["candidates"][0]["name"]]
    assert [row["counts"] for row in first[:10]] == ["0"] * 8 + ["1"] * 2
    near = [float(row["power_at_most_from_controller"] or "nan") for row in first]
    own = plan["limits"]["moves"][0]["own"]
    assert 0.05 < own < 0.2  # the operator's own moves have a standard deviation of 0.1
    assert np.nanmin(near) == pytest.approx(2 * own, rel=1e-4)
    assert np.nanmax(near) == pytest.approx(6 * own, rel=1e-4)


def test_what_it_names_can_be_loaded(run: Path) -> None:
    for listed in read_shortlist(run):
        policy = revive.load_policy(run / "candidates" / listed.name)
        assert np.isfinite(policy.act({"temperature": np.zeros((1, 1))})["action"]).all()


@pytest.mark.parametrize(("gain", "said"), [(0.5, "better than the controller"), (-0.5, "worse|too small")])
def test_the_rewards_of_a_trial_are_judged(
    run: Path, tmp_path: Path, gain: float, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(run)
    with (run / "trial_plan.csv").open() as file:
        rows = list(csv.DictReader(file))
    random = np.random.default_rng(0)
    for row in rows:
        noise = plan["blocks"]["sd"] * random.normal() / np.sqrt(2)
        row["reward"] = f"{-1 + noise + (gain if row['plays'] != 'controller' else 0):.6f}"
    filled = tmp_path / "filled.csv"
    with filled.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    capsys.readouterr()
    assert main(["trial-plan", "run=run", f"log_dir={run.parent}", f"results={filled}"]) == DONE
    text = capsys.readouterr().out
    assert any(word in text for word in said.split("|"))
    found = json.loads((run / "trial_results.json").read_text())["candidates"]
    assert found[0]["state"] in (["better"] if gain > 0 else ["worse", "futile"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run=nun"], "did you mean 'run'|is not there"),
        ([], "takes one run, 0 are named"),
        (["run=run", "error=2"], "a number from"),
        (["run=run", "eror=0.1"], "did you mean 'error'"),
        (["run=run", "steps=10"], "needs at least"),
        (["run=run", "results=nowhere.csv"], "cannot be read"),
    ],
)
def test_bad_arguments_end_in_one_message(
    run: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "results=nowhere.csv" in arguments:
        plan_of(run)
    assert main(["trial-plan", f"log_dir={run.parent}", *arguments]) == WRONG
    text = capsys.readouterr().err
    assert any(word in text for word in said.split("|"))


def test_a_run_that_is_not_finished_is_no_basis(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = run / "state.json"
    kept = file.read_text()
    file.write_text(json.dumps({**json.loads(kept), "state": "interrupted"}))
    try:
        assert main(["trial-plan", "run=run", f"log_dir={run.parent}"]) == WRONG
        assert "this run is interrupted" in capsys.readouterr().err
    finally:
        file.write_text(kept)


def test_tuned_parameters_are_a_candidate_too(run: Path) -> None:
    file = run / "summary.json"
    kept = file.read_text()
    summary = json.loads(kept)
    summary["tuning"] = {
        "values": {"set": {"setpoint": -2.5}},
        "gain": {"mean": 0.3, "low": 0.2, "high": 0.4},
    }
    file.write_text(json.dumps(summary))
    try:
        first = plan_of(run)["candidates"][0]
        assert (first["name"], first["source"], first["bundle"]) == (
            "tuned",
            "setpoint = -2.5",
            "tuning.yaml",
        )
        assert first["expected"] == pytest.approx(0.2)
    finally:
        file.write_text(kept)


def test_where_the_gate_fails_copies_are_left_and_it_is_said_how_they_load(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run / "summary.json"
    kept = file.read_text()
    summary = json.loads(kept)
    summary["gate"] = {"status": "fail", "reasons": ["a hidden cause"], "overridden": False}
    file.write_text(json.dumps(summary))
    try:
        plan = plan_of(run)
        learned = {c.name for c in read_shortlist(run) if not c.clone}
        names = {c["name"] for c in plan["candidates"]}
        assert not learned & names
        assert all("clone" in name for name in names)
        assert "accept_failed_gate=True" in capsys.readouterr().out
    finally:
        file.write_text(kept)
