"""The command from end to end, with tiny limits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import revive
import revive.runtime
from revive.__main__ import main
from revive.config.experiments import find_experiments

FAST = "debug=fast"


def _run(log_dir: Path, *overrides: str, experiment: str = "refrigerator") -> int:
    return main([f"experiment={experiment}", FAST, "tracking=none", f"log_dir={log_dir}", *overrides])


def _summary(folder: Path) -> dict:  # type: ignore[type-arg]
    summary = json.loads((folder / "summary.json").read_text())
    return {key: value for key, value in summary.items() if key not in ("run_id", "seconds")}


@pytest.fixture(scope="module")
def finished(refrigerator_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run of the refrigerator, to go on with."""
    return Path(shutil.copytree(refrigerator_run, tmp_path_factory.mktemp("runs") / "first"))


def test_every_shipped_experiment_has_a_test_that_runs_it() -> None:
    folder = Path(__file__).parents[1] / "experiments"
    tested = {file.stem.removeprefix("test_") for file in folder.glob("test_*.py")}
    mujoco = {"half_cheetah", "hopper"}  # in test_gymnasium_tasks.py
    assert set(find_experiments()) <= {"refrigerator"} | tested | mujoco


def test_run_leaves_all_that_it_promises(finished: Path) -> None:
    for name in ("config.yaml", "versions.json", "summary.json", "state.json", "data.npz"):
        assert (finished / name).is_file(), name
    figures = {path.name for path in (finished / "figures").iterdir()}
    assert figures >= {"graph.png", "rollouts.png", "rollout_error.png", "response.png", "control.png"}
    assert json.loads((finished / "state.json").read_text())["state"] == "finished"


def test_summary_holds_the_documented_figures(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert set(summary["venv"]["rollout_mae"]) == {"1", "10", "50", "100"}
    assert set(summary["venv"]["persistence_mae"]) == {"1", "10", "50", "100"}
    assert summary["policy"]["logged"] == pytest.approx(-0.56, abs=0.01)
    assert set(summary["policy"]["predicted"]) == {"mean", "low", "high", "interval"}
    assert set(summary["policy"]["chosen"]) == {"source", "half", "iteration", "fallback"}
    assert set(summary["policy"]["truth"]) >= {"mean", "se"}
    assert set(summary["seconds"]) >= {"venv", "policy"}


def test_no_pickle_is_left_behind(finished: Path) -> None:
    suffixes = {path.suffix for path in finished.rglob("*") if path.is_file() and path.name != ".lock"}
    assert suffixes <= {".json", ".yaml", ".npz", ".png", ".safetensors", ".html", ".mmd", ".py"}


@pytest.mark.usefixtures("unrendered")
def test_same_seed_and_data_give_the_same_summary(finished: Path, tmp_path: Path) -> None:
    assert _run(tmp_path, "run_id=again") == 0
    assert _summary(tmp_path / "again") == _summary(finished)


@pytest.mark.usefixtures("unrendered")
def test_another_seed_gives_another_summary(finished: Path, tmp_path: Path) -> None:
    assert _run(tmp_path, "run_id=other", "seed=1") == 0
    assert _summary(tmp_path / "other")["policy"] != _summary(finished)["policy"]


@pytest.mark.usefixtures("unrendered")
def test_finished_stages_are_taken_as_done(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "policy" / "model.safetensors").read_bytes()
    assert _run(finished.parent, "run_id=first") == 0
    assert "venv: done before" in capsys.readouterr().out
    assert (finished / "policy" / "model.safetensors").read_bytes() == before


def test_another_config_does_not_overwrite_a_run(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "summary.json").read_bytes()
    assert _run(finished.parent, "run_id=first", "venv.learner.lr=2e-3") == 2
    assert "venv.learner.lr: 0.003 -> 0.002" in capsys.readouterr().err
    assert (finished / "summary.json").read_bytes() == before


@pytest.mark.usefixtures("unrendered")
def test_a_policy_is_learned_in_a_venv_of_an_earlier_run(finished: Path, tmp_path: Path) -> None:
    assert _run(tmp_path, "run_id=p", "venv.mode=none", f"venv_path={finished / 'venv'}") == 0
    assert _summary(tmp_path / "p")["policy"] == _summary(finished)["policy"]
    assert not (tmp_path / "p" / "venv").exists()


@pytest.mark.usefixtures("unrendered")
def test_venv_first_and_its_policy_later_in_one_run(finished: Path, tmp_path: Path) -> None:
    assert _run(tmp_path, "run_id=two", "policy.mode=none") == 0
    assert "predicted" not in _summary(tmp_path / "two")["policy"]
    assert _run(tmp_path, "run_id=two", "venv.mode=none") == 0
    assert _summary(tmp_path / "two") == _summary(finished)


def test_no_venv_at_all_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path / "runs", "venv.mode=none") == 2
    assert "venv_path" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("unrendered")
def test_policy_sees_what_it_is_told_to(tmp_path: Path) -> None:
    assert _run(tmp_path, "run_id=door", "policy.inputs=[temperature,door_open]") == 0
    policy = revive.load_policy(tmp_path / "door" / "policy")
    assert policy.inputs == ("temperature", "door_open")
    shut, opened = (
        policy.act({"temperature": np.zeros((1, 1)), "door_open": np.full((1, 1), v)}) for v in (0.0, 1.0)
    )
    assert shut["action"].shape == (1, 1)
    assert not np.allclose(shut["action"], opened["action"])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["policy.inputs=[temprature]"], "did you mean 'temperature'?"),
        (["policy.target=door_open"], "no decision node"),
        (["dataset.split.validation=0.999"], "at least 20"),
        (["venv_path=nowhere", "venv.mode=none"], "no venv bundle"),
        (["venv.keep=9"], "more than members"),
    ],
)
def test_wrong_settings_end_in_one_message(
    overrides: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path / "runs", *overrides) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Traceback" not in error
    assert not (tmp_path / "runs").exists()


def test_the_policy_knows_what_was_logged(finished: Path) -> None:
    policy = revive.runtime.load_policy(finished / "policy")
    assert policy.envelope is not None
    assert policy.envelope.columns == (("temperature", "temperature"),)
    judged = policy.envelope.judge(np.array([[0.0], [1e3]]))
    assert judged.unlike.tolist() == [False, True]


def test_bundles_serve_numpy_in_physical_units(finished: Path) -> None:
    policy, venv = revive.load_policy(finished / "policy"), revive.load_venv(finished / "venv")
    leaves = {"temperature": np.array([[-2.0], [1.0]]), "door_open": np.zeros((2, 1))}
    step = venv.step({**leaves, **policy.act(leaves)})
    assert step["next_temperature"].shape == (2, 1)
    rolled = venv.rollout(
        {"temperature": leaves["temperature"]}, {"door_open": np.zeros((7, 2, 1))}, policy=policy
    )
    assert rolled["temperature"].shape == (7, 2, 1)
    np.testing.assert_allclose(rolled["temperature"][0], leaves["temperature"], atol=1e-5)
