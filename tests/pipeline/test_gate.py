"""What a run does with causes that nobody logged: gate, exit code, bundles; with tiny limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import revive
from revive.__main__ import main
from revive.errors import UserError
from revive.outcome import DISTRUSTED, DONE
from revive.pipeline.gate import failed, gate_of
from revive.policy.verdicts import Verdict, about_cards
from revive.trust.card import Cards
from tests.acceptance.trust_logs import Logs, refrigerator
from tests.conftest import figures_not_rendered
from tests.policy.test_tipping import card, cards

REWARD = "def get_reward(data):\n    return -abs(data['next_temperature'] + 2.0)\n"


def run_on(logs: Logs, folder: Path, *more: str) -> int:
    np.savez(folder / "logs.npz", **logs.arrays)  # type: ignore[arg-type]
    (folder / "description.yaml").write_text(yaml.safe_dump(logs.description))
    (folder / "reward.py").write_text(REWARD)
    home = folder / "experiments" / "cold"
    home.mkdir(parents=True, exist_ok=True)
    files = {name: str(folder / f"logs{end}") for name, end in (("path", ".npz"),)}
    text = {"dataset": {**files, "description": str(folder / "description.yaml")}}
    (home / "experiment.yaml").write_text(
        "# @package _global_\n" + yaml.safe_dump({**text, "reward": str(folder / "reward.py")})
    )
    arguments = ["experiment=cold", "debug=fast", "tracking=none", f"log_dir={folder}", "run_id=run"]
    return main([*arguments, "gate.override=false", *more])


def summary_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run" / "summary.json").read_text()))


def test_a_hidden_driver_fails_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REVIVE_EXPERIMENTS", str(tmp_path / "experiments"))
    logs = refrigerator(100, door_logged=False, door_moves=1.0)
    assert run_on(logs, tmp_path) == DISTRUSTED
    told = capsys.readouterr()
    assert "causes  power -> temperature  D" in told.out
    assert "gate       FAIL" in told.out
    assert "the gate fails: Something that is not logged" in told.err
    summary = summary_of(tmp_path)
    assert summary["gate"]["status"] == "fail"
    assert summary["causal"]["cards"][0]["alarm"]
    assert "not logged" in summary["policy"]["chosen"]["fallback"]
    with pytest.raises(UserError, match="accept_failed_gate=True"):
        revive.load_policy(tmp_path / "run" / "policy")
    with pytest.raises(UserError, match="accept_failed_gate=True"):
        revive.load_venv(tmp_path / "run" / "venv")
    revive.load_policy(tmp_path / "run" / "policy", accept_failed_gate=True)
    candidates = sorted((tmp_path / "run" / "candidates").glob("*/"))
    assert candidates
    for candidate in candidates:  # what trial-plan names is held back as well
        with pytest.raises(UserError, match="accept_failed_gate=True"):
            revive.load_policy(candidate)
    # the same command again, accepted
    with figures_not_rendered():
        assert run_on(logs, tmp_path, "gate.override=true") == DONE
    assert summary_of(tmp_path)["gate"]["overridden"]
    revive.load_policy(tmp_path / "run" / "policy")
    revive.load_policy(candidates[0])


def test_the_gate_is_the_worst_verdict() -> None:
    bad, care = Verdict("imitation", "Bad.", "", "distrust"), Verdict("moves", "Careful.", "", "caution")
    uncertain = Verdict("gain", "Not certain.", "", "distrust")
    assert gate_of([], False).status == "pass"
    assert gate_of([care, uncertain], False).status == "warn"
    failing = gate_of([care, bad], False)
    assert (failing.status, failing.reasons, failing.overridden) == ("fail", ["Bad."], False)
    assert gate_of([bad], True).overridden
    assert not gate_of([care], True).overridden


def test_grades_become_verdicts() -> None:
    from revive.trust.card import Remark

    hidden = Remark("hidden-driver", "Something moves both.", "Log it.")
    alarm = card(grade="D", remarks=(hidden,))
    assert [v.severity for v in about_cards(cards(alarm), ("u",))] == ["distrust"]
    assert [
        v.severity for v in about_cards(cards(card(grade="D", remarks=(hidden,), declared="decreasing")), "u")
    ] == ["caution"]
    assert [v.severity for v in about_cards(cards(alarm), ("another",))] == ["caution"]
    unknown = about_cards(cards(card(grade="C", reasons=("it is not known",))), "u")
    assert [(v.code, v.severity) for v in unknown] == [("unknown-effect", "caution")]
    few = Cards((), 50, 0, 0.01, 200, ("next_x: 50 complete rows are too few, 200 are needed",))
    assert [v.code for v in about_cards(few, ("u",))] == ["no-card"]
    assert about_cards(cards(card()), ("u",)) == about_cards(None, ("u",)) == []


def test_of_many_reasons_the_first_are_said(tmp_path: Path) -> None:
    doubts = [Verdict("sign", f"Doubt {number}.", "Log more.", "distrust") for number in range(300)]
    problem = failed(tmp_path, gate_of(doubts, override=False))
    assert problem is not None
    assert problem.what == (
        "the gate fails: Doubt 0. Doubt 1. Doubt 2. Doubt 3. Doubt 4. And 95 more reasons, in summary.json."
    )
