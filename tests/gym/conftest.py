from __future__ import annotations

from pathlib import Path

import pytest

from tests.made_runs import EXPERIMENTS, made_run


@pytest.fixture(scope="session")
def runs() -> Path:
    """A folder with bundles of three experiments."""
    for name in EXPERIMENTS:
        made_run(name)
    return made_run(EXPERIMENTS[0]).parent
