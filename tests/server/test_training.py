"""Training in a process of its own: what comes back, how it is stopped, and what becomes of it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from revive.errors import UserError
from revive.server import ReviveServer, TrainingFailed
from tests.server.conftest import Make

LONG = {"policy": "first_order", "policy.learner.iterations": 4000}
RUNNING = {
    "task_state": "Run",
    "current_num_of_trials": 0,
    "total_num_of_trials": 1,
    "policy_acc": -math.inf,
}


def until(what: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_it_can_be_watched_stopped_and_gone_on_with(make: Make) -> None:
    server = make(run_id="stopped", debug=False, venv_mode="once", policy_mode="once", **LONG)
    server.train()
    with pytest.raises(UserError, match="is being trained"):
        server.train()
    other = make(run_id="stopped", debug=False, venv_mode="once", policy_mode="once", **LONG)
    until(lambda: server.status()["policy"]["task_state"] == "Run")
    assert server.get_virtualenv_env()[0] is not None
    assert server.get_policy_model() == (None, RUNNING, {0: ("running", "")}, None)
    assert other.status()["policy"] == server.status()["policy"]  # told by the run folder alone
    assert not other.status()["running"]
    server.stop_train()
    server.wait()
    assert server.status()["policy"] == {**RUNNING, "task_state": "Shutdown", "trials": {0: ("stopped", "")}}
    assert json.loads((server.folder / "state.json").read_text())["state"] == "interrupted"
    assert "venv " in server.log
    server.train()
    until(lambda: "venv: done before" in server.log)
    server.stop_train()


def test_its_errors_are_those_of_the_caller(make: Make, tmp_path: Path) -> None:
    bad = tmp_path / "reward.py"
    bad.write_text("def get_reward(data):\n    raise ValueError('no luck')\n")
    server = make(reward_file_path=bad, debug=False, venv_mode="once")
    server.train()
    with pytest.raises(UserError, match="no luck") as caught:
        server.wait()
    assert caught.value.problems[0].file == str(bad)
    assert caught.value.problems[0].place == "line 2"
    assert "no luck" in server.status()["error"]


def test_a_mistake_of_ours_comes_with_its_whole_traceback(make: Make, tmp_path: Path) -> None:
    bad = tmp_path / "reward.py"
    bad.write_text("class Odd(BaseException): pass\ndef get_reward(data):\n    raise Odd('not foreseen')\n")
    server = make(reward_file_path=bad, debug=False, venv_mode="once")
    with pytest.raises(TrainingFailed, match=r"(?s)Traceback.*in get_reward.*not foreseen"):
        server.train(wait=True)


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_what_it_printed(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    server = make(run_id="killed", debug=False, venv_mode="once", policy_mode="once", **LONG)
    server.train()
    until(lambda: server.status()["policy"]["task_state"] == "Run")
    os.kill(int((server.folder / ".lock").read_text()), signal.SIGKILL)
    with pytest.raises(TrainingFailed, match=r"(?s)signal 9.*rows"):
        server.wait()
    assert server.status()["policy"]["task_state"] == "Shutdown"
    assert server.get_virtualenv_env()[0] is not None


@pytest.mark.slow
def test_it_ends_with_whoever_began_it(make: Make) -> None:
    waiting: ReviveServer = make(run_id="orphan", debug=False, venv_mode="once", policy_mode="once", **LONG)
    code = (
        "import json, sys, time\nfrom revive.config.settings import Settings\n"
        "from revive.server.training import Training\n"
        "training = Training(Settings.check(json.loads(sys.stdin.read())))\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        parent.stdin.write(json.dumps(waiting.settings.as_dict()))
        parent.stdin.close()
        until(lambda: waiting.status()["policy"]["task_state"] == "Run")
        parent.kill()
    until(lambda: json.loads((waiting.folder / "state.json").read_text())["state"] == "interrupted", 30)


@pytest.mark.slow  # Ray starts
def test_a_search_on_ray_in_a_process_of_its_own(make: Make) -> None:
    server = make(
        debug=False, policy_mode="none", train_venv_trials=2, **{"ray.enabled": True, "search.retrain": 0}
    )
    before = dict(os.environ)
    server.train(wait=True)
    assert set(server.get_virtualenv_env()[2].values()) <= {("finished", ""), ("pruned", "")}
    assert dict(os.environ) == before
    assert "ray" not in sys.modules
