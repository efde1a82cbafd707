"""Bundles of three shipped experiments, learned with tiny limits once for all tests of the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from revive.__main__ import main

EXPERIMENTS = ("refrigerator", "lander_hover", "pipeline")  # numbers, category actions, histories


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each experiment, which have a venv and a policy bundle."""
    log_dir = tmp_path_factory.mktemp("runs")
    for name in EXPERIMENTS:
        options = ["debug=fast", "tracking=none", "report=false", f"log_dir={log_dir}", f"run_id={name}"]
        assert main([f"experiment={name}", *options]) == 0
    return log_dir
