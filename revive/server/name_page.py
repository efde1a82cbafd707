"""The table of REVIVE's parameters in docs/server.md, written from the tables that translate them.

    python -m revive.server.name_page docs/server.md

writes the page's lines between the two comments anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from revive.server.entries import Entry, Section, Why
from revive.server.learners import networks, tables
from revive.server.names import ABBREVIATIONS

BEGIN, END = "<!-- written by: python -m revive.server.name_page docs/server.md -->", "<!-- end -->"
SAME = "the same"
_Columns = Sequence[tuple[str, dict[str, str]]]
_BASE: _Columns = [("here", {})]
_VENV: _Columns = [
    ("`venv=multi_step`, the default", {}),
    ("`bc`", {"venv": "bc"}),
    ("`revive_p`, `revive_t`, `revive_f`: the game", {"venv": "adversarial"}),
]
_POLICY: _Columns = [
    ("neither is named: `policy=auto`", {}),
    ("`ppo`", {"learner": "ppo"}),
    ("`sac`", {"learner": "sac"}),
]
_SECTIONS: Sequence[tuple[Section, str, _Columns]] = (
    ("base", "Of all tasks (`base_config`)", _BASE),
    ("venv", "Of the venv's algorithm (`venv_algo_config`)", _VENV),
    ("policy", "Of the policy's algorithm (`policy_algo_config`)", _POLICY),
)


class Reasons:
    """Reasons why names have no counterpart, numbered as they come."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, why: Why) -> str:
        return f"none ({self.known.setdefault(why.reason, len(self.known) + 1)})"

    def lines(self) -> list[str]:
        return [f"{number}. {reason}" for reason, number in self.known.items()]


def page_lines() -> list[str]:
    """Markdown: a table for each section, and the reasons that they refer to."""
    reasons, lines = Reasons(), []
    for section, title, columns in _SECTIONS:
        lines += [f"#### {title}", ""]
        lines += [_row(["name", *(head for head, _ in columns)]), "|---" * (len(columns) + 1) + "|"]
        found = [_cells(section, chosen, reasons) for _, chosen in columns]
        for name in sorted({name for cells in found for name in cells}):
            told = [cells.get(name, "") for cells in found]
            same = [
                SAME if i and len(told[i]) > len(SAME) and told[i] == told[i - 1] else told[i]
                for i in range(len(told))
            ]
            lines.append(_row([_named(name), *same]))
        lines.append("")
    return [*lines, "Why there is none:", "", *reasons.lines()]


def written(page: str) -> str:
    """A page with its lines between the comments as the tables have them. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no lines between {BEGIN} and {END}")
    return "\n".join([before + BEGIN, "", *page_lines(), "", END]) + after


def _cells(section: Section, chosen: Mapping[str, str], reasons: Reasons) -> dict[str, str]:
    """What every name of a section becomes where these learners are chosen."""
    learner, venv = chosen.get("learner", "auto"), chosen.get("venv", "multi_step")
    table = tables(learner, venv)[section]
    cells = {name: _cell(entry, reasons) for name, entry in table.items()}
    sizes = networks(learner, venv)[section] if section != "base" else {}
    for who, key in sizes.items():
        cells |= {f"{who}_hidden_{what}": f"`{key}`, with the other one" for what in ("features", "layers")}
    return cells


def _cell(entry: Entry, reasons: Reasons) -> str:
    if isinstance(entry, Why):
        return reasons.number(entry)
    if isinstance(entry, str):
        return f"`{entry}`"
    return entry.told if entry.why is None else f"{entry.told}; else {reasons.number(entry.why)}"


def _named(name: str) -> str:
    """A name with its abbreviation."""
    short = [f"`-{key}`" for key, names in ABBREVIATIONS.items() if name in names]
    return f"`{name}`" + (f" ({', '.join(short)})" if short else "")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(re.sub(r"\s*\|\s*", " / ", cell) for cell in cells) + " |"


def main(paths: Sequence[str]) -> None:
    """Write the pages anew."""
    for path in map(Path, paths):
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
