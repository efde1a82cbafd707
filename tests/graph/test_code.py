"""Expert functions and custom networks: found by reading their files, never run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph, NodeKind
from revive.graph.description import parse_description, read_description
from revive.graph.nodes import CodeRef

Describe = Callable[[str], Path]

TEXT = """\
metadata:
  columns:
    - x: {dim: s, type: continuous}
    - u: {dim: a, type: continuous}
    - d: {dim: done, type: category, values: [0, 1]}
  graph:
    a: [s]
    next_s: [s, a]
    done: [next_s]
"""
DONE = "  expert_functions: {{done: {{node_function: '{}'}}}}\n"
CUSTOM = "  custom_nodes: {{a: '{}'}}\n"

CODE = """\
raise RuntimeError("this file was run")
import numpy as np
from somewhere import borrowed
def plain(data): return data
def for_torch(data: dict[str, "torch.Tensor"]) -> "torch.Tensor": ...
def for_numpy(data) -> np.ndarray: ...
def two(a, b): ...
def defaults(data, scale=1.0, *, more=None): ...
async def later(data): ...
if True:
    def inside(data): ...
alias = plain
class Net: ...
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A file of functions beside the description."""
    path = tmp_path / "functions.py"
    path.write_text(CODE, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("plain", None),
        ("for_torch", "torch"),
        ("for_numpy", "numpy"),
        ("defaults", None),
        ("inside", None),
        ("alias", None),
        ("borrowed", None),
    ],
)
def test_functions_are_found_without_running_them(
    describe: Describe, code: Path, name: str, library: str | None
) -> None:
    graph = read_description(describe(TEXT + DONE.format(f"functions.{name}")))
    assert graph["done"].kind is NodeKind.FUNCTION
    assert graph["done"].function is not None
    assert graph["done"].function.code == CodeRef("functions.py", name, library)  # type: ignore[arg-type]
    assert graph.done == "done"
    assert graph.code_files == ("functions.py",)
    assert DecisionGraph.from_json(graph.to_json()) == graph


def test_a_transition_may_be_a_function(describe: Describe, code: Path) -> None:
    text = TEXT + DONE.format("functions.plain").replace("done:", "next_s:")
    graph = read_description(describe(text))
    assert graph.transitions == ("next_s",)
    assert graph["next_s"].kind is NodeKind.FUNCTION
    assert graph.learned == ("a", "done")


def test_custom_networks_stay_learned(describe: Describe, code: Path) -> None:
    graph = read_description(describe(TEXT + CUSTOM.format("functions.Net")))
    assert graph["a"].custom == CodeRef("functions.py", "Net")
    assert graph["a"].kind is NodeKind.DECISION


BAD = {
    "no such file": (DONE.format("functoins.plain"), ["'functoins.py'", "did you mean 'functions.py'"]),
    "no such function": (DONE.format("functions.plian"), ["line 10", "did you mean 'plain'"]),
    "no function": (DONE.format("functions.Net"), ["is a class"]),
    "too many arguments": (DONE.format("functions.two"), ["one argument", "def two(data)"]),
    "async": (DONE.format("functions.later"), ["async"]),
    "no dot": (DONE.format("plain"), ["'file.name'"]),
    "a path": (DONE.format("../functions.plain"), ["'file.name'"]),
    "no map": ("  expert_functions: {done: functions.plain}\n", ["node_function"]),
    "wrong key": (
        "  expert_functions: {done: {function: functions.plain}}\n",
        ["did you mean 'node_function'"],
    ),
    "not in graph": (
        DONE.format("functions.plain").replace("done:", "s:"),
        ["'s' stands under expert_functions"],
    ),
    "no class": (CUSTOM.format("functions.plain"), ["is a function, not a class"]),
    "both": (
        DONE.format("functions.plain") + CUSTOM.format("functions.Net").replace("a:", "done:"),
        ["'done' has a function as well"],
    ),
    "broken Python": (DONE.format("broken.f"), ["no valid Python (line 2)"]),
    "frozen function": (DONE.format("functions.plain") + "  nodes: {done: {freeze: true}}\n", ["'freeze'"]),
}


@pytest.mark.parametrize(("more", "said"), BAD.values(), ids=BAD.keys())
def test_wrong_code_is_explained(describe: Describe, code: Path, more: str, said: list[str]) -> None:
    code.with_name("broken.py").write_text("def f(x):\nreturn\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_description(describe(TEXT + more))
    for words in said:
        assert words in str(caught.value), str(caught.value)


def test_an_inline_description_needs_a_folder_for_code(code: Path) -> None:
    mapping = {
        "metadata": {
            "columns": [{"x": {"dim": "s", "type": "continuous"}}],
            "graph": {"next_s": ("s",)},
            "expert_functions": {"next_s": {"node_function": "functions.plain"}},
        }
    }
    with pytest.raises(UserError, match="no folder"):
        parse_description(mapping, "dataset.description")
    graph = parse_description(mapping, "dataset.description", code.parent)
    assert graph.functions == ("next_s",)
