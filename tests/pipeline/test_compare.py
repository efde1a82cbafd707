"""`compare`: runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from revive.__main__ import main
from revive.outcome import DONE, WRONG
from tests.pipeline.made_run import BAD, made_run


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made_run(tmp_path / "runs" / "calm-lynx", venv={"learner": {"lr": 0.1}})
    made_run(tmp_path / "runs" / "swift-hare", BAD, seed=1, venv={"learner": {"lr": 0.2}})
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def test_a_table_tells_settings_that_differ_verdicts_and_figures(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "calm-lynx", "swift-hare"]) == DONE
    rows = {
        line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.strip()
    }
    assert rows["calm-lynx"] == ["swift-hare"]
    assert rows["venv.learner.lr"] == ["0.1", "0.2"]
    assert rows["seed"] == ["0", "1"]
    assert rows["gate"] == ["pass", "fail"]
    assert rows["verdicts"] == ["none", "imitation"]
    assert rows["taken"] == ["first_order", "first_order"]
    assert rows["policy.predicted"] == ["-0.2", "-1.2"]
    assert rows["policy.truth"] == ["-0.21", "-0.21"]
    assert rows["venv.relative.10"] == ["0.25", "0.25"]
    assert "run_id" not in rows
    assert "dataset.path" not in rows


def test_figures_stand_first_and_settings_that_come_with_a_learner_are_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {
        "_target_": "revive.policy.learners.auto.Auto",
        "learners": {"ppo": {"_target_": "a.b.PPO", "clip": 0.2}},
    }
    other = {"_target_": "revive.policy.learners.first_order.FirstOrder", "lr": 0.1, "noise": 0.2}
    made_run(
        tmp_path / "runs" / "calm-lynx", policy={"learner": one, "space": {"learner": {"lr": "uniform"}}}
    )
    made_run(tmp_path / "runs" / "swift-hare", policy={"learner": other, "budget": 7})
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "calm-lynx", "swift-hare"]) == DONE
    told = capsys.readouterr().out
    firsts = [line.split()[0] for line in told.splitlines() if line.strip()]
    assert firsts.index("policy.predicted") < firsts.index("settings") < firsts.index("policy.learner")
    assert ["policy.learner", "auto", "first_order"] in [line.split() for line in told.splitlines()]
    assert "policy.budget" in firsts
    assert not any(name.startswith(("policy.learner.", "policy.space")) for name in firsts)
    assert "... and 5 more: --json" in told
    assert main(["compare", "calm-lynx", "swift-hare", "--json"]) == DONE
    first, _ = json.loads(capsys.readouterr().out)
    assert "policy.learner.learners.ppo.clip" in first["settings"]


def test_json_holds_the_figures_in_full(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(runs / "calm-lynx"), "run=swift-hare", "--json"]) == DONE
    first, second = json.loads(capsys.readouterr().out)
    assert first["settings"] == {"seed": 0, "venv.learner.lr": 0.1}
    assert second["verdicts"] == ["imitation"]
    assert first["figures"]["policy.gain"] == pytest.approx(0.3)
    assert first["figures"]["venv.error.level"] == 0.2


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        (["calm-lynx"], ["'compare' takes 2 runs or more, 1 are named"]),
        (["calm-lynx", "swift-har"], ["there is no run", "did you mean 'swift-hare'?"]),
        (
            ["calm-lynx", "swift-hare", "--jsn"],
            ["'--jsn' is no argument of compare", "did you mean '--json'?"],
        ),
        (["calm-lynx", "swift-hare", "logdir=x"], ["did you mean 'log_dir'?"]),
    ],
)
def test_what_is_wrong_is_one_message(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], hints: list[str]
) -> None:
    assert main(["compare", *arguments]) == WRONG
    told = capsys.readouterr().err
    assert all(hint in told for hint in hints), told
    assert "Traceback" not in told


def test_a_damaged_or_unfinished_run_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "calm-lynx" / "summary.json").write_text('{"experiment": "demo"}')
    (runs / "swift-hare" / "state.json").write_text('{"state": "running"}')
    assert main(["compare", "calm-lynx", "swift-hare"]) == WRONG
    assert "is damaged, or of another version" in capsys.readouterr().err
    assert main(["compare", "swift-hare", "calm-lynx"]) == WRONG
    assert "this run is running" in capsys.readouterr().err
