"""ReviveServer against real, tiny runs."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive.config.experiments import find_experiment
from revive.errors import UserError
from revive.policy.simulator import GroundTruth
from revive.server import ReviveServer
from revive.server_names import NAMES, from_file, translate

Make = Callable[..., ReviveServer]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "logs.npz"
    np.savez(file, **GroundTruth.load(find_experiment("refrigerator").folder / "simulator.py").make_data())
    return file


@pytest.fixture(scope="module")
def make(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder, log_dir = find_experiment("refrigerator").folder, tmp_path_factory.mktemp("runs")

    def make(**given: Any) -> ReviveServer:
        given = {
            "reward_file_path": folder / "reward.py",
            "log_dir": log_dir,
            "debug": True,
            "tracking": "none",
            **given,
        }
        return ReviveServer(logs, folder / "description.yaml", **given)

    return make


@pytest.fixture(scope="module")
def tuned(make: Make) -> ReviveServer:
    """A finished run in which both stages were tuned."""
    server = make(run_id="tuned")
    server.train(wait=True)
    return server


def test_training_gives_a_venv_and_a_policy(tuned: ReviveServer) -> None:
    venv, metrics, trials = tuned.get_virtualenv_env()
    assert venv is not None
    assert (metrics["task_state"], metrics["current_num_of_trials"]) == ("End", 3)
    assert metrics["held_out_error"] > 0
    assert trials == {0: ("finished", ""), 1: ("finished", ""), 2: ("finished", "")}
    policy, metrics, trials = tuned.get_policy_model()
    assert policy is not None
    assert metrics["pessimistic_score"] < 0
    assert len(trials) == 3
    assert policy.act({"temperature": [[1.0]]})["action"].shape == (1, 1)
    assert tuned.status()["venv"]["task_state"] == "End"
    assert tuned.get_parameter() is None
    assert json.loads((tuned.folder / "search" / "venv" / "trials.json").read_text())["chosen"]["params"]


def test_an_earlier_run_is_found_by_its_name(tuned: ReviveServer, make: Make) -> None:
    again = make(run_id="tuned")
    assert again.get_policy_model()[0] is not None
    assert again.status()["running"] is False


def test_nothing_yet(make: Make) -> None:
    server = make(venv_mode="once")
    assert server.run_id.startswith("description-")
    assert server.get_virtualenv_env() == (None, {"task_state": "Wait"}, {})
    assert server.get_policy_model()[0] is None
    assert not server.folder.exists()


def test_stages_one_by_one(make: Make) -> None:
    server = make(run_id="steps", venv_mode="once", policy_mode="once")
    server.train_venv(wait=True)
    assert server.get_virtualenv_env()[0] is not None
    assert server.get_policy_model()[0] is None
    server.train_policy(wait=True)
    assert server.get_policy_model()[0] is not None


def test_a_policy_in_the_venv_of_another_run(tuned: ReviveServer, make: Make) -> None:
    server = make(run_id="other", policy_mode="once")
    server.train_policy(env_save_path=tuned.folder / "venv", wait=True)
    assert server.get_policy_model()[0] is not None
    assert not (server.folder / "venv").exists()


def test_training_in_the_background_can_be_stopped_and_goes_on(make: Make) -> None:
    server = make(
        run_id="stopped", venv_mode="once", policy_mode="once", **{"policy.learner.iterations": 4000}
    )
    server._debug = False
    server.train()
    with pytest.raises(UserError, match="is being trained"):
        server.train()
    deadline = time.monotonic() + 120
    while server.status()["policy"]["task_state"] != "Run" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.get_virtualenv_env()[0] is not None
    server.stop_train()
    server.wait()
    assert server.status()["policy"]["task_state"] == "Shutdown"
    assert json.loads((server.folder / "state.json").read_text())["state"] == "interrupted"


def test_what_goes_wrong_reaches_who_waits(make: Make, tmp_path: Path) -> None:
    bad = tmp_path / "reward.py"
    bad.write_text("def get_reward(data):\n    raise ValueError('no luck')\n")
    server = make(reward_file_path=bad, venv_mode="once")
    with pytest.raises(UserError, match="no luck"):
        server.train(wait=True)
    assert "no luck" in server.status()["error"]


@pytest.mark.parametrize(
    ("given", "key", "expected"),
    [
        ({"val_file_path": "v.npz"}, "dataset.validation_path", Path("v.npz").absolute()),
        ({"user_module_file_path": "u.py"}, "venv.user_module", Path("u.py").absolute()),
        ({"target_policy_name": "action"}, "policy.target", "action"),
        ({"address": "auto"}, "ray.address", "auto"),
        ({"policy_mode": "None"}, "policy.mode", "none"),
        ({"tuning_mode": "max"}, "tuning.mode", "max"),
        (
            {"tune_initial_state": {"temperature": np.zeros(1)}},
            "tuning.initial_state",
            {"temperature": [0.0]},
        ),
        ({"debug": False}, "ray.enabled", True),
        ({"global_seed": 5}, "seed", 5),
        ({"venv_search_algo": "random"}, "search.sampler", "revive.search.samplers.RandomSampler"),
        ({"search": "grid"}, "search.sampler", "revive.search.samplers.GridSampler"),
        ({"train_venv_trials": 7}, "search.trials", 7),
    ],
)
def test_arguments_mean_what_they_say(make: Make, given: dict[str, Any], key: str, expected: object) -> None:
    value: Any = make(**given).settings
    for part in key.split("."):
        value = getattr(value, part)
    assert value == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"matcher_reward_file_path": "m.py"}, "no counterpart"),
        ({"d_steps": 3}, "d_steps"),
        ({"venv_mode": "twice"}, "venv.mode"),
        ({"sede": 1}, "did you mean 'seed'"),
        ({"venv.learner.lrr": 1}, "did you mean 'venv.learner.lr'"),
        ({"revive_config_file_path": "nowhere.json"}, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_at_once(make: Make, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**given)


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_arguments_beat_the_file_and_the_file_beats_defaults(make: Make, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"config.{suffix}"
    chosen = {
        "base_config": {"global_seed": 3, "val_split_ratio": 0.25},
        "policy_algo_config": {
            "ppo": [
                {
                    "name": "g_lr",
                    "default": 0.002,
                    "search_mode": "continuous",
                    "search_values": [0.001, 0.01],
                }
            ]
        },
        "venv": {"learner": {"lr": 0.004}},
    }
    file.write_text(json.dumps(chosen))  # JSON is YAML
    settings = make(revive_config_file_path=file, global_seed=4).settings
    assert (settings.seed, settings.dataset.split.validation) == (4, 0.25)
    assert settings.venv.learner["lr"] == 0.004
    assert settings.policy.learner["lr"] == 0.002
    assert settings.policy.space["learner"]["lr"] == "uniform(0.001, 0.01)"


def test_every_name_with_a_counterpart_exists(make: Make) -> None:
    values = {"bool": True, "int": 4, "float": 0.3}
    settings = make().settings.as_dict()
    for name, target in NAMES.items():
        if isinstance(target, str) and target.startswith("!"):
            with pytest.raises(UserError, match="no counterpart"):
                translate({name: 1})
            continue
        for key in from_file({name: values["int"]}):
            below: Any = settings
            for part in key.split("."):
                assert part in below, (name, key)
                below = below[part]


def test_nothing_global_is_touched(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["notebook", "--nonsense", "seed=9"])
    before, where = dict(os.environ), Path.cwd()
    server = make(venv_mode="once", policy_mode="none")
    server.train(wait=True)
    assert server.settings.seed == 0
    assert (dict(os.environ), Path.cwd()) == (before, where)
