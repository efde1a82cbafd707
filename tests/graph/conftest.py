from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

REFRIGERATOR = """\
metadata:
  columns:
    - door_open: {dim: door_open, type: continuous}
    - temperature: {dim: temperature, type: continuous}
    - action: {dim: action, type: continuous, min: 0, max: 10}
  graph:
    action: [temperature]
    next_temperature: [action, temperature, door_open]
"""


@pytest.fixture
def describe(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a description file."""

    def write(text: str) -> Path:
        path = tmp_path / "description.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def refrigerator(describe: Callable[[str], Path]) -> Path:
    return describe(REFRIGERATOR)
