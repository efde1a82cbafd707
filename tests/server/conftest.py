from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive.config.experiments import find_experiment
from revive.policy.simulator import GroundTruth
from revive.server import ReviveServer
from tests.conftest import figures_not_rendered

Make = Callable[..., ReviveServer]


@pytest.fixture(scope="session")
def refrigerator() -> Path:
    """Folder with description.yaml and reward.py."""
    return find_experiment("refrigerator").folder


@pytest.fixture(scope="session")
def logs(refrigerator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "logs.npz"
    np.savez(file, **GroundTruth.load(refrigerator / "simulator.py").make_data())
    return file


@pytest.fixture(scope="session")
def make(logs: Path, refrigerator: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A server of the refrigerator with tiny limits; in a process of its own where `debug` is False."""
    log_dir = tmp_path_factory.mktemp("runs")

    def make(**given: Any) -> ReviveServer:
        tiny = {"tracking": "none", "ray.enabled": False}
        if not given.get("debug", True):
            tiny["debug"] = "fast"  # type: ignore[assignment]
        usual = {"reward_file_path": refrigerator / "reward.py", "log_dir": log_dir, "debug": True}
        given = {**usual, **given}
        paths = {"dataset_file_path": logs, "dataset_desc_file_path": refrigerator / "description.yaml"}
        return ReviveServer(**{**paths, **given}, **{k: v for k, v in tiny.items() if k not in given})

    return make


@pytest.fixture(scope="session")
def tuned(make: Make) -> ReviveServer:
    """A finished run in which both stages were tuned."""
    server = make(run_id="tuned")
    with figures_not_rendered():
        server.train(wait=True)
    return server
