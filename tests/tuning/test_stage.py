"""The tuning stage from end to end, on a tiny data file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from revive.__main__ import main
from tests.conftest import write_experiment
from tests.tracking.in_process import copy_database

DESCRIPTION = """\
metadata:
  columns:
    - x: {dim: x, type: continuous}
    - u: {dim: u, type: continuous}
    - wind: {dim: wind, type: continuous}
    - k: {dim: gain, type: continuous, min: 0, max: 1}
    - mode: {dim: gain, type: category, values: [1, 2, 3]}
  graph:
    u: [x]
    next_x: [x, u, wind, gain]
  tunable: [gain]
"""
REWARD = """\
def get_reward(data):
    k, mode = data["gain"][..., 0:1], data["gain"][..., 1:2]
    return -((k - 0.3) ** 2) - (mode - 2.0).abs() - 0.001 * data["next_x"] ** 2
"""
EXPERIMENT = """\
dataset: {path: logs.npz, description: description.yaml}
reward: reward.py
policy: {mode: none}
"""


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the experiment `plant`: eight trajectories, each with constant tunable values."""
    folder = write_experiment(tmp_path / "mine", "plant", EXPERIMENT)
    (folder / "description.yaml").write_text(DESCRIPTION)
    (folder / "reward.py").write_text(REWARD)
    rng = np.random.default_rng(0)
    count, length = 8, 30
    gain = np.stack([rng.uniform(0, 1, count), np.arange(count) % 3 + 1.0], axis=-1)
    x, u, wind = (rng.normal(size=(count * length, 1)) for _ in range(3))
    for row in range(count * length - 1):
        if (row + 1) % length:
            x[row + 1] = 0.5 * x[row] + 0.1 * u[row] + 0.1 * wind[row] + gain[row // length, 0]
    logs = {"x": x, "u": u, "wind": wind, "gain": gain}
    np.savez(folder / "logs.npz", index=np.arange(1, count + 1) * length, **logs)
    np.savez(folder / "start.npz", x=[0.5], wind=rng.normal(size=(7, 1)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVIVE_EXPERIMENTS", str(tmp_path / "mine"))
    return folder


@pytest.fixture
def run(experiment: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs the command in one run folder, tiny."""

    def call(*overrides: str) -> int:
        fixed = [
            "experiment=plant",
            "debug=fast",
            "tracking=none",
            f"log_dir={tmp_path / 'runs'}",
            "run_id=r",
        ]
        return main([*fixed, *overrides])

    return call


def _summary(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "runs" / "r" / "summary.json").read_text())


def test_a_run_tunes_and_says_what_it_found(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("tuning.mode=max", "tuning.budget=600") == 0
    folder = tmp_path / "runs" / "r"
    found = yaml.safe_load((folder / "tuning.yaml").read_text())
    assert found["values"]["gain"]["mode"] == 2.0
    assert found["values"]["gain"]["k"] == pytest.approx(0.3, abs=0.02)
    assert found["settings"]["mode"] == "max"
    assert _summary(tmp_path)["tuning"] == {k: v for k, v in found.items() if k != "settings"}
    assert (folder / "figures" / "tuning.png").is_file()
    assert "gain.mode = 2" in capsys.readouterr().out


@pytest.mark.usefixtures("unrendered")
def test_nothing_is_tuned_unless_asked_for(run: Callable[..., int], tmp_path: Path) -> None:
    assert run() == 0
    assert _summary(tmp_path)["tuning"] == {}
    assert not (tmp_path / "runs" / "r" / "tuning.yaml").exists()


@pytest.mark.usefixtures("unrendered")
def test_a_finished_run_is_tuned_later_and_again_where_the_question_changes(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    assert run("tuning.mode=max") == 0
    assert _summary(tmp_path)["tuning"]["mode"] == "max"
    before = (tmp_path / "runs" / "r" / "tuning.yaml").read_bytes()
    capsys.readouterr()
    assert run("tuning.mode=max") == 0
    assert "tuning: done before" in capsys.readouterr().out
    assert (tmp_path / "runs" / "r" / "tuning.yaml").read_bytes() == before
    assert run("tuning.mode=min") == 0
    assert _summary(tmp_path)["tuning"]["mode"] == "min"


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize("place", ["file", "config"])
def test_the_initial_state_sets_start_and_horizon(
    run: Callable[..., int], experiment: Path, place: str
) -> None:
    start = {"file": str(experiment / "start.npz"), "config": "{x: [0.5], wind: [[0.1], [0.2]]}"}[place]
    assert run("tuning.mode=max", f"tuning.initial_state={start}") == 0
    assert _summary(experiment.parents[1])["tuning"]["horizon"] == {"file": 7, "config": 2}[place]


@pytest.mark.usefixtures("unrendered")
def test_the_path_in_an_experiment_is_relative_to_it(run: Callable[..., int], experiment: Path) -> None:
    text = EXPERIMENT + "tuning: {mode: min, initial_state: start.npz}\n"
    (experiment / "experiment.yaml").write_text(text)
    assert run() == 0
    assert _summary(experiment.parents[1])["tuning"]["horizon"] == 7


@pytest.mark.usefixtures("unrendered")
def test_the_learned_policy_may_decide(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("tuning=random", "tuning.decided_by=policy", "tuning.budget=400")
    assert run("policy.mode=once", *asked) == 0
    assert _summary(tmp_path)["tuning"]["mode"] == "max"
    capsys.readouterr()
    assert run("policy.mode=none", *asked) == 0  # the policy of the same run is there
    assert "tuning: done before" in capsys.readouterr().out
    assert run("policy.mode=none", *asked[::2]) == 0  # the logs' controller: another question
    assert "tuning: done before" not in capsys.readouterr().out


@pytest.mark.usefixtures("unrendered")
@pytest.mark.slow
def test_another_reward_in_the_same_file_is_another_question(
    run: Callable[..., int], experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("tuning.mode=max", "tuning.budget=600") == 0
    (experiment / "reward.py").write_text(REWARD.replace("mode - 2.0", "mode - 3.0"))
    assert run("tuning.mode=max", "tuning.budget=600") == 0
    assert "tuning: done before" not in capsys.readouterr().out
    assert _summary(experiment.parents[1])["tuning"]["values"]["gain"]["mode"] == 3.0


@pytest.mark.usefixtures("unrendered")
@pytest.mark.slow
def test_another_venv_is_another_question(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run_id=a") == 0
    assert run("run_id=b", "venv.learner.lr=2e-3") == 0
    asked = ("venv.mode=none", "tuning.mode=max", "run_id=c")
    for venv, told in (("a", False), ("a", True), ("b", False)):
        capsys.readouterr()
        assert run(*asked, f"venv_path={tmp_path / 'runs' / venv / 'venv'}") == 0
        assert ("tuning: done before" in capsys.readouterr().out) == told
    assert (tmp_path / "runs" / "c" / "earlier" / "1" / "tuning.yaml").is_file()


@pytest.mark.usefixtures("unrendered", "recorded_here")
def test_the_records_hold_values_and_interval(
    run: Callable[..., int], tmp_path: Path, new_database: Path
) -> None:
    copy_database(new_database, tmp_path / "runs")
    assert run("tuning.mode=max", "tuning.budget=600", "tracking=mlflow") == 0
    with sqlite3.connect(tmp_path / "runs" / "mlflow.db") as records:
        params = dict(records.execute("select key, value from params"))
        metrics = dict(records.execute("select key, value from latest_metrics"))
    assert params["gain.mode"] == "2.0"
    assert params["asked.mode"] == "max"
    assert metrics["reward.low"] <= metrics["reward"] <= metrics["reward.high"]
    assert "gain.k.standard_error" in metrics


@pytest.mark.usefixtures("unrendered")
def test_a_row_for_each_step_is_as_good_as_one_for_each_trajectory(
    run: Callable[..., int], experiment: Path
) -> None:
    found = []
    for run_id in ("short", "long"):
        assert run("tuning.mode=max", "tuning.budget=400", f"run_id={run_id}") == 0
        path = experiment.parents[1] / "runs" / run_id / "tuning.yaml"
        found.append(yaml.safe_load(path.read_text())["values"])
        logs = dict(np.load(experiment / "logs.npz"))
        np.savez(experiment / "logs.npz", **{**logs, "gain": np.repeat(logs["gain"], 30, axis=0)})
    assert found[0] == found[1]


def _nobody_decides(experiment: Path) -> None:
    """Takes the controller out of the graph, so that only exogenous and tunable nodes are left."""
    text = DESCRIPTION.replace("    u: [x]\n", "").replace("[x, u, wind, gain]", "[x, wind, gain]")
    (experiment / "description.yaml").write_text(text.replace("    - u: {dim: u, type: continuous}\n", ""))


@pytest.mark.parametrize("extra", [(), ("ray.enabled=false", "venv.mode=tune", "search.trials=2")])
def test_a_graph_in_which_nobody_decides_is_tuned(
    run: Callable[..., int], experiment: Path, extra: tuple[str, ...]
) -> None:
    _nobody_decides(experiment)
    assert run("tuning.mode=max", "tuning.budget=600", *extra) == 0
    summary = _summary(experiment.parents[1])
    assert summary["tuning"]["values"]["gain"]["mode"] == 2.0
    assert summary["policy"].keys() == {"logged"}


def test_a_policy_needs_somebody_who_decides(
    run: Callable[..., int], experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _nobody_decides(experiment)
    for overrides in (["policy.mode=once"], ["tuning.decided_by=policy", "policy.mode=once"]):
        assert run("tuning.mode=max", *overrides) == 2
        assert "the graph has no decision node" in capsys.readouterr().err
    assert run("tuning.mode=max", "tuning.decided_by=policy") == 2
    assert "no decision node" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["tuning.mode=up"], "tuning.mode: must be 'max'"),
        (["tuning=gradient"], "mode has only so many values"),
        (["tuning=cma"], "mode has only so many values"),
        (["tuning=simplex"], "no tuning 'simplex'"),
        (["tuning.mode=max", "tuning.budgt=5"], "did you mean 'tuning.budget'?"),
        (["tuning.mode=max", "tuning.method.random.rounds=0.5"], "tuning.method.random.rounds"),
        (["tuning.mode=max", "tuning.decided_by=policy"], "policy.mode=none learns none"),
        (["tuning.mode=max", "tuning.initial_state={x: [1]}"], "'wind' is missing"),
        (["tuning.mode=max", "tuning.initial_state=nowhere.npz"], "no such file"),
        (["tuning.mode=max", "tuning.initial_state={x: [1, 2], wind: [0]}"], "'x' has the shape (2,)"),
        (
            ["tuning.mode=max", "tuning.initial_state={x: [1], wind: [[0], [1, 2]]}"],
            "'wind' holds no numbers",
        ),
        (["tuning.mode=max", "venv.mode=none"], "venv_path"),
    ],
)
def test_wrong_questions_end_in_one_message(
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    overrides: list[str],
    expected: str,
) -> None:
    assert run(*overrides) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Traceback" not in error
    assert not (tmp_path / "runs").exists()


def test_no_tunable_node_is_refused(
    run: Callable[..., int], experiment: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (experiment / "description.yaml").write_text(DESCRIPTION.replace("  tunable: [gain]\n", ""))
    logs = dict(np.load(experiment / "logs.npz"))
    np.savez(experiment / "logs.npz", **{**logs, "gain": np.repeat(logs["gain"], 30, axis=0)})
    assert run("tuning.mode=max") == 2
    assert "no tunable node" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
