"""The data report as a page: whole, alone, and no way in for what stands in the data."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from revive.data.finding import Finding
from revive.data.proposal import Proposal
from revive.data.report import DataReport, check_data
from revive.data.trajectories import Trajectories
from revive.errors import Problem, UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.report.data_page import data_page

EVIL = "<script>alert('x')</script> & \"co\""
VOID = {"meta", "br", "img", "link", "hr"}


class Balance(HTMLParser):
    """Open and closed tags, all attributes, and the text outside of pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Balance:
    parsed = Balance()
    parsed.feed(page)
    parsed.close()
    assert parsed.open == []
    return parsed


def made_of(*names: str) -> tuple[DecisionGraph, Trajectories]:
    """A state of these columns, an action that nobody bounds."""
    graph = DecisionGraph.build(
        [*(Column(name, "x", "continuous", units="K") for name in names), Column("u", "u", "continuous")],
        {"u": ["x"], "next_x": ["x", "u"]},
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(121, len(names))).cumsum(0)
    arrays = {"x": x[:-1], "u": rng.normal(size=(120, 1)), "next_x": x[1:]}
    return graph, Trajectories(arrays, np.array([50, 120]))


def page_of(*names: str) -> str:
    graph, logs = made_of(*names)
    return data_page("demo: the data", check_data(logs, graph), graph, logs)


def test_a_page_shows_graph_columns_histograms_and_the_longest_trajectory() -> None:
    page = page_of("level", "flow")
    parsed = read(page)
    assert parsed.tags.count("svg") == 3
    for text in ("120 rows in 2 trajectories of 50 to 70 rows", "level", "flow", "Histograms", "flowchart"):
        assert text in parsed.text
    assert "<title>demo: the data</title>" in page


def test_a_page_needs_nothing_from_elsewhere() -> None:
    page = page_of("level")
    parsed = read(page)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(parsed.tags)
    for name, value in parsed.attributes:
        if name.startswith(("xmlns", "rdf:")):
            continue  # names of vocabularies, which nobody fetches
        assert not re.search(r"(https?:)?//", value), (name, value)
        if name in ("href", "src", "xlink:href"):
            assert value.startswith(("#", "data:"))
    style = re.findall(r"<style.*?</style>", page, re.DOTALL)
    assert not any("@import" in text or "http" in text for text in style)


def test_what_the_user_wrote_is_shown_and_never_run() -> None:
    finding = Finding("warning", "odd", f"message {EVIL}", f"remedy {EVIL}", "x", "c")
    proposal = Proposal("clamp", (EVIL,), 1.0, f"proposal {EVIL}", f"yaml: {EVIL}")
    report = DataReport((finding,), (proposal,), (), 7, 1, 7, 7)
    page = data_page(EVIL, report, None, None)
    parsed = read(page)
    assert "script" not in parsed.tags
    for text in (f"message {EVIL}", f"remedy {EVIL}", f"proposal {EVIL}", f"yaml: {EVIL}"):
        assert text in parsed.text


def test_columns_of_any_name_end_as_text() -> None:
    page = page_of("<b>bold</b>", "a & b", "]]>", "price [$]")
    parsed = read(page)
    assert "b" not in parsed.tags
    assert "<b>bold</b>" in parsed.text


def test_columns_of_two_dollars_end_as_text() -> None:
    text = read(page_of(r"$_ per $h", "$x^$")).text
    assert "$_ per $h" in text
    assert "$x^$" in text


def test_data_that_cannot_be_read_still_make_a_page() -> None:
    error = UserError(Problem("no such file", "logs.npz"), Problem("is <empty>", "other.npz", "row 3"))
    page = data_page("demo", DataReport.of_error(error), None, None)
    parsed = read(page)
    assert "the data could not be read" in parsed.text
    assert "2 errors" in parsed.text
    assert "no such file" in parsed.text
    assert "is <empty>" in parsed.text
    assert "svg" not in parsed.tags


def test_values_that_are_missing_or_all_alike_make_pictures() -> None:
    graph, logs = made_of("level", "flow")
    logs.arrays["x"][:, 0] = 3.0
    logs.arrays["x"][5:60, 1] = np.nan
    assert "svg" in read(data_page("demo", DataReport((), rows=120), graph, logs)).tags


def test_equal_data_make_equal_pages() -> None:
    assert page_of("level") == page_of("level")


@pytest.mark.parametrize("rows", [1, 2])
def test_a_trajectory_of_a_row_or_two_makes_a_page(rows: int) -> None:
    graph, logs = made_of("level")
    short = Trajectories({name: value[:rows] for name, value in logs.arrays.items()}, np.array([rows]))
    assert "svg" in read(data_page("demo", DataReport((), rows=rows), graph, short)).tags
