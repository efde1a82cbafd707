"""The names and the units of the columns of a text table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from revive.data.readers.dialect import TableOptions
from revive.data.readers.table_rows import Row, is_value, reads_like_units
from revive.data.readers.time_forms import is_time
from revive.data.roles import is_time as is_time_name
from revive.errors import Problem, UserError

_INVISIBLE: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))


class Header:
    """What stands above the rows of values. text: the lines of the table, from its first one."""

    def __init__(self, path: Path, options: TableOptions, text: Sequence[str]) -> None:
        self._path, self._options, self._lines = path, options, text

    def lines(self, rows: Sequence[Row], first: int, width: int) -> list[Row]:
        """The lines above the first row that can hold names or units, from top to bottom."""
        header = self._options.header
        if header == "none":
            return []
        if isinstance(header, int):
            return [row for row in rows[:first] if row.line >= header and not row.blank]
        head: list[Row] = []
        for row in reversed(rows[:first]):
            if row.blank and not row.cells and head:
                break
            if row.blank:
                continue
            if head and (len(row.cells) < width - 1 or any(is_value(cell) for cell in row.cells)):
                break
            head.insert(0, row)
        return head

    def units(self, head: Sequence[Row], width: int) -> tuple[int | None, list[str]]:
        none = [""] * width
        chosen = self._options.units
        if chosen == "none":
            return None, none
        if isinstance(chosen, int):
            found = [row for row in head if row.line == chosen]
        else:
            found = [row for row in head[1:] if reads_like_units(row)]
        if not found:
            return None, none
        cells = [cell.strip("[]()") for cell in found[0].cells[:width]]
        return found[0].line, cells + [""] * (width - len(cells))

    def names(
        self, head: Sequence[Row], rows: Sequence[Row], first: int, width: int
    ) -> tuple[list[str], int | None]:
        """The names of the columns, and their line."""
        if self._options.header == "none":
            return [f"column_{number}" for number in range(1, width + 1)], None
        if not head:
            line = rows[first].line if first < len(rows) else 1
            cells = rows[first].cells[1:] if first < len(rows) else []
            if len(cells) > 2 and sum(map(is_time, cells)) > 0.8 * len(cells):
                what = f"lies on its side: line {line} holds a time for each column"
                turned = f"pd.read_csv({self._path.name!r}, index_col=0).T.to_csv('turned.csv')"
                raise UserError(Problem(what, self._path, f"line {line}", f"turn it, in Python: {turned}"))
            nth = "first line" if line == 1 else f"first line of values ({line})"
            what = f"its {nth} holds numbers, where the names of the columns should be"
            remedy = (
                "add a line of names, or call the columns column_1, column_2, ...: dataset.table.header=none"
            )
            raise UserError(Problem(what, self._path, f"line {line}", remedy))
        full = [row for row in head if len(row.cells) == width and all(row.cells)]
        unique = [row for row in full if len({*row.cells}) == width]
        chosen = (unique or full or [head[-1]])[0]
        if len(head) > 1 and not unique and not isinstance(self._options.header, int):
            names = _joined(head, width)
            return names, chosen.line
        names = [
            " ".join(name.translate(_INVISIBLE).split()) for name in self._fitted(chosen, rows, first, width)
        ]
        if names.count("") > 1:  # columns between the tables of a sheet, or around all of it
            names = [name or f"column_{number}" for number, name in enumerate(names, 1)]
        return names, chosen.line

    def _fitted(self, head: Row, rows: Sequence[Row], first: int, width: int) -> list[str]:
        names = [*head.cells]
        while len(names) > width and not names[-1]:
            names.pop()
        if len(names) == width or first >= len(rows):
            return names[:width] + [""] * (width - len(names))
        body = [row.cells for row in rows[first:] if len(row.cells) == width]
        if len(names) < width and body and not any(any(cells[len(names) :]) for cells in body):
            return names + [""] * (width - len(names))  # every row ends with marks behind its last value
        line = rows[first].line
        commas = "," in self._lines[line - 1]
        split = commas and bool(body) and _split_by_decimals(names, body)
        if len(names) == width - 1 and width > 2 and not split:
            return ["", *names]  # a table whose first column, the numbers of the rows, has no name
        what = f"line {head.line} has {len(names)} names, but line {line} has {width} values"
        remedy = "each column needs a name; dataset.table.separator, dataset.table.header set what was found"
        if split or (commas and width == 2 * len(names)):
            what += ": the comma seems to separate values and to mark decimals as well"
            remedy = "write it with semicolons or tabs between values, or with decimal points"
        raise UserError(Problem(what, self._path, f"line {line}", remedy))


def _split_by_decimals(names: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether values more than names are decimals behind a comma, rather than a first column without a name."""
    columns = [*zip(*body, strict=True)]
    decimals = (
        all(whole.lstrip("+-").isdecimal() and part.isdecimal() for whole, part in zip(a, b, strict=True))
        and any(part[0] == "0" and len(part) > 1 for part in b)
        for a, b in pairwise(columns)
    )
    return any(decimals) or (all(map(is_time, columns[0])) and any(map(is_time_name, names)))


def _joined(head: Sequence[Row], width: int) -> list[str]:
    """Names that go over several lines, such as a device above its signals."""
    padded = [[*row.cells[:width], *[""] * (width - len(row.cells))] for row in head]
    for filled in (
        padded,
        [*map(_spread, padded[:-1]), padded[-1]],
    ):  # cells that were merged fill those behind
        names = [" ".join(filter(None, column)) for column in zip(*filled, strict=True)]
        if len({*names}) == width:
            break
    return names


def _spread(cells: Sequence[str]) -> list[str]:
    """Each cell, or the last one before it that holds anything."""
    filled: list[str] = []
    for cell in cells:
        filled.append(cell or (filled[-1] if filled else ""))
    return filled
