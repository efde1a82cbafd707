"""The example of docs/server.md, from its first block to its last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "server.md"


def run(blocks: list[tuple[str, str, str]], folder: Path, names: dict[str, Any]) -> None:
    for language, file, text in blocks:
        if file:
            (folder / file).write_text(text)
        elif language == "python":
            exec(compile(text, str(PAGE), "exec"), names)


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```(\w+) ?([\w.]*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) >= 8
    run(blocks, tmp_path, names)
    assert not names["server"].notes  # all of its config has a counterpart
    assert set(names["trials"].values()) <= {("finished", ""), ("pruned", "")}
    assert len(names["trials"]) == 3
    assert names["metrics"]["task_state"] == names["policy_metrics"]["task_state"] == "End"
    assert names["policy"].model.spec.hidden == (32, 32)
