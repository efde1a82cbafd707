"""Every verdict that the code can pass has a row in docs/trust.md, and every row is of one that there is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE_OF_REMARKS = {"hidden-driver", "wrong-sign", "dead-time"}  # of a causal card, by the remark's own code


def codes_in(node: ast.Call) -> Iterator[str]:
    """What the first argument of a call can be: a word, or a word that begins with one of two."""
    first = node.args[0] if node.args else None
    if isinstance(first, ast.Constant):
        yield str(first.value)
    elif isinstance(first, ast.JoinedStr) and isinstance(first.values[-1], ast.Constant):
        yield from (f"{what}{first.values[-1].value}" for what in ("action", "state"))


def test_verdicts_and_their_rows_are_the_same() -> None:
    passed = set(MADE_OF_REMARKS)
    for file in (ROOT / "revive").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Verdict":
                passed.update(codes_in(node))
    section = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8").partition("## The verdicts")[2]
    cells = re.findall(r"^\|([^|]*)\|", section.partition("\n## ")[0], re.MULTILINE)
    assert passed == {code for cell in cells for code in re.findall(r"`([a-z-]+)`", cell)}
