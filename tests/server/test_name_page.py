"""The tables of REVIVE's names in docs/server.md are those of the code, and leave no name out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from revive.server.learners import networks, tables
from revive.server.name_page import BEGIN, END, written

NAMES = {
    part.partition(":")[0]: part.partition(":")[2].split()
    for part in (Path(__file__).parent / "reference_names.txt").read_text().split("\n\n")[1:]
}
PAGE = Path(__file__).parents[2] / "docs" / "server.md"
ROW = re.compile(r"^\| `(\w+)`[^|]*\|(.*)\|$")


def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def parts() -> tuple[str, dict[str, dict[str, list[str]]]]:
    """What is written by hand, and of each section of the tables: name -> cells."""
    before, _, rest = text().partition(BEGIN)
    sections: dict[str, dict[str, list[str]]] = {}
    for line in rest.partition(END)[0].splitlines():
        if line.startswith("#### "):
            found = sections.setdefault(re.findall(r"(\w+)_config|$", line)[0].partition("_")[0], {})
        elif row := ROW.match(line):
            found[row[1]] = [cell.strip() for cell in row[2].split(" | ")]
    return before, sections


def test_the_page_is_as_the_tables_are() -> None:
    assert text() == written(text()), "write it anew: python -m revive.server.name_page docs/server.md"


@pytest.mark.parametrize("section", ["base", "venv", "policy"])
def test_every_name_has_a_counterpart_or_a_reason(section: str) -> None:
    rows = parts()[1][section]
    assert not set(NAMES[section]) - set(rows)
    for name, (*cells, why) in rows.items():
        assert all(cells), name
        assert bool(why) == any("none" in re.split(r"[ ;]+", cell) for cell in cells), name
        assert not any("<" in cell or " object at " in cell for cell in cells), name


@pytest.mark.parametrize("name", [*NAMES["algorithms"], *NAMES["elsewhere"]])
def test_what_training_shows_and_leaves_is_spoken_of(name: str) -> None:
    assert re.search(rf"`[^`\n]*(?<![\w.*]){re.escape(name)}(?!\w)[^`\n]*`", parts()[0]), name


@pytest.mark.parametrize("venv", ["multi_step", "bc", "adversarial"])
@pytest.mark.parametrize("learner", ["auto", "ppo", "sac"])
def test_every_learner_knows_every_name(learner: str, venv: str) -> None:
    known, sizes = tables(learner, venv), networks(learner, venv)
    for section in ("base", "venv", "policy"):
        for name in NAMES[section]:
            of_networks = any(name.startswith(f"{who}_hidden_") for who in sizes.get(section, {}))
            assert name in known[section] or of_networks, name
