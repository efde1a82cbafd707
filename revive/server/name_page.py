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


def page_lines() -> list[str]:
    """Markdown: a table for each section. Every row says for itself why there is no counterpart."""
    lines: list[str] = []
    for section, title, columns in _SECTIONS:
        lines += [f"#### {title}", ""]
        lines += [
            _row(["name", *(head for head, _ in columns), "why none"]),
            "|---" * (len(columns) + 2) + "|",
        ]
        found = [_entries(section, chosen) for _, chosen in columns]
        for name in sorted({name for entries in found for name in entries}):
            lines.append(_row([_named(name), *_cells([entries.get(name, "") for entries in found])]))
        lines.append("")
    return lines[:-1]


def written(page: str) -> str:
    """A page with its lines between the comments as the tables have them. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no lines between {BEGIN} and {END}")
    return "\n".join([before + BEGIN, "", *page_lines(), "", END]) + after


def _entries(section: Section, chosen: Mapping[str, str]) -> dict[str, Entry]:
    """The entries of a section where these learners are chosen."""
    learner, venv = chosen.get("learner", "auto"), chosen.get("venv", "multi_step")
    found = dict(tables(learner, venv)[section])
    sizes = networks(learner, venv)[section] if section != "base" else {}
    return found | {
        f"{who}_hidden_{what}": key for who, key in sizes.items() for what in ("features", "layers")
    }


def _cells(entries: Sequence[Entry]) -> list[str]:
    """What a name becomes, learner by learner, and why for some of them it becomes nothing."""
    told = [_told(entry) for entry in entries]
    same = [SAME if i and told[i] == told[i - 1] != "none" else told[i] for i in range(len(told))]
    return [*same, "; ".join(dict.fromkeys(reason for entry in entries if (reason := _reason(entry))))]


def _told(entry: Entry) -> str:
    if isinstance(entry, Why):
        return "none"
    if isinstance(entry, str):
        return f"`{entry}`"
    return entry.told if entry.why is None else f"{entry.told}; else none"


def _reason(entry: Entry) -> str:
    why = entry if isinstance(entry, Why) else None if isinstance(entry, str) else entry.why
    return "" if why is None else why.reason


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
