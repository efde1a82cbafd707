"""The examples of docs/environments.md, from the first block to the last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.made_runs import made_run

for library in ("gymnasium", "minari", "pandas", "stable_baselines3"):
    pytest.importorskip(library)

PAGE = Path(__file__).parents[2] / "docs" / "environments.md"


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "fridge").symlink_to(made_run("refrigerator"))
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) >= 8
    names: dict[str, Any] = {}
    for text in blocks:
        exec(compile(text, str(PAGE), "exec"), names)
