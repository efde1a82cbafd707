"""How a text table is written, told from its first lines: separator, marks, names, units, where rows begin."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

from revive.data.readers.dialect import BLANKS, Dialect, TableOptions
from revive.data.readers.times import is_time
from revive.data.readers.words import is_missing, is_number, is_unit, plain, unit_in_name, with_unit
from revive.errors import Problem, UserError

_LINES: Final = 150  # lines looked at
_CANDIDATES: Final = (",", ";", "\t", "|", BLANKS)
_TYPED: Final = 0.6  # share of cells that say something from which a column holds numbers or times
_DWARFS: Final = 3  # times as many rows as before, from which a later run of values is the table
_ANNOTATIONS: Final = ("#group", "#datatype", "#default", "#names", "#types", "#rows")
_SEP_LINE: Final = re.compile(r'"?sep=(.)"?\s*$', re.I)
_A: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+$")
_B: Final = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+$")
_COMMAS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3}){2,}$")
_POINTS: Final = re.compile(r"[+-]?\d{1,3}(?:\.\d{3}){2,}$")
_COMMA: Final = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?$")
_POINT: Final = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?$")
_EITHER: Final = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}$")
_SPACED: Final = re.compile(r"[+-]?\d{1,3}([ '’\u00a0\u202f\u2009])\d{3}(?:\1\d{3})*(?:[.,]\d+)?$")


@dataclass(frozen=True)
class Row:
    """The cells of a line, plain, and the number of the line."""

    line: int
    cells: list[str]

    @property
    def blank(self) -> bool:
        return not any(self.cells)


def split_lines(lines: Sequence[str], separator: str) -> Iterator[Row]:
    """The cells of each line; a cell in quotes may go over several."""
    if separator == BLANKS:
        yield from (Row(number, line.split()) for number, line in enumerate(lines, 1))
        return
    reader = csv.reader((line + "\n" for line in lines), delimiter=separator)
    begin = 1
    try:
        for cells in reader:
            yield Row(begin, [plain(cell) for cell in cells])
            begin = reader.line_num + 1
    except csv.Error:  # a line that is too long or broken; what comes before it is enough to look at
        return


def sniff(text: str, path: Path, options: TableOptions) -> Dialect:
    """How the table that begins with `text` is written. Raises UserError where it cannot be told."""
    return _Sniffer(path, options, text).dialect()


class _Sniffer:
    def __init__(self, path: Path, options: TableOptions, text: str) -> None:
        lines = text.splitlines() if "\n" in text else text.split("\r")
        self._path, self._options = path, options
        self._lines = [_uncommented(line) for line in _unannotated(lines[:_LINES])]
        self._marked: str | None = None
        self._skipped = 0
        first = next((number for number, line in enumerate(self._lines) if line.strip()), 0)
        if self._lines and (found := _SEP_LINE.match(self._lines[first].lstrip("\ufeff"))):
            self._marked, self._skipped = found[1], first + 1
            self._lines[first] = ""

    def dialect(self) -> Dialect:
        separator, rows = self._separated()
        width = _width(rows)
        typed = _typed_columns(rows, width)
        first = self._first_row(rows, width, typed)
        head = self._header(rows, first, width)
        units_line, units = self._units(head, width)
        names, header = self._names([row for row in head if row.line != units_line], rows, first, width)
        units = [unit or unit_in_name(name) for unit, name in zip(units, names, strict=True)]
        body = [row for row in rows[first:] if len(row.cells) == width]
        decimal, thousands = decimal_marks(body, separator, self._path, self._options)
        begin = rows[first].line if first < len(rows) else (header or 0) + 1
        return Dialect(separator, decimal, thousands, tuple(names), tuple(units), header, units_line, begin)

    def _separated(self) -> tuple[str, list[Row]]:
        """The separator under which the lines are most like a table, and their cells."""
        given = self._options.separator or self._marked
        if given is not None:
            return given, list(split_lines(self._lines, given))
        best, chosen, kept = 0.0, ",", list(split_lines(self._lines, ","))
        for candidate in _CANDIDATES:
            rows = list(split_lines(self._lines, candidate))
            score = _likeness(rows, candidate)
            if score > best:
                best, chosen, kept = score, candidate, rows
        return chosen, kept

    def _first_row(self, rows: Sequence[Row], width: int, typed: Sequence[int]) -> int:
        """The number in `rows` of the first one that holds values."""
        header = self._options.header
        if isinstance(header, int):
            behind = [number for number, row in enumerate(rows) if row.line > header and not row.blank]
            units = self._options.units
            rest = [n for n in behind if not self._is_units(rows[n], typed)] if units is None else behind
            rest = [n for n in rest if rows[n].line > units] if isinstance(units, int) else rest
            return rest[0] if rest else len(rows)
        filled = [number for number, row in enumerate(rows) if not row.blank]
        if header == "none":
            return filled[0] if filled else len(rows)
        wide = [number for number in filled if len(rows[number].cells) == width]
        if not typed:
            return next((n for n in wide if n > wide[0]), len(rows)) if wide else len(rows)
        return _first_of_table(rows, wide, typed)

    def _is_units(self, row: Row, typed: Sequence[int]) -> bool:
        return not _holds_values(row, typed) and _reads_like_units(row)

    def _header(self, rows: Sequence[Row], first: int, width: int) -> list[Row]:
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
            if head and (len(row.cells) < width - 1 or any(_is_value(cell) for cell in row.cells)):
                break
            head.insert(0, row)
        return head

    def _units(self, head: Sequence[Row], width: int) -> tuple[int | None, list[str]]:
        none = [""] * width
        chosen = self._options.units
        if chosen == "none":
            return None, none
        if isinstance(chosen, int):
            found = [row for row in head if row.line == chosen]
        else:
            found = [row for row in head[1:] if _reads_like_units(row)]
        if not found:
            return None, none
        cells = [cell.strip("[]()") for cell in found[0].cells[:width]]
        return found[0].line, cells + [""] * (width - len(cells))

    def _names(
        self, head: Sequence[Row], rows: Sequence[Row], first: int, width: int
    ) -> tuple[list[str], int | None]:
        """The names of the columns, and their line."""
        if self._options.header == "none":
            return [f"column_{number}" for number in range(1, width + 1)], None
        if not head:
            line = rows[first].line if first < len(rows) else 1
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
        return self._fitted(chosen, rows, first, width), chosen.line

    def _fitted(self, head: Row, rows: Sequence[Row], first: int, width: int) -> list[str]:
        names = [*head.cells]
        while len(names) > width and not names[-1]:
            names.pop()
        if len(names) == width or first >= len(rows):
            return names[:width] + [""] * (width - len(names))
        body = [row.cells for row in rows[first:] if len(row.cells) == width]
        if len(names) == width - 1 and body and not any(cells[-1] for cells in body):
            return [*names, ""]  # every row ends with a mark behind its last value
        if len(names) == width - 1 and width > 2:
            return ["", *names]  # a table whose first column, the numbers of the rows, has no name
        line = rows[first].line
        what = f"line {head.line} has {len(names)} names, but line {line} has {width} values"
        remedy = "each column needs a name; dataset.table.separator, dataset.table.header set what was found"
        if "," in self._lines[line - 1] and width == 2 * len(names):
            what += ": the comma seems to separate values and to mark decimals as well"
            remedy = "write it with semicolons or tabs between values, or with decimal points"
        raise UserError(Problem(what, self._path, f"line {line}", remedy))


def decimal_marks(
    rows: Sequence[Row], separator: str, path: Path, options: TableOptions
) -> tuple[str, str | None]:
    """The decimal mark, and the thousands mark or None. Raises UserError where cells leave it open."""
    seen = _Marks(rows, separator)
    thousands = None if options.thousands == "none" else options.thousands
    if options.decimal is not None:
        return options.decimal, thousands or (None if options.thousands else seen.thousands(options.decimal))
    if thousands in (",", "."):
        return "." if thousands == "," else ",", thousands
    if fault := seen.fault():
        remedy = "set it: 'dataset.table.decimal=\",\"' or dataset.table.decimal=."
        raise UserError(Problem(fault[1], path, f"line {fault[0]}", remedy))
    decimal = "," if seen.comma else "."
    return decimal, thousands or (None if options.thousands else seen.thousands(decimal))


class _Marks:
    """The first cell of each kind that tells, or does not tell, decimal from thousands marks."""

    def __init__(self, rows: Sequence[Row], separator: str) -> None:
        self.comma: tuple[int, str] | None = None
        self.point: tuple[int, str] | None = None
        self._open: dict[str, tuple[int, str]] = {}
        self._blank: str | None = None
        for row in rows:
            for cell in row.cells:
                self._look(row.line, cell, separator)

    def _look(self, line: int, cell: str, separator: str) -> None:
        spaced = any(mark in cell for mark in " '’\u00a0\u202f\u2009")
        if not spaced and "," not in cell and "." not in cell:
            return
        if not cell[-1].isdecimal() and (unit := with_unit(cell)) is not None:
            cell = unit[0]
        if spaced and separator != BLANKS and (found := _SPACED.match(cell)):
            self._blank = self._blank or found[1]
            cell = cell.replace(found[1], "")
        if _B.match(cell) or _POINTS.match(cell) or (_COMMA.match(cell) and not _EITHER.match(cell)):
            self.comma = self.comma or (line, cell)
            if "." in cell:
                self._open.setdefault(".", (line, cell))
        elif _A.match(cell) or _COMMAS.match(cell) or (_POINT.match(cell) and not _EITHER.match(cell)):
            self.point = self.point or (line, cell)
            if "," in cell:
                self._open.setdefault(",", (line, cell))
        elif _EITHER.match(cell):
            self._open.setdefault("," if "," in cell else ".", (line, cell))

    def thousands(self, decimal: str) -> str | None:
        other = "," if decimal == "." else "."
        return other if other in self._open else self._blank

    def fault(self) -> tuple[int, str] | None:
        """The line and what cannot be told there; None where all cells agree."""
        if self.comma and self.point:
            first, second = sorted((self.comma, self.point))
            return second[0], (
                f"'{second[1]}' and '{first[1]}' (line {first[0]}) have different decimal marks"
            )
        if not self.comma and not self.point and "," in self._open:
            line, cell = self._open[","]
            return line, f"'{cell}' is {cell.replace(',', '.')} or {cell.replace(',', '')}"
        return None


def _first_of_table(rows: Sequence[Row], wide: Sequence[int], typed: Sequence[int]) -> int:
    """The first row of values; of several runs of them, parted by words, that which dwarfs what comes before.

    Some programs write a table of settings as wide as that of the values, and above it.
    """
    starts, begin, head = [], True, None
    for number in wide:
        if not _holds_values(rows[number], typed):
            begin = begin or rows[number].cells != head
            head = head or rows[number].cells
        elif begin:
            starts.append(number)
            begin = False
    if not starts:
        return len(rows)
    before = starts[0]
    for start, stop in pairwise([*starts, wide[-1] + 1]):
        if stop - start >= _DWARFS * (start - starts[0] + 1) and start != starts[0]:
            before = start
    return before


def _unannotated(lines: Sequence[str]) -> Iterator[str]:
    """The lines without those that say, above the names, what types columns have (InfluxDB, Ignition)."""
    typed = False
    for line in lines:
        word = line.lstrip('"').split(",")[0].rstrip('"').lower()
        yield "" if typed or word in _ANNOTATIONS else line
        typed = word == "#types"


def _uncommented(line: str) -> str:
    """A line of names that programs mark as a comment, without the mark."""
    return line[1:].lstrip() if line.startswith("#") and not is_missing(line.split(",")[0].strip()) else line


def _is_value(cell: str) -> bool:
    if not cell:
        return False
    return is_number(cell) or is_time(cell) or (not cell[-1].isdecimal() and with_unit(cell) is not None)


def _width(rows: Sequence[Row]) -> int:
    """How many cells most of the later lines have."""
    filled = [len(row.cells) for row in rows if not row.blank]
    later = filled[len(filled) // 3 :]
    return max(sorted({*later}, reverse=True), key=later.count) if later else 0


def _likeness(rows: Sequence[Row], separator: str) -> float:
    """How much these lines are like a table; 0 for a single column."""
    filled = [row for row in rows if not row.blank]
    width = _width(rows)
    if width < 2:
        return 0.0
    later = filled[len(filled) // 3 :]
    alike = [row for row in later if len(row.cells) == width]
    cells = [cell for row in alike for cell in row.cells]
    values = sum(_is_value(cell) or is_missing(cell) for cell in cells) / len(cells)
    if separator == BLANKS and values < 0.9 and (values < 0.5 or len(filled[0].cells) != width):
        return 0.0  # words of a text, not cells
    doubt = 0.8 if separator == BLANKS else 1.0  # blanks stand inside cells as well
    return doubt * len(alike) / len(later) * (0.2 + values)


def _typed_columns(rows: Sequence[Row], width: int) -> list[int]:
    """The columns in which the later lines mostly hold numbers or times."""
    wide = [row for row in rows if len(row.cells) == width]
    later = wide[min(len(wide) // 3, 20) :] if len(wide) > 3 else wide[1:] or wide
    typed = []
    for number in range(width):
        cells = [row.cells[number] for row in later]
        told = [cell for cell in cells if not is_missing(cell, number=True)]
        if told and sum(map(_is_value, told)) >= _TYPED * len(told):
            typed.append(number)
    return typed


def _holds_values(row: Row, typed: Sequence[int]) -> bool:
    cells = [row.cells[number] for number in typed]
    values = sum(map(_is_value, cells))
    words = sum(not is_missing(cell, number=True) and not _is_value(cell) for cell in cells)
    return values > words


def _reads_like_units(row: Row) -> bool:
    told = [cell for cell in row.cells if cell]
    return bool(told) and sum(map(is_unit, told)) >= _TYPED * len(told)


def _joined(head: Sequence[Row], width: int) -> list[str]:
    """Names that go over several lines, such as a device above its signals."""
    padded = [[*row.cells[:width], *[""] * (width - len(row.cells))] for row in head]
    for filled in (padded, [*map(_spread, padded[:-1]), padded[-1]]):  # cells that were merged fill those behind
        names = [" ".join(filter(None, column)) for column in zip(*filled, strict=True)]
        if len({*names}) == width:
            break
    return names


def _spread(cells: Sequence[str]) -> list[str]:
    """Each cell, or the last one before it that holds anything."""
    return [*accumulate(cells, lambda last, cell: cell or last)]
