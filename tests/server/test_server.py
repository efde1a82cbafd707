"""ReviveServer's arguments and methods against real, tiny runs, in this process."""

from __future__ import annotations

import json
import logging
import math
import os
import random
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from revive.errors import UserError
from revive.runs import write_json
from revive.runs.locks import hold
from revive.server import ReviveServer
from tests.server.conftest import Make

pytestmark = pytest.mark.usefixtures("unrendered")

RULE = "import torch\ndef get_reward(data, graph):\n    return torch.where(data['next_temperature'] > 9.0, -0.2, 0.0)\n"
SCALES = """
metadata:
  columns:
    - x: {dim: x, type: continuous}
    - u: {dim: u, type: continuous}
    - gain: {dim: gain, type: continuous, min: 0, max: 2}
  graph: {u: [x], next_x: [x, u, gain]}
  tunable: [gain]
"""


# -- methods -----------------------------------------------------------------------------------


def test_train_gives_a_venv_and_a_policy(tuned: ReviveServer) -> None:
    status = tuned.status()
    assert [status[stage]["task_state"] for stage in ("venv", "policy", "tuning")] == ["End"] * 3
    assert (status["running"], status["error"]) == (False, None)
    assert (tuned.folder / "search" / "venv" / "trials.json").is_file()
    assert json.loads((tuned.folder / "state.json").read_text())["state"] == "finished"


def test_get_virtualenv_env(tuned: ReviveServer) -> None:
    venv, metrics, trials, bundle = tuned.get_virtualenv_env()
    assert bundle == tuned.folder / "venv"
    assert metrics["venv_acc"] == -[v for k, v in metrics.items() if k.startswith("rollout_mae.")][-1]
    assert metrics["total_num_of_trials"] == len(trials)
    assert venv is not None
    assert venv.step({"temperature": [1.0], "door_open": [0.0]})["next_temperature"].shape == (1,)
    assert metrics["task_state"] == "End"
    assert metrics["held_out_error"] > 0
    assert metrics["current_num_of_trials"] == len(trials)
    assert set(trials.values()) == {("finished", "")}


def test_get_policy_model(tuned: ReviveServer) -> None:
    policy, metrics, trials, bundle = tuned.get_policy_model()
    assert bundle == tuned.folder / "policy"
    assert metrics["policy_acc"] == metrics["predicted"]
    assert policy is not None
    assert policy.act({"temperature": [[1.0]]})["action"].shape == (1, 1)
    assert metrics["pessimistic_score"] < 0
    assert len(trials) == metrics["current_num_of_trials"]


def test_an_earlier_run_is_found_by_its_name(tuned: ReviveServer, make: Make) -> None:
    again = make(run_id="tuned")
    assert again.get_policy_model()[1:] == tuned.get_policy_model()[1:]
    assert again.get_virtualenv_env()[0] is not None
    assert again.status()["running"] is False


def test_train_venv_then_train_policy(make: Make) -> None:
    server = make(run_id="steps", venv_mode="once", policy_mode="once")
    server.train_venv(wait=True)
    assert server.get_virtualenv_env()[0] is not None
    assert server.get_virtualenv_env()[2] == {0: ("finished", "")}
    waiting = {"task_state": "Wait", "current_num_of_trials": 0, "total_num_of_trials": 1}
    assert server.get_policy_model() == (None, {**waiting, "policy_acc": -math.inf}, {}, None)
    server.train_policy(wait=True)
    assert server.get_policy_model()[0] is not None


def test_a_policy_in_the_venv_of_another_run(tuned: ReviveServer, make: Make) -> None:
    server = make(run_id="other", policy_mode="once")
    server.train_policy(env_save_path=tuned.folder / "venv", wait=True)
    assert server.get_policy_model()[0] is not None
    assert not (server.folder / "venv").exists()


def gain_logs(folder: Path) -> dict[str, Any]:
    """x' = 0.5 x + gain - 0.3 u; the reward is best at gain 1."""
    rng = np.random.default_rng(0)
    arrays: dict[str, list[Any]] = {"x": [], "u": [], "next_x": [], "gain": []}
    for _ in range(20):
        gain, x = rng.uniform(0, 2), rng.normal()
        arrays["gain"].append([gain])
        for _ in range(30):
            u = x + 0.3 * rng.normal()
            after = 0.5 * x + gain - 0.3 * u + 0.02 * rng.normal()
            for name, value in (("x", x), ("u", u), ("next_x", after)):
                arrays[name].append([value])
            x = after
    np.savez(folder / "logs.npz", index=np.arange(30, 601, 30), **{k: np.array(v) for k, v in arrays.items()})
    (folder / "plant.yaml").write_text(SCALES)
    (folder / "reward.py").write_text("def get_reward(data):\n    return -(data['gain'] - 1.0).square()\n")
    return {
        "dataset_file_path": folder / "logs.npz",
        "dataset_desc_file_path": folder / "plant.yaml",
        "reward_file_path": folder / "reward.py",
        "venv_mode": "once",
        "policy_mode": "none",
    }


def test_tune_parameter_and_get_parameter(make: Make, tmp_path: Path) -> None:
    server = make(
        **gain_logs(tmp_path),
        tuning_mode="max",
        tune_initial_state={"x": np.zeros(1)},
        parameter_tuning_budget=200,
    )
    server.train_venv(wait=True)
    assert server.get_parameter()[0] is None
    server.tune_parameter(wait=True)
    best, told = server.get_parameter()
    assert best is not None
    assert best["gain"].tolist() == pytest.approx([1.0], abs=0.1)
    assert told["values"]["gain"]["gain"] == best["gain"][0]
    assert told["task_state"] == "End"
    assert server.status()["tuning"]["task_state"] == "End"
    assert server.settings.tuning.initial_state == {"x": [0.0]}


@pytest.mark.parametrize("method", ["train_venv", "train_policy", "tune_parameter"])
def test_a_stage_that_is_none_cannot_be_asked_for(make: Make, method: str) -> None:
    server = make(venv_mode="None", policy_mode="none")
    with pytest.raises(UserError, match="is none"):
        getattr(server, method)()
    assert not server.folder.exists()


def test_nothing_yet(make: Make) -> None:
    server = make(venv_mode="once")
    assert server.run_id.startswith("description-")
    waiting = {"task_state": "Wait", "current_num_of_trials": 0, "total_num_of_trials": 1}
    assert server.get_virtualenv_env() == (None, {**waiting, "venv_acc": -math.inf}, {}, None)
    assert server.get_policy_model()[0] is None
    server.stop_train()
    server.wait()
    assert not server.folder.exists()


def test_what_goes_wrong_is_raised_and_told(make: Make, tmp_path: Path) -> None:
    bad = tmp_path / "reward.py"
    bad.write_text("def get_reward(data):\n    raise ValueError('no luck')\n")
    server = make(reward_file_path=bad, venv_mode="once")
    with pytest.raises(UserError, match="no luck"):
        server.train(wait=True)
    assert "no luck" in server.status()["error"]


# -- what there is so far ----------------------------------------------------------------------


def test_the_best_trial_so_far_is_handed_over_while_others_run(tuned: ReviveServer, make: Make) -> None:
    server = make(run_id="halfway")
    shutil.copytree(tuned.folder / "search", server.folder / "search")
    write_json(server.folder / "state.json", {"state": "running", "stages": {"venv": "running"}})
    book = json.loads((server.folder / "search/venv/trials.json").read_text())
    book["trials"][1] |= {"state": "running", "metric": None}
    book["trials"].append(
        {**book["trials"][0], "id": 9, "state": "failed", "metric": None, "error": "no luck"}
    )
    write_json(server.folder / "search/venv/trials.json", book)
    with hold(server.folder):  # as another command does
        venv, metrics, trials, bundle = server.get_virtualenv_env()
    assert bundle is not None
    assert bundle.parts[-4:] == ("search", "venv", "trial_000", "venv")
    assert metrics["venv_acc"] == -metrics["held_out_error"]
    assert venv is not None
    assert metrics["task_state"] == "Run"
    assert (trials[1], trials[9]) == (("running", ""), ("failed", "no luck"))
    assert metrics["held_out_error"] == min(t["metric"] for t in book["trials"] if t["state"] == "finished")
    # whoever held it is gone
    assert server.get_virtualenv_env()[1]["task_state"] == "Shutdown"
    assert server.get_virtualenv_env()[2][1] == ("stopped", "")


def test_a_bundle_that_is_not_whole_gives_the_next_best_one(tuned: ReviveServer, make: Make) -> None:
    server = make(run_id="torn")
    shutil.copytree(tuned.folder / "search", server.folder / "search")
    shutil.copytree(tuned.folder / "policy", server.folder / "policy")
    (server.folder / "policy" / "model.safetensors").write_bytes(b"")
    assert server.get_policy_model()[0] is not None
    (server.folder / "search" / "policy" / "trials.json").write_text('{"trials": [')
    with pytest.raises(UserError, match="the manifest says"):
        server.get_policy_model()


# -- arguments that are more than a key of the settings ---------------------------------------


def test_val_file_path(make: Make, tmp_path: Path, logs: Path) -> None:
    arrays = dict(np.load(logs))
    np.savez(
        tmp_path / "val.npz", **{k: v[:300] if k != "index" else np.array([300]) for k, v in arrays.items()}
    )
    server = make(run_id="val", val_file_path=tmp_path / "val.npz", venv_mode="once", policy_mode="none")
    server.train(wait=True)
    assert json.loads((server.folder / "summary.json").read_text())["data"]["rows"] == 2000
    assert server.settings.dataset.validation_path == tmp_path / "val.npz"


def test_user_module_file_path(make: Make, tmp_path: Path, refrigerator: Path) -> None:
    text = (refrigerator / "description.yaml").read_text()
    description = tmp_path / "own.yaml"
    description.write_text(text + "  nodes: {next_temperature: {loss_type: user_module.mine}}\n")
    module = tmp_path / "module.py"
    module.write_text(
        "def mine(data):\n    print('was asked')\n"
        "    return (data['node_dist'].mean - data['expert_data'][data['node_name']]).abs().sum(-1)\n"
    )
    given = {"dataset_desc_file_path": description, "venv_mode": "once", "policy_mode": "none"}
    make(user_module_file_path=module, **given).train(wait=True)
    with pytest.raises(UserError, match=r"venv\.user_module"):
        make(**given).train(wait=True)


@pytest.mark.parametrize("mode", ["once", "tune"])
def test_matcher_reward_file_path(make: Make, tmp_path: Path, mode: Any) -> None:
    file = tmp_path / "rule.py"
    file.write_text(RULE)
    server = make(matcher_reward_file_path=file, venv_mode=mode, policy_mode="none")
    server.train(wait=True)
    assert server.get_virtualenv_env()[0] is not None
    file.write_text(RULE.replace("torch.where", "torch.were"))
    broken = make(matcher_reward_file_path=file, venv_mode=mode, policy_mode="none")
    with pytest.raises(UserError, match="torch"):
        broken.train(wait=True)


def test_target_policy_name(make: Make) -> None:
    server = make(target_policy_name="action, other")
    assert server.settings.policy.target == ["action", "other"]
    with pytest.raises(UserError, match="no decision node"):
        make(target_policy_name="temperature", venv_mode="once").train(wait=True)


def test_log_dir_and_run_id(
    tuned: ReviveServer, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert make(log_dir=None).settings.log_dir == tmp_path / "runs"
    assert make(log_dir="here", run_id="x").folder == tmp_path / "here" / "x"
    assert tuned.folder.is_dir()


def test_address(make: Make) -> None:
    server = make(address="127.0.0.1:1", **{"ray.enabled": True})
    with pytest.raises(UserError, match=r"no Ray answers at 127\.0\.0\.1:1"):
        server.train(wait=True)


@pytest.mark.parametrize(
    ("given", "key", "expected"),
    [
        ({"policy_mode": "None"}, "policy.mode", "none"),
        ({"tuning_mode": "max"}, "tuning.mode", "max"),
        ({"venv_mode": "once"}, "venv.mode", "once"),
        (
            {"tune_initial_state": {"temperature": np.zeros(1)}},
            "tuning.initial_state",
            {"temperature": [0.0]},
        ),
        ({"debug": True}, "venv.members", 3),
        ({"global_seed": 5}, "seed", 5),
        ({"search": "grid"}, "search.sampler", "revive.search.samplers.GridSampler"),
        ({"env_save_path": "/bundle"}, "venv_path", Path("/bundle")),
        ({"venv": {"learner": {"lr": 0.1}}}, "venv.learner", 0.1),
    ],
)
def test_arguments_mean_what_they_say(make: Make, given: dict[str, Any], key: str, expected: object) -> None:
    value: Any = make(**given).settings
    for part in key.split("."):
        value = getattr(value, part)
    assert (value["lr"] if key.endswith("learner") else value) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"matcher_reward_file_path": "m.py"}, "m.py, matcher_reward_file_path: no such file"),
        ({"reward_file_path": "nowhere.py"}, "reward_file_path: no such file"),
        ({"venv_mode": "twice"}, "venv.mode"),
        ({"venv.learner.lrr": 1}, "did you mean 'venv.learner.lr'"),
        ({"revive_config_file_path": "nowhere.json"}, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_at_once(make: Make, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**given)


def test_a_mode_that_is_written_out_beats_the_file(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"venv.mode": "once", "tuning.mode": "max"}))
    left = make(revive_config_file_path=file).settings
    assert (left.venv.mode, left.tuning.mode) == ("once", "max")
    written = make(revive_config_file_path=file, venv_mode="tune", tuning_mode="None").settings
    assert (written.venv.mode, written.tuning.mode) == ("tune", "none")


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_arguments_beat_the_file_and_the_file_beats_defaults(make: Make, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"config.{suffix}"
    chosen = {
        "base_config": {"global_seed": 3, "val_split_ratio": 0.25},
        "venv": {"learner": {"lr": 0.004}, "mode": "once"},
        "policy": {"mode": "none"},
        "run_id": "of-the-file",
    }
    file.write_text(json.dumps(chosen))  # JSON is YAML
    server = make(revive_config_file_path=file, global_seed=4, policy_mode="once", run_id="named")
    settings = server.settings
    assert (settings.seed, settings.dataset.split.validation, settings.venv.learner["lr"]) == (4, 0.25, 0.004)
    assert (settings.venv.mode, settings.policy.mode, server.run_id) == ("once", "once", "named")


def test_nothing_global_is_touched(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["notebook", "--nonsense", "seed=9"])
    logger = logging.getLogger("pytorch_lightning")

    def state() -> tuple[Any, ...]:
        drawn = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        return (
            *drawn,
            torch.get_num_threads(),
            dict(os.environ),
            Path.cwd(),
            logger.level,
            list(warnings.filters),
        )

    torch.set_num_threads(2)
    before = state()
    server = make(venv_mode="once", policy_mode="none")
    server.train(wait=True)
    assert server.settings.seed == 0
    assert state() == before
