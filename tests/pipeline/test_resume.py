"""The same run_id again: kept, gone on with, refused, or learned afresh."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from revive.__main__ import main
from tests.conftest import figures_not_rendered

from .conftest import REWARD, Write, contents, tank_logs, write_tank

pytestmark = pytest.mark.usefixtures("unrendered")


def _run(*overrides: str) -> int:
    usual = [
        "experiment=tank",
        "policy=first_order",
        "debug=fast",
        "tracking=none",
        "log_dir=runs",
        "run_id=r",
    ]
    return main([*usual, *overrides])


def _weights(stage: str, folder: Path = Path("runs/r")) -> bytes:
    return (folder / stage / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the experiment, to be copied."""
    home = tmp_path_factory.mktemp("once")
    write_tank(home / "tank")
    with pytest.MonkeyPatch.context() as patch, figures_not_rendered():
        patch.chdir(home)
        patch.setenv("REVIVE_EXPERIMENTS", str(home))
        assert _run() == 0
    return home / "runs"


@pytest.fixture
def finished(once: Path, tank: Write) -> Write:
    """The experiment, and a finished run of it in runs/r."""
    tank()
    shutil.copytree(once, "runs")
    return tank


def test_an_equal_command_keeps_everything(finished: Write, capsys: pytest.CaptureFixture[str]) -> None:
    before = {stage: _weights(stage) for stage in ("venv", "policy")}
    stamp = (Path("runs/r/venv/model.safetensors")).stat().st_mtime_ns
    assert _run("trainer.threads=2", "ray.enabled=false") == 0
    assert {stage: _weights(stage) for stage in before} == before
    assert (Path("runs/r/venv/model.safetensors")).stat().st_mtime_ns == stamp
    told = capsys.readouterr().out
    assert "venv: done before" in told
    assert "policy: done before" in told


def test_a_change_is_refused_with_its_keys_and_nothing_is_touched(
    finished: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(Path("runs"))
    assert _run("policy.learner.lr=1e-4", "venv.learner.lr=2e-3", "seed=0") == 2
    told = capsys.readouterr().err
    assert "venv.learner.lr: 0.003 -> 0.002  (venv)" in told
    assert "policy.learner.lr: 0.003 -> 0.0001  (policy)" in told
    assert "resume=fresh" in told
    assert "Traceback" not in told
    assert contents(Path("runs")) == before


@pytest.mark.parametrize(
    ("files", "key"),
    [({"reward_py": REWARD + "\n"}, "files.reward"), ({"logs": tank_logs(seed=1)}, "data.sha256")],
)
def test_changed_files_count_as_changes(
    finished: Write, files: dict[str, object], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(**files)
    assert _run() == 2
    assert key in capsys.readouterr().err


def test_a_moved_file_is_no_change(finished: Write) -> None:
    home = finished()
    (home / "reward.py").rename(home / "goal.py")
    assert _run(f"reward={home / 'goal.py'}") == 0


def test_fresh_learns_what_changed_and_keeps_the_rest(finished: Write) -> None:
    venv, policy = _weights("venv"), _weights("policy")
    assert _run("policy.learner.lr=1e-4", "resume=fresh") == 0
    assert _weights("venv") == venv
    assert _weights("policy") != policy
    assert _weights("policy", Path("runs/r/earlier/1")) == policy
    assert (Path("runs/r/earlier/1") / "summary.json").is_file()
    assert yaml.safe_load(Path("runs/r/config.yaml").read_text())["policy"]["learner"]["lr"] == 1e-4
    assert _run("policy.learner.lr=1e-4") == 0


def test_fresh_without_a_change_learns_all_again(finished: Write) -> None:
    venv, policy = _weights("venv"), _weights("policy")
    assert _run("resume=fresh") == 0
    assert (_weights("venv"), _weights("policy")) == (venv, policy)
    kept = sorted(p.name for p in Path("runs/r/earlier/1").iterdir() if p.is_dir())
    assert kept == ["candidates", "policy", "venv"]


def test_a_changed_venv_takes_the_policy_with_it(finished: Write) -> None:
    policy = _weights("policy")
    assert _run("venv.learner.lr=2e-3", "resume=fresh", "policy.mode=none") == 0
    assert not Path("runs/r/policy").exists()
    assert _weights("policy", Path("runs/r/earlier/1")) == policy


def test_a_stage_that_was_not_begun_is_free(tank: Write) -> None:
    tank()
    assert _run("policy.mode=none") == 0
    venv = _weights("venv")
    assert _run("venv.mode=none", "policy.learner.lr=1e-4") == 0
    assert _weights("venv") == venv
    state = json.loads(Path("runs/r/state.json").read_text())
    assert state["made_of"]["policy"]["policy.learner.lr"] == 1e-4


def test_a_request_to_begin_afresh_that_was_stopped_goes_on(
    finished: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = ("resume=fresh", "venv.learner.lr=2e-3", "policy.learner.lr=1e-4")
    with monkeypatch.context() as death:
        death.setattr("revive.pipeline.run.learn_policy", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            _run(*again)
    assert json.loads(Path("runs/r/state.json").read_text())["stages"]["venv"] == "finished"
    stamp = Path("runs/r/venv/model.safetensors").stat().st_mtime_ns
    assert _run(*again) == 0
    assert Path("runs/r/venv/model.safetensors").stat().st_mtime_ns == stamp
    assert [p.name for p in Path("runs/r/earlier").iterdir()] == ["1"]
    assert _run(*again) == 0  # it was finished: now it means what it says
    assert sorted(p.name for p in Path("runs/r/earlier").iterdir()) == ["1", "2"]


def test_another_venv_is_used_where_it_is_named(finished: Write, capsys: pytest.CaptureFixture[str]) -> None:
    there = "venv_path=runs/other/venv"
    assert _run("run_id=other", "venv.learner.lr=2e-3", "policy.mode=none") == 0
    assert _run("run_id=t", "venv.mode=none", there) == 0
    assert _weights("policy", Path("runs/r")) != _weights("policy", Path("runs/t"))
    capsys.readouterr()
    assert _run("venv.mode=none", there) == 2  # the policy of the run knows another venv
    assert 'venv.source: "run" -> ' in capsys.readouterr().err
    assert _run("venv.mode=none", there, "resume=fresh") == 0
    assert _weights("policy", Path("runs/r")) == _weights("policy", Path("runs/t"))
    assert _run("venv.mode=none", "policy.mode=none") == 2  # and the other way round
    assert "venv.source" in capsys.readouterr().err


def test_settings_of_the_other_stage_s_search_are_free(tank: Write) -> None:
    tank()
    tuned = ("venv.mode=tune", "ray.enabled=false", "search.trials=1", "search.retrain=0")
    assert _run(*tuned, "policy.mode=none") == 0
    assert _run(*tuned, "policy.mode=once", "search.policy_trials=3", "search.policy_metric=mean_reward") == 0


def test_a_venv_that_is_not_finished_is_none(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank()
    assert _run("policy.mode=none") == 0
    state = json.loads(Path("runs/r/state.json").read_text())
    state["stages"]["venv"] = "running"
    Path("runs/r/state.json").write_text(json.dumps(state))
    assert _run("venv.mode=none") == 2
    assert "needs a venv that was learned before" in capsys.readouterr().err


def test_other_logs_need_another_venv(finished: Write, capsys: pytest.CaptureFixture[str]) -> None:
    finished(logs=tank_logs(seed=1))
    assert _run("resume=fresh", "venv.mode=none") == 2
    assert "venv.mode=none learns none" in capsys.readouterr().err


def test_a_search_keeps_a_test_part_and_the_run_remembers_it(tank: Write) -> None:
    tank()
    assert _run("venv.mode=tune", "policy.mode=none", "ray.enabled=false", "search.trials=1") == 0
    assert yaml.safe_load(Path("runs/r/config.yaml").read_text())["dataset"]["split"]["test"] == 0.15
    assert _run("venv.mode=none", "policy.mode=once") == 0
    assert yaml.safe_load(Path("runs/r/config.yaml").read_text())["dataset"]["split"]["test"] == 0.15
