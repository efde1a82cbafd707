"""What a request may hold: values by the names of columns, checked one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np

from revive.errors import Problem, UserError, nearest, suggestion
from revive.graph.columns import Column
from revive.graph.limits import Outside, limits
from revive.runtime.codec import Array
from revive.runtime.policy import Policy

Beyond = Outside | Literal["keep"]
"""What becomes of a value beyond a declared limit: an error, the limit, or the value all the same."""

_ROUNDING: Final = 1e-6  # of a limit: what a sensor's last digit may be off
LONGEST_PAST: Final = 10_000  # values of a column before the first step, in a request
_LONGEST: Final = 80  # characters of a value or a name that a message repeats


@dataclass(frozen=True)
class Field:
    """One column under the name that requests call it by: its own, or node.column where two have the same."""

    name: str
    column: Column

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The least and the largest legal value."""
        (low,), (high,) = limits([self.column])
        return float(low), float(high)

    def to_json(self) -> dict[str, Any]:
        """For /schema."""
        column = self.column
        told: dict[str, Any] = {"name": self.name, "node": column.node, "type": column.type}
        for key in ("units", "description", "min", "max"):
            if (value := getattr(column, key)) is not None:
                told[key] = value
        if column.choices:
            told["values"] = list(column.choices)
        return told


class Contract:
    """The columns that a policy has to be shown (`seen`), those that it decides (`decided`), and all it knows."""

    def __init__(self, policy: Policy) -> None:
        graph, self.nodes = policy.graph, policy.seen
        plain = [node for node in graph.nodes.values() if node.history is None and node.is_leaf]
        everything = [
            c
            for n in dict.fromkeys([*self.nodes, policy.target, *(n.name for n in plain)])
            for c in graph.columns(n)
        ]
        names = [column.name for column in everything]

        def fields(*nodes: str) -> tuple[Field, ...]:
            own = [column for node in nodes for column in graph.columns(node)]
            return tuple(Field(c.name if names.count(c.name) == 1 else f"{c.node}.{c.name}", c) for c in own)

        self.seen, self.decided = fields(*self.nodes), fields(policy.target)
        self.remembered = {node: fields(node) for node in policy.memory().remembered}
        self.known = {field.name: field for field in fields(*dict.fromkeys(c.node for c in everything))}
        self._widths = [graph[node].width for node in self.nodes]

    def units(self, stated: Any) -> Iterator[Problem]:
        """Problems with `stated`, name -> unit, which must be the units that the policy was learned in."""
        if not isinstance(stated, Mapping):
            yield Problem("'units' is no object of names and units", place="units")
            return
        for name, unit in stated.items():
            field = self.known.get(name)
            if field is None:
                yield _unknown(name, self.known, "units")
            elif not isinstance(unit, str):
                yield Problem(
                    f"{_shown(unit)} is no unit", place=f"units.{name}", remedy='write a text, e.g. "degC"'
                )
            elif field.column.units is None:
                what = f"'{name}' is stated in {_shown(unit)}, but the policy knows no unit of it"
                yield Problem(
                    what,
                    place=f"units.{name}",
                    remedy="add units: to its column in the description, or leave it out",
                )
            elif unit.strip() != field.column.units.strip():
                what = (
                    f"'{name}' is stated in {_shown(unit)}, the policy was learned in '{field.column.units}'"
                )
                yield Problem(
                    what, place=f"units.{name}", remedy="convert the value, and state the unit of the policy"
                )

    def row(
        self, values: Any, fields: Sequence[Field], outside: Beyond, place: str
    ) -> tuple[Array, list[Problem]]:
        """(d,): the values of the fields, in their order; and what is wrong, with `place` where it stands.

        Other columns of the graph may be given and are left alone.
        """
        if not isinstance(values, Mapping):
            remedy = "{" + ", ".join(f'"{field.name}": NUMBER' for field in fields[:3]) + "}"
            return np.zeros(len(fields)), [
                Problem("is no object of names and values", place=place, remedy=remedy)
            ]
        problems = [_unknown(name, self.known, place) for name in values if name not in self.known]
        row = np.zeros(len(fields))
        for number, field in enumerate(fields):
            if field.name not in values:
                close = nearest(field.name, [name for name in values if name not in self.known])
                remedy = (
                    f"did you mean it by '{close[:_LONGEST]}'?"
                    if close
                    else f"needed: {', '.join(f.name for f in fields)}"
                )
                problems.append(Problem(f"'{field.name}' is missing", place=place, remedy=remedy))
                continue
            checked = _checked(field, values[field.name], outside, f"{place}.{field.name}")
            if isinstance(checked, Problem):
                problems.append(checked)
            else:
                row[number] = checked
        return row, problems

    def past(self, values: Any, outside: Beyond, place: str) -> tuple[dict[str, Array], list[Problem]]:
        """What was before the first step: node -> (T, 1, d), NaN where it is not told; and what is wrong with it.

        values: column -> its value, which is held to have stood so, or the last ones, the oldest first. Columns whose
        past the policy does not see are left alone.
        """
        if not isinstance(values, Mapping):
            remedy = '{"before": {COLUMN: NUMBER, or a list of numbers, the oldest first}}'
            return {}, [Problem("is no object of names and values", place=place, remedy=remedy)]
        problems = [_unknown(name, self.known, place) for name in values if name not in self.known]
        found = {}
        for node, fields in self.remembered.items():
            columns = [
                self._series(field, values.get(field.name), outside, place, problems) for field in fields
            ]
            longest = max(map(len, columns))
            if longest:
                found[node] = np.full((longest, 1, len(fields)), np.nan)
                for i, column in enumerate(columns):
                    found[node][longest - len(column) :, 0, i] = column
                    found[node][: longest - len(column), 0, i] = column[:1]
        return found, problems

    def _series(
        self, field: Field, told: Any, outside: Beyond, place: str, problems: list[Problem]
    ) -> list[float]:
        """What is told of one column, the oldest value first; nothing where it is not, or is wrong."""
        values = [] if told is None else told if isinstance(told, list) else [told]
        if len(values) > LONGEST_PAST:
            problems.append(Problem(f"is longer than {LONGEST_PAST} values", place=f"{place}.{field.name}"))
            return []
        how: Beyond = "keep" if field in self.decided else outside
        checked = [_checked(field, value, how, f"{place}.{field.name}") for value in values]
        wrong = [value for value in checked if isinstance(value, Problem)]
        problems += wrong[:1]
        return [] if wrong else checked  # type: ignore[return-value]

    def arrays(self, rows: Array) -> dict[str, Array]:
        """(B, all columns of `seen`) -> node -> (B, d)."""
        parts = np.split(rows, np.cumsum(self._widths)[:-1], axis=1) if self.nodes else []
        return dict(zip(self.nodes, parts, strict=True))

    def to_json(self) -> dict[str, Any]:
        """For /schema."""
        return {
            "inputs": [field.to_json() for field in self.seen],
            "actions": [field.to_json() for field in self.decided],
            "others": [
                name for name in self.known if name not in {f.name for f in (*self.seen, *self.decided)}
            ],
        }


def _checked(field: Field, value: Any, outside: Beyond, place: str) -> float | Problem:
    """The value of a column as a number, or what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Problem(f"{_shown(value)} is no number", place=place, remedy="write a number, without quotes")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        return Problem(
            f"{_shown(value)} is not finite", place=place, remedy="leave the row out where a sensor fails"
        )
    column = field.column
    if column.choices:
        closest = min(column.choices, key=lambda choice: abs(choice - number))
        if abs(closest - number) > _ROUNDING * max(1.0, abs(closest)):
            shown = ", ".join(f"{choice:g}" for choice in column.choices[:20])
            return Problem(
                f"{number:g} is none of the values of '{field.name}'",
                place=place,
                remedy=f"possible: {shown}",
            )
        return closest
    low, high = field.limits
    for key, limit, over in (("min", low, low - number), ("max", high, number - high)):
        if over > _ROUNDING * max(1.0, abs(limit)) and outside == "refuse":
            unit = f" {column.units}" if column.units else ""
            what = f"{number:g}{unit} is beyond the declared {key} of '{field.name}', {limit:g}{unit}"
            return Problem(
                what, place=place, remedy="correct it, or serve with --outside clip: then the limit is taken"
            )
    return number if outside == "keep" else min(max(number, low), high)


def _unknown(name: Any, known: Mapping[str, Field], place: str) -> Problem:
    return Problem(
        f"there is no column {_shown(name)}", place=place, remedy=suggestion(str(name)[:_LONGEST], known)
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def refuse(problems: Sequence[Problem], most: int = 20) -> None:
    """Raises UserError with the first few of the problems, where there are any."""
    if problems:
        more = [Problem(f"{len(problems) - most} more values are wrong")] if len(problems) > most else []
        raise UserError(*problems[:most], *more)
