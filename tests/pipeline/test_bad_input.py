"""Logs and rewards that nothing can be learned from: one clear message, or a run whose verdict says it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive.__main__ import main
from tests.pipeline.conftest import DESCRIPTION, Write, tank_logs

FAST = ("experiment=tank", "debug=fast", "policy=first_order", "tracking=none")
WITH_DONE = DESCRIPTION.replace(
    "  graph:\n", "    - over: {dim: done, type: category, values: [0, 1]}\n  graph:\n"
).replace("next_tank: [tank, valve]\n", "next_tank: [tank, valve]\n    done: [next_tank]\n")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr()
    assert "Traceback" not in out.err + out.out
    return out.err


def summary() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(Path("runs").glob("*/summary.json")).read_text())
    return found


def test_a_reward_that_is_constant(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank(reward_py="def get_reward(data):\n    return 0 * data['tank'] + 3\n")
    assert main([*FAST]) == 2
    assert "get_reward is 3 for each of the 240 logged rows" in told(capsys)
    assert not Path("runs").exists()


def test_an_action_that_never_varies(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    logs = tank_logs()
    tank({**logs, "valve": np.full_like(logs["valve"], 1.5)})
    assert main([*FAST]) == 2
    assert "'valve' never varies in the logs (valve=1.5)" in told(capsys)


def test_a_reward_that_is_no_number_in_rollouts_alone(tank: Write, caplog: pytest.LogCaptureFixture) -> None:
    """Finite up to the largest logged level; rollouts with noise pass it."""
    most = float(np.abs(tank_logs()["next_tank"]).max())
    body = f"x = data['next_tank']\n    return (({most} + 1e-4 - x.abs()) * 1e6).sqrt()\n"
    tank(reward_py=f"def get_reward(data):\n    {body}")
    assert main([*FAST, "policy.evaluation.starts=64", "policy.evaluation.horizon=200"]) == 0
    assert "it is asked at the nearest logged ones" in caplog.text
    assert np.isfinite(summary()["policy"]["predicted"]["mean"])


@pytest.mark.usefixtures("unrendered")
def test_trajectories_of_one_row_beside_long_ones(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank({**tank_logs(), "index": np.array([1, 2, 100, 101, 102, 200, 240])})
    assert main([*FAST]) == 0
    episodes = summary()["policy"]["episodes"]
    assert episodes["count"] == 7
    assert 90 < episodes["steps"] <= 98
    assert "Traceback" not in capsys.readouterr().out


@pytest.mark.usefixtures("unrendered")
def test_done_in_the_first_row(tank: Write) -> None:
    logs = tank_logs()
    done = np.zeros((240, 1))
    done[[0, 79, 239]] = 1
    tank({**logs, "done": done, "index": np.array([1, 80, 160, 240])}, description_yaml=WITH_DONE)
    assert main([*FAST]) == 0
    episodes = summary()["policy"]["episodes"]
    assert episodes["logs"]["ended"] == pytest.approx(3 / 4)
    assert episodes["logs"]["length"] == pytest.approx(60)


@pytest.mark.usefixtures("unrendered")
def test_a_run_is_summed_up_per_episode_with_verdicts(
    tank: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    tank()
    assert main([*FAST]) == 0
    out = capsys.readouterr().out
    said = summary()
    assert "Return per episode of at most 80 steps" in out
    for verdict in said["verdicts"]:
        assert verdict["sentence"] in out
        assert verdict["remedy"] in out
    assert ("honest estimate" in out) == (not said["verdicts"])
    assert said["policy"]["chosen"].keys() == {"source", "half", "iteration", "fallback"}
    assert said["policy"]["episodes"]["predicted"]["low"] <= said["policy"]["episodes"]["predicted"]["mean"]


def test_logs_are_not_validated_by_themselves(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tank(tank_logs())
    logs = next(folder.rglob("*.npz"))
    assert main(["check", "experiment=tank", f"dataset.validation_path={logs}"]) == 2
    assert "is the file that is learned from" in told(capsys)
