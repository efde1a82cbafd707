"""Arguments against constructors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypedDict, Unpack

import pytest

from revive.config import check_arguments, check_sections, instantiate
from revive.errors import UserError


@dataclass
class Graph:
    """Something that must reach a constructor as it is."""

    names: dict[str, int]


class Part:
    def __init__(self, size: int = 1) -> None:
        self.size = size


class Learner:
    def __init__(
        self,
        graph: Graph,
        *,
        lr: float,
        layers: tuple[int, ...] = (1,),
        kind: Literal["linear", "deep"] = "linear",
        steps: int | None = None,
        part: Part | None = None,
        file: Path | None = None,
    ) -> None:
        if lr < 0:
            raise UserError("lr is negative")
        self.graph, self.lr, self.layers, self.kind, self.part = graph, lr, layers, kind, part


class Loose:
    def __init__(self, size: "NotThere", **more: Any) -> None:  # type: ignore[name-defined]  # noqa: F821, UP037
        self.size, self.more = size, more


class Course(TypedDict):
    """Arguments that several constructors share."""

    lr: float
    layers: list[int]


class Child:
    def __init__(self, graph: Graph, **course: Unpack[Course]) -> None:
        self.graph, self.course = graph, course


@pytest.fixture(autouse=True)
def module() -> Iterator[None]:
    """The classes above as if they were part of the package."""
    name = "revive.made_for_this_test"
    made = ModuleType(name)
    for thing in (Learner, Part, Loose, Child):
        thing.__module__ = name
        setattr(made, thing.__name__, thing)
    made.Path = Path  # type: ignore[attr-defined]
    made.Graph = Graph  # type: ignore[attr-defined]
    sys.modules[name] = made
    yield
    del sys.modules[name]


def section(name: str = "Learner", **values: Any) -> dict[str, Any]:
    return {"_target_": f"revive.made_for_this_test.{name}", **values}


def messages(values: dict[str, Any], **options: Any) -> list[str]:
    return [str(problem) for problem in check_arguments(values, "venv.learner", **options)]


def test_good_arguments_pass() -> None:
    good = section(lr=1, layers=[2, 3], kind="deep", steps=None, part=section("Part", size=2), file="a/b")
    assert messages(good) == []


def test_every_problem_is_found() -> None:
    found = messages(
        section(lrr=1, lr="fast", layers=[1, "x"], kind="dep", steps=1.5, part=section("Part", sz=1))
    )
    assert len(found) == 6
    assert found[0].startswith("venv.learner.lrr: ")
    assert "did you mean 'lr'?" in found[0]
    assert found[1] == "venv.learner.lr: must be a number, not 'fast'"
    assert "venv.learner.kind: must be 'linear' or 'deep', not 'dep'" in found
    assert any(text.startswith("venv.learner.part.sz: ") for text in found)


def test_true_is_no_number() -> None:
    assert messages(section(lr=True)) == ["venv.learner.lr: must be a number, not True"]


def test_missing_and_supplied_arguments() -> None:
    assert messages(section()) == []
    assert "venv.learner.lr: has no value" in messages(section(), supplied=["graph"])[0]
    assert "the program fills it in" in messages(section(lr=1, graph=1), supplied=["graph"])[0]


def test_unreadable_annotations_and_open_ends_are_left_alone() -> None:
    assert messages(section("Loose", size="x", other=1)) == []


def test_shared_arguments_are_checked_one_by_one() -> None:
    assert messages(section("Child", lr=0.1, layers=[1]), supplied=["graph"]) == []
    found = messages(section("Child", lr="fast", layer=[1]), supplied=["graph"])
    assert [text.partition(":")[0] for text in found] == [
        "venv.learner.lr",
        "venv.learner.layer",
        "venv.learner.layers",
    ]
    assert "did you mean 'layers'?" in found[1]
    made = instantiate(section("Child", lr=0.1, layers=[4]), "venv.learner", graph=Graph({}))
    assert made.course == {"lr": 0.1, "layers": [4]}


def test_instantiate_hands_extra_arguments_over_untouched() -> None:
    graph = Graph({"a": 1})
    made = instantiate(section(lr=0.1, layers=[4], part=section("Part", size=3)), "venv.learner", graph=graph)
    assert made.graph is graph
    assert (made.lr, list(made.layers), made.part.size) == (0.1, [4], 3)
    assert type(made.layers) is not object


def test_instantiate_reports_before_it_calls() -> None:
    with pytest.raises(UserError, match=r"venv\.learner\.lr: must be a number"):
        instantiate(section(lr="x"), "venv.learner", graph=None)


def test_a_constructor_may_complain_itself() -> None:
    with pytest.raises(UserError, match="lr is negative"):
        instantiate(section(lr=-1), "venv.learner", graph=None)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("os.system", r"must start with 'revive\.'"),
        ("revive", r"must start with 'revive\.'"),
        (None, "must name a class, not null"),
        ("revive.nowhere.Learner", "no module 'revive.nowhere'"),
        ("revive.made_for_this_test.Lerner", r"did you mean 'revive\.made_for_this_test\.Learner'"),
        ("revive.made_for_this_test.Path", "has no class 'Path'"),
    ],
)
def test_targets_are_those_of_the_package(target: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        instantiate({"_target_": target}, "venv.learner")


def test_sections_are_found_wherever_they_are() -> None:
    values = {
        "seed": 0,
        "venv": {"mode": "once", "learner": section(lrr=1)},
        "tracking": section("Part", sz=1),
    }
    assert [problem.place for problem in check_sections(values)] == ["venv.learner.lrr", "tracking.sz"]
