"""A search on a cluster of two real Ray nodes, both on this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from revive.__main__ import main
from revive.config.experiments import find_experiment
from revive.policy.simulator import GroundTruth

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RAY = Path(sys.executable).with_name("ray")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _node(*arguments: str, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    quiet = {"RAY_USAGE_STATS_ENABLED": "0"}
    command = [*before, str(RAY), "start", "--block", "--num-cpus=1", "--disable-usage-stats", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **quiet}
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


@pytest.fixture
def head() -> Iterator[str]:
    """The address of a Ray of one CPU that was started by somebody else."""
    port = _free_port()
    node = _node("--head", f"--port={port}", "--include-dashboard=false")
    try:
        _wait_for(address := f"127.0.0.1:{port}")
        yield address
    finally:
        node.terminate()
        node.wait(60)


def _search(tmp_path: Path, address: str, *more: str) -> int:
    tuned = (
        "venv.mode=tune",
        "policy.mode=none",
        "search.trials=4",
        "search=random",
        "search.scheduler=fifo",
    )
    where = (f"ray.address={address}", f"log_dir={tmp_path / 'runs'}", "run_id=r", "tracking=none")
    return main(["experiment=refrigerator", "debug=fast", *tuned, *where, *more])


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
        assert _search(tmp_path, head, *_longer(tmp_path)) == 0
    finally:
        second.terminate()
        second.wait(60)
    trials = _trials(tmp_path)
    assert {trial["state"] for trial in trials} == {"finished"}
    assert len({trial["where"] for trial in trials}) == 2
    assert _nodes(head) >= 1  # a Ray that is not ours is left alone


def test_a_node_that_cannot_see_the_runs_is_refused(
    head: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{tmp_path}" && exec "$@"', "sh")
    if not shutil.which("unshare") or not _works(*blind, "true"):
        pytest.skip("no mounts of one's own here")
    second = _node(f"--address={head}", before=blind)
    try:
        deadline = time.monotonic() + 60
        while _nodes(head) < 2 and time.monotonic() < deadline:
            time.sleep(1)
        assert _search(tmp_path, head) == 2
    finally:
        second.terminate()
        second.wait(60)
    told = capsys.readouterr().err
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
        [sys.executable, "-c", code, address], capture_output=True, text=True, timeout=120, check=False
    )
    return int(asked.stdout.split()[-1]) if asked.stdout.split() else 0
