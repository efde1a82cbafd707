"""A search on a cluster of two real Ray nodes, both on this machine."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from revive.config.experiments import find_experiment
from revive.policy.simulator import GroundTruth

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RAY = Path(sys.executable).with_name("ray")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _node(*arguments: str, before: tuple[str, ...] = (), mode: str = "token") -> subprocess.Popen[bytes]:
    chosen = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": mode}
    command = [*before, str(RAY), "start", "--block", "--num-cpus=1", "--disable-usage-stats", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **chosen}
    )


def _wait_for(address: str) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.5)
    pytest.fail("Ray did not start")


@pytest.fixture(autouse=True)
def token(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A token that every process of a test finds, whatever this machine has at home."""
    kept = tmp_path_factory.mktemp("ray") / "auth_token"
    kept.write_text(secrets.token_hex(32), encoding="utf-8")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(kept))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    return kept


@pytest.fixture(params=["token"])
def head(request: pytest.FixtureRequest, token: Path) -> Iterator[str]:
    """The address of a Ray of one CPU that was started by somebody else."""
    port = _free_port()
    node = _node("--head", f"--port={port}", "--include-dashboard=false", mode=request.param)
    try:
        _wait_for(address := f"127.0.0.1:{port}")
        yield address
    finally:
        node.terminate()
        node.wait(60)


def _search(tmp_path: Path, address: str, *more: str) -> tuple[int, str]:
    """What a search in a process of its own, as users start it, ends with and says on stderr."""
    tuned = (
        "venv.mode=tune",
        "policy.mode=none",
        "search.trials=4",
        "search=random",
        "search.scheduler=fifo",
    )
    where = (f"ray.address={address}", f"log_dir={tmp_path / 'runs'}", "run_id=r", "tracking=none")
    command = [sys.executable, "-m", "revive", "experiment=refrigerator", "debug=fast", *tuned, *where, *more]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    return ended.returncode, ended.stderr


def _trials(tmp_path: Path) -> list[dict[str, Any]]:
    file = tmp_path / "runs" / "r" / "search" / "venv" / "trials.json"
    return json.loads(file.read_text())["trials"]  # type: ignore[no-any-return]


def _longer(tmp_path: Path) -> list[str]:
    """Trials long enough that both nodes get some."""
    logs = tmp_path / "logs.npz"
    import numpy as np

    np.savez(logs, **GroundTruth.load(find_experiment("refrigerator").folder / "simulator.py").make_data())
    return [f"dataset.path={logs}", "venv.learner.one_step_updates=400", "search.trials=6"]


def test_trials_run_on_both_nodes(head: str, tmp_path: Path) -> None:
    second = _node(f"--address={head}")
    try:
        deadline = time.monotonic() + 60
        while _nodes(head) < 2 and time.monotonic() < deadline:
            time.sleep(1)
        code, told = _search(tmp_path, head, *_longer(tmp_path))
        assert code == 0, told
    finally:
        second.terminate()
        second.wait(60)
    trials = _trials(tmp_path)
    assert {trial["state"] for trial in trials} == {"finished"}
    assert len({trial["where"] for trial in trials}) == 2
    assert _nodes(head) >= 1  # a Ray that is not ours is left alone


@pytest.mark.parametrize("head", ["disabled"], indirect=True)
def test_a_ray_without_tokens_is_joined(head: str, tmp_path: Path) -> None:
    code, told = _search(tmp_path, head)
    assert code == 0, told


def test_the_token_of_another_ray_is_refused_in_one_message(head: str, token: Path, tmp_path: Path) -> None:
    token.write_text(secrets.token_hex(32), encoding="utf-8")
    code, told = _search(tmp_path, head)
    assert code == 2
    assert "lets nobody in: the token of this machine is missing or another" in told
    assert "ray get-auth-token" in told
    assert "Traceback" not in told


def test_a_ray_that_asks_for_a_token_says_so_where_none_is_shown(
    head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    code, told = _search(tmp_path, head)
    assert code == 2
    assert "it asks for a token, and none was shown" in told
    assert "RAY_AUTH_MODE=token" in told


def test_a_node_that_cannot_see_the_runs_is_refused(head: str, tmp_path: Path) -> None:
    blind = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{tmp_path}" && exec "$@"', "sh")
    if not shutil.which("unshare") or not _works(*blind, "true"):
        pytest.skip("no mounts of one's own here")
    second = _node(f"--address={head}", before=blind)
    try:
        deadline = time.monotonic() + 60
        while _nodes(head) < 2 and time.monotonic() < deadline:
            time.sleep(1)
        code, told = _search(tmp_path, head)
    finally:
        second.terminate()
        second.wait(60)
    assert code == 2
    assert "every machine of a cluster must" in told
    assert "log_dir on shared storage" in told


def _works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _nodes(address: str) -> int:
    """How many nodes the cluster has; asked in a process of its own, as a stranger would."""
    code = (
        "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level=50);"
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code, address],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "RAY_AUTH_MODE": "token"},
    )
    return int(asked.stdout.split()[-1]) if asked.stdout.split() else 0
