"""The pipeline knows learners by their contract alone."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import revive.pipeline
from revive.training import Learner
from tests.contract import shipped_learners, small_settings

FILES = sorted(Path(revive.pipeline.__file__).parent.glob("*.py"))


@cache
def own_classes() -> set[str]:
    """Of every learner that `conf` names."""
    found = set()
    for section in ("venv", "policy"):
        for name in shipped_learners(section):
            target = getattr(small_settings(section, name), section).learner["_target_"]
            module, _, cls = target.rpartition(".")
            assert issubclass(getattr(importlib.import_module(module), cls), Learner)
            found.add(cls)
    return found


def names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def asked_types(tree: ast.AST) -> Iterator[str]:
    """The types that `isinstance` is asked for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            yield ast.unparse(node.args[1])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_names_no_learner_and_asks_for_none(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = [name for name in names_in(tree) if name.rpartition(".")[2] in own_classes()]
    imported = [name for name in names_in(tree) if ".learners." in name and ".learners.base." not in name]
    asked = [text for text in asked_types(tree) if "Learner" in text]
    assert (named, imported, asked) == ([], [], [])
