"""What must start fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "pytorch_lightning", "mlflow", "ray", "scipy", "matplotlib", "pandas")


@pytest.mark.parametrize(
    "what",
    [
        "revive",
        "revive.config",
        "revive.config.launch",
        "revive.runs",
        "revive.tracking",
        "revive.pipeline.new",
        "revive.pipeline.compare",
    ],
)
def test_import_loads_nothing_heavy(what: str) -> None:
    code = f"import sys, {what}; print([name for name in {HEAVY} if name in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
