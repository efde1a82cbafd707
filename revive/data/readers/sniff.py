"""How a text table is written, told from its first lines: separator, marks, names, units, where rows begin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from revive.data.readers.dialect import BLANKS, Dialect, TableOptions
from revive.data.readers.header import Header
from revive.data.readers.marks import decimal_marks
from revive.data.readers.table_rows import (
    TYPED,
    Row,
    holds_values,
    is_value,
    reads_like_units,
    split_lines,
    width_of,
)
from revive.data.readers.words import is_missing, unit_in_name
from revive.data.roles import is_time
from revive.errors import Problem, UserError

_LINES: Final = 150  # lines looked at
_CANDIDATES: Final = (",", ";", "\t", "|", BLANKS)
_DWARFS: Final = 3  # times as many rows as before, from which a later run of values is the table
_ANNOTATIONS: Final = ("#group", "#datatype", "#default", "#names", "#types", "#rows")
_COMMENTS: Final = ("#", "%", "//")
_SEVERAL: Final = {"#": 1, "%": 2, "//": 1}  # lines with the mark from which it is none of a name
_RULE: Final = re.compile(r"(?=.*-{2})[-+|=:, \t]{3,}$")
_SEP_LINE: Final = re.compile(r'"?sep=(.)"?\s*$', re.I)


_KEPT: Final = 4  # tables that are remembered, since one is opened several times in a process
_told: Final[dict[tuple[str, Path, str], Dialect]] = {}


def sniff(text: str, path: Path, options: TableOptions) -> Dialect:
    """How the table that begins with `text` is written. Raises UserError where it cannot be told."""
    key = (text, path, repr(options))
    if key not in _told:
        if len(_told) >= _KEPT:
            _told.pop(next(iter(_told)))
        _told[key] = _Sniffer(path, options, text).dialect()
    return _told[key]


class _Sniffer:
    def __init__(self, path: Path, options: TableOptions, text: str) -> None:
        lines = text.splitlines() if "\n" in text else text.split("\r")
        self._path, self._options = path, options
        marks = tuple(mark for mark in _COMMENTS if sum(x.startswith(mark) for x in lines) >= _SEVERAL[mark])
        self._lines = [_uncommented(line, marks) for line in _unannotated(lines[:_LINES])]
        self._marked: str | None = None
        first = next((number for number, line in enumerate(self._lines) if line.strip()), 0)
        if self._lines and (found := _SEP_LINE.match(self._lines[first].lstrip("\ufeff"))):
            self._marked = found[1]
            self._lines[first] = ""

    def dialect(self) -> Dialect:
        separator, rows = self._separated()
        width = width_of(rows)
        typed = _typed_columns(rows, width)
        first = self._first_row(rows, width, typed)
        header_of = Header(self._path, self._options, self._lines)
        head = header_of.lines(rows, first, width)
        units_line, units = header_of.units(head, width)
        names, header = header_of.names([row for row in head if row.line != units_line], rows, first, width)
        self._refuse_two_tables(rows, header, names)
        units = [unit or unit_in_name(name) for unit, name in zip(units, names, strict=True)]
        body = [row for row in rows[first:] if len(row.cells) == width]
        decimal, thousands = decimal_marks(body, separator, self._path, self._options)
        begin = rows[first].line if first < len(rows) else (header or 0) + 1
        return Dialect(separator, decimal, thousands, tuple(names), tuple(units), header, units_line, begin)

    def _refuse_two_tables(self, rows: Sequence[Row], header: int | None, names: Sequence[str]) -> None:
        """Raises UserError where a table with mostly the same names, and values, stands above that of the names."""
        if header is None or self._options.header is not None:
            return
        above = [row for row in rows if row.line < header and len(row.cells) > 1]
        named = next((row for row in above if len({*row.cells} & {*names} - {""}) > len(row.cells) / 2), None)
        if named is None:
            return
        values = [row for row in above if row.line > named.line and sum(map(is_value, row.cells)) > 1]
        if len(values) > 1:
            lines = f"the {len(values)} rows of values from line {values[0].line} on"
            what = f"has two lines of names, {named.line} and {header}, and {lines} have the columns of the first"
            remedy = f"write a file for each table; only the second: dataset.table.header={header}"
            raise UserError(Problem(what, self._path, f"line {header}", remedy))

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
        if wide and _names_columns(rows[wide[0]], typed):
            wide = wide[1:]
        return _first_of_table(rows, wide, typed)

    def _is_units(self, row: Row, typed: Sequence[int]) -> bool:
        return not holds_values(row, typed) and reads_like_units(row)


def _names_columns(row: Row, typed: Sequence[int]) -> bool:
    """Whether a first row of whole numbers are names: it calls one of the typed columns a time, in words."""
    words = [row.cells[n] for n in typed if not is_value(row.cells[n]) and not is_missing(row.cells[n])]
    numbers = [cell for cell in row.cells if is_value(cell)]
    told = len({*numbers}) == len(numbers) and all(cell.isdecimal() for cell in numbers)
    return len(words) == 1 and bool(numbers) and told and is_time(words[0])


def _first_of_table(rows: Sequence[Row], wide: Sequence[int], typed: Sequence[int]) -> int:
    """The first row of values; of several runs of them, parted by words, that which dwarfs what comes before.

    Some programs write a table of settings as wide as that of the values, and above it.
    """
    starts, begin, head = [], True, None
    for number in wide:
        if not holds_values(rows[number], typed):
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


def _uncommented(line: str, marks: tuple[str, ...]) -> str:
    """A line of names that programs mark as a comment, without the mark; nothing of a line that is drawn."""
    if _RULE.match(line):
        return ""
    mark = next((mark for mark in marks if line.startswith(mark)), None)
    if mark is None or is_missing(line.split(",")[0].strip(), number=True):
        return line
    return line[len(mark) :].lstrip()


def _likeness(rows: Sequence[Row], separator: str) -> float:
    """How much these lines are like a table; 0 for a single column."""
    filled = [row for row in rows if not row.blank]
    width = width_of(rows)
    if width < 2:
        return 0.0
    later = filled[len(filled) // 3 :]
    alike = [row for row in later if len(row.cells) == width]
    cells = [cell for row in alike for cell in row.cells]
    values = sum(is_value(cell) or is_missing(cell) for cell in cells) / len(cells)
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
        if told and sum(map(is_value, told)) >= TYPED * len(told):
            typed.append(number)
    return typed
