"""From overrides to checked settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from revive.config import load_settings
from revive.errors import UserError


def problems(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_settings(["experiment=demo", *overrides])
    return str(caught.value)


def test_settings_hold_what_was_composed(experiments: Path) -> None:
    settings = load_settings(["experiment=demo", "seed=3", "run_id=20261122", "dataset.split.gap=4"])
    assert (settings.experiment, settings.seed, settings.run_id) == ("demo", 3, "20261122")
    assert settings.dataset.path == experiments / "demo" / "logs.npz"
    assert settings.dataset.split.gap == 4
    assert settings.log_dir == Path.cwd() / "runs"
    assert settings.venv.mode in ("once", "none")
    assert settings.tracking["_target_"] == "revive.tracking.MlflowTracker"


def test_typed_paths_start_at_the_working_directory(experiments: Path) -> None:
    settings = load_settings(
        ["experiment=demo", "dataset.path=data/other.npz", "reward=/r.py", "log_dir='~/r'"]
    )
    assert settings.dataset.path == Path.cwd() / "data" / "other.npz"
    assert settings.reward == Path("/r.py")
    assert settings.log_dir == Path.home() / "r"


def test_as_dict_is_plain_and_comes_back(experiments: Path) -> None:
    settings = load_settings(["experiment=demo"])
    assert type(settings).check(settings.as_dict()) == settings


def test_all_wrong_values_are_reported_together(experiments: Path) -> None:
    text = problems(
        "seed=-1", "venv.network.std=conditional", "dataset.split.validation=1.5", "venv.mode=twice"
    )
    assert "command line, seed: must be greater than or equal to 0, not -1" in text
    assert "did you mean 'conditioned'?" in text
    assert "dataset.split.validation" in text
    assert "venv.mode: must be 'tune', 'once' or 'none', not 'twice'" in text


def test_wrong_values_of_the_experiment_name_its_file(experiments: Path) -> None:
    file = experiments / "demo" / "experiment.yaml"
    file.write_text("seed: many\ndataset: {split: {mode: autos}}\n")
    text = problems()
    assert f"{file}, seed: must be a whole number, not 'many'" in text
    assert "did you mean 'auto'?" in text


def test_values_that_are_left_open(experiments: Path) -> None:
    text = problems("seed=???", "dataset.split.gap=???")
    assert "seed: has no value\n    -> give it one: seed=VALUE" in text
    assert "dataset.split.gap: has no value" in text
    assert "Interpolation key 'nowhere' not found" in problems("seed=${nowhere}")


def test_unknown_keys_of_the_experiment_name_the_nearest(experiments: Path) -> None:
    file = experiments / "demo" / "experiment.yaml"
    file.write_text("sede: 1\ndataset: {pth: x.npz, split: {gapp: 1}}\nzzz: {deep: 1}\n")
    text = problems()
    assert f"{file}, sede: unknown key\n    -> did you mean 'seed'?" in text
    assert "dataset.pth: unknown key\n    -> did you mean 'dataset.path'?" in text
    assert "dataset.split.gapp: unknown key\n    -> did you mean 'dataset.split.gap'?" in text
    assert "zzz: unknown key\n    -> possible: backtest, dataset, " in text


def test_a_key_added_on_the_command_line_is_unknown_too(experiments: Path) -> None:
    assert "command line, dataset.pth: unknown key" in problems("+dataset.pth=1")


def test_another_constructor_has_other_keys(experiments: Path) -> None:
    file = experiments / "demo" / "experiment.yaml"
    file.write_text("venv: {learner: {_target_: revive.venv.other.Learner, whatever: 1}}\n")
    assert load_settings(["experiment=demo"]).venv.learner["whatever"] == 1


def test_no_experiment(experiments: Path) -> None:
    with pytest.raises(UserError, match=r"no experiment was chosen\n.*experiment=NAME; possible: .*demo"):
        load_settings([])


def test_options_of_a_stage_are_checked(experiments: Path) -> None:
    (experiments / "demo" / "experiment.yaml").write_text("policy: {starts: {wide: much}}\n")
    text = problems("venv.members=1.5", "venv.network.hidden=8", "policy.clone=true")
    assert "command line, venv.members: must be a whole number, not 1.5" in text
    assert "command line, venv.network.hidden: must be a list, not 8" in text
    assert "experiment.yaml, policy.starts.wide: must be a number, not 'much'" in text
    assert "policy.clone: must be a mapping of keys to values, not True" in text


def test_arguments_of_a_learner_are_keys_of_its_own(experiments: Path) -> None:
    assert "command line, policy.noise: unknown key" in problems("policy.noise=0.2")
    told = problems("policy=first_order", "policy.learner.noize=0.2")
    assert "policy.learner.noize: unknown key\n    -> did you mean 'policy.learner.noise'?" in told
    assert "there is no policy 'default'" in problems("policy=default")


def test_what_debug_sets_exists_and_fits(experiments: Path) -> None:
    (experiments / "demo" / "experiment.yaml").write_text("venv: {members: 5}\n")
    assert load_settings(["experiment=demo", "debug=fast"]).venv.members == 3
