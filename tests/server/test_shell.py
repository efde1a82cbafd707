"""The options of REVIVE's training script: read, refused, and run once with tiny limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive.__main__ import main
from revive.server import shell

FILES = ["-df", "logs.npz", "-cf", "description.yaml"]


class Recorder:
    """Stands for `ReviveServer`."""

    given: dict[str, Any]
    headline = "1 name of REVIVE has no counterpart here (d_lr)"

    def __init__(self, **given: Any) -> None:
        Recorder.given = given

    def train(self, wait: bool) -> None:
        assert wait

    def status(self) -> dict[str, Any]:
        told = {"task_state": "End", "current_num_of_trials": 1, "total_num_of_trials": 1}
        return {"venv": {**told, "venv_acc": -0.25}, "policy": {**told, "policy_acc": 3.0}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shell, "ReviveServer", Recorder)


@pytest.mark.usefixtures("asked")
def test_short_and_long_options_are_the_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    Path("logs.npz").touch()
    short = ["-rf", "r.py", "-vm", "once", "-pm", "None", "-tpn", "action", "--debug"]
    assert (
        main(["server", *FILES, *short, "--revive_epoch=5", "-gs", "3", "--bc_lr", "1e-3", "--igc", "1"]) == 0
    )
    assert Recorder.given == {
        "dataset_file_path": Path("logs.npz"),
        "dataset_desc_file_path": Path("description.yaml"),
        "reward_file_path": Path("r.py"),
        "venv_mode": "once",
        "policy_mode": "None",
        "target_policy_name": "action",
        "debug": True,
        "revive_epoch": 5,
        "gs": 3,
        "bc_lr": 0.001,
        "igc": 1,
    }
    out = capsys.readouterr().out
    assert (
        "names   1 name of REVIVE has no counterpart here (d_lr): revive_names.md in the run folder\n" in out
    )
    assert "venv_acc -0.25" in out


@pytest.mark.usefixtures("asked")
def test_files_are_looked_for_in_the_folder_data_as_well() -> None:
    Path("data").mkdir()
    np.savez("data/state.npz", x=np.zeros(2))
    assert main(["server", *FILES, "--tuning_initial_state_file", "state.npz"]) == 0
    assert Recorder.given["dataset_file_path"] == Path("data/logs.npz")
    assert Recorder.given["tune_initial_state"]["x"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-df", "logs.npz"], "--config_file is missing"),
        ([], "--data_file is missing"),
        ([*FILES, "-rf"], "'-rf' has no value"),
        ([*FILES, "once"], "'once' belongs to no option"),
        ([*FILES, "--"], "'--' belongs to no option"),
        ([*FILES, "-tisf", "state.csv"], "an initial state is read from an npz"),
        ([*FILES, "-tisf", "state.npz"], "cannot be read"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_what_is_wrong_is_one_message(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["server", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_run(logs: Path, refrigerator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One trajectory, of which validation by trajectory is asked for; NaN in the logs; a reward of numpy."""
    arrays = dict(np.load(logs))
    arrays = {name: value[:600].astype(float) for name, value in arrays.items()} | {"index": np.array([600])}
    arrays["door_open"][10] = np.nan
    np.savez(tmp_path / "one.npz", **arrays)
    reward = tmp_path / "reward.py"
    reward.write_text(
        "import numpy as np\ndef get_reward(data):\n    return -np.abs(np.asarray(data['next_temperature']))\n"
    )
    files = [
        "-df",
        str(tmp_path / "one.npz"),
        "-cf",
        str(refrigerator / "description.yaml"),
        "-rf",
        str(reward),
    ]
    options = [
        "-vm",
        "once",
        "-pm",
        "once",
        "--val_split_mode",
        "outside_traj",
        "--policy_algo",
        "ppo",
        "--debug",
    ]
    run = ["--log_dir", str(tmp_path / "runs"), "--run_id", "one", "--tracking", "none"]
    assert main(["server", *files, *options, *run]) == 0
    summary = json.loads((tmp_path / "runs/one/summary.json").read_text())
    assert np.isfinite(summary["policy"]["predicted"]["mean"])
    names = (tmp_path / "runs/one/revive_names.md").read_text()
    assert "| val_split_mode | `dataset.split.mode` |" in names
    assert "Policy" in capsys.readouterr().out
