"""What an experiment.yaml may be: a small mapping, with nothing in it that belongs to the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from revive.errors import Problem, Problems, UserError

LARGEST: Final = 4 << 20  # bytes
MOST_VALUES: Final = 100_000  # with every alias written out
DEEPEST: Final = 50
_NOT_HERE: Final = {
    "hydra": "an experiment says what is learned, not how the program is started",
    "trust": "whom to trust is for the command line to say",
}


def read_small(file: Path) -> None:
    """Raises UserError where the file is too large, too deep, or unfolds into more than it seems."""
    size = file.stat().st_size
    if size > LARGEST:
        raise UserError(Problem(f"is {size} bytes long, at most {LARGEST} are read", file))
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        count = 0 if root is None else _unfolded(root, {}, 0)
    except RecursionError:
        raise UserError(Problem(f"is nested more than {DEEPEST} levels deep", file)) from None
    except _TooDeep as error:
        raise UserError(Problem(str(error), file)) from None
    if count > MOST_VALUES:
        what = f"holds more than {MOST_VALUES} values, aliases written out"
        raise UserError(Problem(what, file, remedy="write less, without aliases of aliases"))


class _TooDeep(Exception):
    """Why a document cannot be unfolded, as a clause."""


def _unfolded(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """How many values the node has with every alias written out."""
    if depth > DEEPEST:
        raise _TooDeep(f"is nested more than {DEEPEST} levels deep")
    if id(node) in known:
        if known[id(node)] < 0:
            raise _TooDeep("holds an alias of what it stands in")
        return known[id(node)]
    known[id(node)] = -1
    if isinstance(node, yaml.MappingNode):
        inner = [part for pair in node.value for part in pair]
    else:
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
    known[id(node)] = 1 + sum(_unfolded(part, known, depth + 1) for part in inner)
    return known[id(node)]


def check_sections_of(values: Any, file: Path) -> None:
    """Raises UserError for keys, and entries of the defaults list, that an experiment cannot set."""
    problems = Problems()
    for key in map(str, values):
        section = key.partition(".")[0].partition("/")[0].partition("@")[0]
        if section in _NOT_HERE:
            problems.add(f"'{section}' cannot be set here: {_NOT_HERE[section]}", file=file, place=key)
    entries = values.get("defaults")
    for entry in entries if isinstance(entries, list) else []:
        for key in map(str, entry if isinstance(entry, dict) else [entry]):
            words = key.removeprefix("override ").removeprefix("optional ").lstrip("/")
            if words.partition("/")[0].partition("@")[0] == "hydra":
                what = f"'{words}' cannot be chosen here: {_NOT_HERE['hydra']}"
                problems.add(what, file=file, place="defaults")
    problems.raise_if_any()
