"""Finding experiments, and what becomes of the paths in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from revive.config import compose, find_experiment, find_experiments
from revive.errors import UserError


def write(folder: Path, name: str, text: str = "seed: 1\n") -> Path:
    home = folder / name
    home.mkdir(parents=True)
    (home / "experiment.yaml").write_text(text)
    return home


def test_first_folder_wins(experiments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(first, "twice", "seed: 11\n")
    write(second, "twice", "seed: 12\n")
    write(second, "once", "seed: 13\n")
    write(Path.cwd() / "experiments", "twice", "seed: 14\n")
    write(Path.cwd() / "experiments", "here", "seed: 15\n")
    monkeypatch.setenv(
        "REVIVE_EXPERIMENTS", os.pathsep.join([str(first), str(second), str(tmp_path / "gone")])
    )
    assert {name: compose([f"experiment={name}"]).seed for name in ("twice", "once", "here")} == {
        "twice": 11,
        "once": 13,
        "here": 15,
    }


def test_folders_without_the_file_are_no_experiments(experiments: Path) -> None:
    (experiments / "notes").mkdir()
    (experiments / "a-file").touch()
    assert "demo" in find_experiments()
    assert not {"notes", "a-file"} & set(find_experiments())
    with pytest.raises(UserError, match=r"notes.*holds no experiment\.yaml"):
        find_experiment("notes")


def test_wrong_name_lists_the_right_ones(experiments: Path) -> None:
    with pytest.raises(UserError, match=r"no experiment 'dmo'\n.*did you mean 'demo'\?.*possible: .*demo"):
        compose(["experiment=dmo"])


def test_paths_are_relative_to_the_experiment(experiments: Path) -> None:
    (experiments / "demo" / "experiment.yaml").write_text(
        "dataset: {path: logs.npz, description: ../shared.yaml, validation_path: /abs/v.npz}\n"
        "reward: reward.py\nsimulator: null\nvenv_path: ${log_dir}/old\n"
    )
    config = compose(["experiment=demo"])
    home = experiments / "demo"
    assert config.dataset.path == str(home / "logs.npz")
    assert Path(config.dataset.description).resolve() == (experiments / "shared.yaml").resolve()
    assert config.dataset.validation_path == "/abs/v.npz"
    assert config.reward == str(home / "reward.py")
    assert config.simulator is None
    assert config.venv_path == "runs/old"


def test_summary_is_the_readme_heading(experiments: Path) -> None:
    write(experiments, "silent")
    assert find_experiment("demo").summary() == "A demonstration"
    assert find_experiment("silent").summary() == ""


def test_experiment_chooses_groups_and_the_command_line_beats_it(experiments: Path) -> None:
    (experiments / "demo" / "experiment.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /tracking: none\ntrainer: {threads: 3}\nseed: 5\n"
    )
    config = compose(["experiment=demo"])
    assert (config.trainer.threads, config.seed) == (3, 5)
    assert config.tracking == {"_target_": "revive.tracking.NullTracker"}
    config = compose(["experiment=demo", "tracking=mlflow", "seed=6"])
    assert (config.tracking["_target_"], config.seed) == ("revive.tracking.MlflowTracker", 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: [1\nreward: x\n", r"experiment\.yaml, line 2, column \d+: not valid YAML"),
        ("- seed\n", r"experiment\.yaml: must hold a mapping"),
        ("seed: 1\n\treward: x\n", r"experiment\.yaml, line 2"),
    ],
)
def test_unreadable_experiment_names_the_file(experiments: Path, text: str, message: str) -> None:
    (experiments / "demo" / "experiment.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        compose(["experiment=demo"])
