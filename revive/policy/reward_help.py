"""What to tell somebody whose reward function is wrong, in the names of their own columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from revive.errors import Problem, suggestion
from revive.user_code import raised_in

Columns = Mapping[str, Sequence[str]]
"""Node -> the names of its columns, in their order."""
_LISTED: Final = 12  # columns that are listed
_NEXT: Final = "next_"
_AND: Final = ", "
_HINTS: Final = (
    (
        r"truth value|Boolean value of Tensor",
        "data holds all rows at once: in place of if, min and max write torch.where(condition, a, b) or x.clamp(min=0)",
    ),
    (
        r"only one element tensors|only length-1 arrays|only 0-dimensional|can be converted to (a )?Python scalar",
        "data holds all rows at once: functions of math and float() take a single number; use those of torch",
    ),
    (
        r"must match the size of tensor|could not be broadcast",
        "nodes have different numbers of columns, so take one column of each",
    ),
    (
        r"get_reward\(\) (missing|takes)",
        "write def get_reward(data), with this one argument: node -> all rows",
    ),
    (
        r"too many indices|out of (bounds|range)|invalid index|indices",
        "columns are counted from 0, data[node][..., 0:1]",
    ),
)


class _Mistake(Exception):
    """A wrong way into the data. what, remedy: of the message."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} ({remedy})")
        self.what, self.remedy = what, remedy


class _NoNode(_Mistake, KeyError):
    """Asked for by name."""


class _NoAttribute(_Mistake, AttributeError):
    """Asked for by a dot."""


class NodeData(dict[str, Any]):
    """What a reward function gets: node -> rows. A wrong name ends in a message with the right way to write it."""

    def __init__(self, values: Mapping[str, Any], columns: Columns) -> None:
        super().__init__(values)
        self._columns = columns

    def __missing__(self, key: str) -> Any:
        found = places(str(key), self._columns)
        if found:
            what = f"'{key}' is the name of a column, and data holds nodes"
            raise _NoNode(what, f"write {' or '.join(found)}")
        remedy = suggestion(str(key), self)
        told = columns_told(self._columns)
        raise _NoNode(f"there is no node '{key}'", f"{remedy}; {told}" if told else remedy)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = places(name, self._columns) or ([f'data["{name}"]'] if name in self else [])
        raise _NoAttribute(f"data has no '.{name}'", f"write {' or '.join(found) if found else 'data[NODE]'}")


def places(name: str, columns: Columns) -> list[str]:
    """How a column is written, `data["state"][..., 0:1]`, wherever it stands; that of the next step behind it."""
    plain = name.removeprefix(_NEXT)
    after = [f"{node}" for node in columns if node.startswith(_NEXT)]
    found = []
    for node, names in columns.items():
        if plain in names and (plain == name or node in after):
            number = list(names).index(plain)
            told = " (after the step)" if node in after else ""
            found.append(f'data["{node}"][..., {number}:{number + 1}]{told}')
    return found


def columns_told(columns: Columns) -> str:
    """`columns: state (0 temperature, 1 humidity), action (0 valve)`; empty where there are none, or too many."""
    if not columns or sum(map(len, columns.values())) > _LISTED:
        return ""
    numbered = {
        node: [f"{number} {name}" for number, name in enumerate(names)] for node, names in columns.items()
    }
    return f"columns: {', '.join(f'{node} ({_AND.join(of)})' for node, of in numbered.items())}"


def explained(path: Path, error: BaseException, columns: Columns) -> Problem:
    """What the user's function raised, with its line, and what to do where that is known."""
    problem = raised_in(path, error)
    if isinstance(error, _Mistake):
        return Problem(error.what, problem.file, problem.place, error.remedy)
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, str(error))), None)
    if hint is None:
        return problem
    told = columns_told(columns) if "column" in hint else ""
    return Problem(problem.what, problem.file, problem.place, f"{hint}; {told}" if told else hint)


def wrong_shape(shape: tuple[int, ...], rows: int, columns: Columns) -> tuple[str, str]:
    """In words what a result of this shape is in place of a number for each row, and what to do."""
    told = columns_told(columns)
    listed = f"; {told}" if told else ""
    if not shape or (shape == (1,) and rows != 1):
        return "one number for all rows", "return one for each row: no mean, sum or max over rows"
    if shape[0] != rows:
        remedy = "return one for each row, and leave none out; earlier values are a history (docs/description.md, ts)"
        return f"values for {shape[0]} rows", remedy
    if len(shape) == 2 and shape[1] == 0:
        return "no column, because a slice begins behind the last one", f"columns are counted from 0{listed}"
    if len(shape) == 2:
        remedy = f"take one column, data[node][..., 0:1], or add them up: .sum(-1, keepdim=True){listed}"
        return f"{shape[1]} numbers for each row", remedy
    return "an array of too many axes", f"return ({rows}, 1)"


def wrong_type(found: Any) -> str:
    """What to do about a result that is neither a tensor nor an array."""
    if found is None:
        return "end get_reward with return and one number for each row"
    if hasattr(found, "to_numpy"):
        return "return .to_numpy() of it"
    if isinstance(found, list | tuple):
        return "return a tensor or an array: torch.stack or numpy.array of it"
    return "return one number for each row, computed from data: a tensor, an array, or a dict of such terms by name"


def row_told(data: Mapping[str, Any], row: int, columns: Columns) -> str:
    """What stands in a row: `temperature 4.2, valve 0`; empty where there are too many columns."""
    cells = [
        f"{name} {float(data[node][row, i]):.4g}"
        for node, names in columns.items()
        if node in data
        for i, name in enumerate(names)
        if i < data[node].shape[1]
    ]
    return ", ".join(cells) if len(cells) <= _LISTED else ""
