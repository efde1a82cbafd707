"""Exact properties of the data are applied by default, said in one line each, and everywhere the same."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import revive
from revive.__main__ import main
from tests.pipeline.conftest import Write, write_tank

FAST = ("experiment=arm", "debug=fast", "tracking=none")
DESCRIPTION = """\
metadata:
  columns:
    - cos: {dim: arm, type: continuous}
    - sin: {dim: arm, type: continuous}
    - speed: {dim: arm, type: continuous}
    - before: {dim: arm, type: continuous}
    - turns: {dim: arm, type: continuous}
    - torque: {dim: torque, type: continuous, min: -2, max: 2}
  graph:
    torque: [arm]
    next_arm: [arm, torque]
"""
REWARD = "def get_reward(data):\n    return data['next_arm'][..., :1]\n"
FILES = {"description_yaml": DESCRIPTION, "reward_py": REWARD}
SAID = (
    "arm.cos, arm.sin: kept on the unit circle",
    "arm.speed: kept at or above -3 and at or below 3, where the data pile up",
    "arm.before: taken from torque.torque of the step before, not learned",
    "arm.turns: adds up and acts on nothing, so it is no input of torque, next_arm",
)


def arm_logs(trajectories: int = 8, rows: int = 400, seed: int = 0) -> dict[str, np.ndarray]:
    """An arm that turns with a limited speed; its log has the former torque and the distance in it."""
    rng = np.random.default_rng(seed)
    arms, torques, followers = [], [], []
    for _ in range(trajectories):
        angle, speed, before, turns = rng.uniform(-3, 3), 0.0, 0.0, 0.0
        states = []
        for _ in range(rows + 1):
            states.append([np.cos(angle), np.sin(angle), speed, before, turns])
            torque = float(np.clip(-0.3 * speed + 1.5 * rng.normal(), -2, 2))
            torques.append([torque])
            angle += 0.1 * speed
            turns += 0.1 * abs(speed)
            speed = float(np.clip(speed + 0.6 * torque + np.sin(angle), -3, 3))
            before = torque
        arms += states[:-1]
        followers += states[1:]
        torques.pop()
    ends = rows * np.arange(1, trajectories + 1)
    return {
        "arm": np.array(arms),
        "torque": np.array(torques),
        "next_arm": np.array(followers),
        "index": ends,
    }


@pytest.fixture
def arm(tank: Write) -> Path:
    """The folder of the experiment."""
    home = tank(arm_logs(), **FILES)
    home.rename(home.with_name("arm"))
    return home.with_name("arm")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Of a run of the experiment that learned its venv: the folder `runs`, and what was printed."""
    home, said = tmp_path_factory.mktemp("learned"), io.StringIO()
    write_tank(home / "arm", arm_logs(), **FILES)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.chdir(home)
        patch.setenv("REVIVE_EXPERIMENTS", str(home))
        assert main([*FAST, "run_id=r", "policy.mode=none"]) == 0
    return home / "runs", said.getvalue()


@pytest.mark.usefixtures("unrendered")
def test_check_says_what_is_applied_and_ask_leaves_it_alone(
    arm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "experiment=arm"]) == 0
    out = capsys.readouterr().out
    for line in SAID:
        assert f"{line} (found in the data; dataset.proposals=ask leaves it alone)" in out
    report = json.loads(Path("runs/checks/arm/data_report.json").read_text())
    assert [proposal["kind"] for proposal in report["applied"]] == ["circle", "clamp", "shift", "cumulative"]
    assert not report["proposals"]
    assert main(["check", "experiment=arm", "dataset.proposals=ask"]) == 0
    assert "found in the data" not in capsys.readouterr().out
    asked = json.loads(Path("runs/checks/arm/data_report.json").read_text())
    assert [proposal["kind"] for proposal in asked["proposals"]] == ["circle", "clamp", "shift", "cumulative"]


@pytest.mark.usefixtures("arm", "unrendered")
def test_a_run_its_bundle_and_its_continuation_agree(
    learned: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, out = learned
    assert all(line in out for line in SAID)
    shutil.copytree(runs, "runs")
    venv = revive.load_venv("runs/r/venv")
    rng = np.random.default_rng(0)
    start = np.array([[1.0, 0.0, 2.9, 0.0, 500.0]]).repeat(4, 0)
    torque = rng.uniform(-2, 2, size=(60, 4, 1))
    rolled = venv.rollout({"arm": start}, {"torque": torque}, deterministic=False, seed=0)["next_arm"]
    np.testing.assert_allclose(np.square(rolled[..., :2]).sum(-1), 1, atol=1e-5)
    assert np.abs(rolled[..., 2]).max() <= 3 + 1e-5
    np.testing.assert_allclose(rolled[..., 3], torque[..., 0], atol=1e-5)
    far = start + np.array([0, 0, 0, 0, 1e5])
    there = venv.rollout({"arm": far}, {"torque": torque}, deterministic=False, seed=0)["next_arm"]
    np.testing.assert_allclose(there[..., :4], rolled[..., :4], atol=1e-5)
    assert main([*FAST, "run_id=r"]) == 0
    assert "venv: done before" in capsys.readouterr().out
    assert main([*FAST, "run_id=r", "dataset.proposals=ask"]) == 2
    assert "found_in_data" in capsys.readouterr().err


def test_a_policy_is_learned_in_the_venv_of_other_logs(arm: Path, learned: tuple[Path, str]) -> None:
    np.savez(arm / "logs.npz", **arm_logs(trajectories=3, rows=30, seed=1))  # type: ignore[arg-type]
    assert main([*FAST, "run_id=p", "venv.mode=none", f"venv_path={learned[0] / 'r' / 'venv'}"]) == 0
    assert revive.load_policy("runs/p/policy").model.graph.found


@pytest.mark.slow
def test_trials_of_a_search_learn_the_same_graph(arm: Path) -> None:
    search = ("venv.mode=tune", "search.trials=1", "search.retrain=0", "policy.mode=none")
    assert main([*FAST, "run_id=s", *search]) == 0
    assert len(revive.load_venv("runs/s/venv").graph.found) == 4


@pytest.mark.usefixtures("unrendered")
def test_what_does_not_hold_in_the_validation_file_is_not_applied(
    arm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = arm_logs(seed=1)
    for name in ("arm", "next_arm"):
        other[name][:, 2] *= 2
    np.savez(arm / "other.npz", **other)  # type: ignore[arg-type]
    assert main(["check", "experiment=arm", f"dataset.validation_path={arm / 'other.npz'}"]) == 0
    out = capsys.readouterr().out
    assert SAID[0] in out
    assert "kept at or" not in out
