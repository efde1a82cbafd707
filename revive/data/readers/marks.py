"""The decimal mark of a text table, and the mark between groups of three digits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from revive.data.readers.dialect import BLANKS, TableOptions
from revive.data.readers.table_rows import Row
from revive.data.readers.words import with_unit
from revive.errors import Problem, UserError

_A: Final = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3})\.\d+$")
_B: Final = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+$")
_COMMAS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3}){2,}$")
_POINTS: Final = re.compile(r"[+-]?\d{1,3}(?:\.\d{3}){2,}$")
_COMMA: Final = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?$")
_POINT: Final = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?$")
_EITHER: Final = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}$")
_CELLS: Final = 20_000  # that are looked at, in whole rows
_FEWEST: Final = 5  # rows of a wide table
_SPACED: Final = re.compile(r"[+-]?\d{1,3}([ '’\u00a0\u202f\u2009])\d{3}(?:\1\d{3})*(?:[.,]\d+)?$")


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
        raise UserError(Problem(fault[1], path, f"line {fault[0]}", fault[2]))
    decimal = "," if seen.comma else "."
    return decimal, thousands or (None if options.thousands else seen.thousands(decimal))


class _Marks:
    """The first cell of each kind that tells, or does not tell, decimal from thousands marks."""

    def __init__(self, rows: Sequence[Row], separator: str) -> None:
        self.comma: tuple[int, str] | None = None
        self.point: tuple[int, str] | None = None
        self._open: dict[str, tuple[int, str]] = {}
        self._blank: str | None = None
        self._columns: dict[int, dict[str, tuple[int, str]]] = {}
        told = max(_FEWEST, _CELLS // max(1, len(rows[0].cells))) if rows else 0
        for row in rows[:told]:
            for number, cell in enumerate(row.cells):
                kind = self._look(row.line, cell, separator)
                if kind:
                    self._columns.setdefault(number, {}).setdefault(kind, (row.line, cell))

    def _look(self, line: int, cell: str, separator: str) -> str:
        """Notes what a cell tells; returns what kind of a number it is: mixed, comma, point, open, or none."""
        spaced = any(mark in cell for mark in " '’\u00a0\u202f\u2009")
        if not spaced and "," not in cell and "." not in cell:
            return ""
        if not cell[-1].isdecimal() and (unit := with_unit(cell)) is not None:
            cell = unit[0]
        if spaced and separator != BLANKS and (found := _SPACED.match(cell)):
            self._blank = self._blank or found[1]
            cell = cell.replace(found[1], "")
        if _B.match(cell) or _POINTS.match(cell) or (_COMMA.match(cell) and not _EITHER.match(cell)):
            self.comma = self.comma or (line, cell)
            if "." in cell:
                self._open.setdefault(".", (line, cell))
            return "mixed" if "." in cell else "comma"
        if _A.match(cell) or _COMMAS.match(cell) or (_POINT.match(cell) and not _EITHER.match(cell)):
            self.point = self.point or (line, cell)
            if "," in cell:
                self._open.setdefault(",", (line, cell))
            return "mixed" if "," in cell else "point"
        if _EITHER.match(cell):
            mark = "," if "," in cell else "."
            self._open.setdefault(mark, (line, cell))
            return f"open {mark}"
        return ""

    def thousands(self, decimal: str) -> str | None:
        other = "," if decimal == "." else "."
        return other if other in self._open else self._blank

    def fault(self) -> tuple[int, str, str] | None:
        """The line, what cannot be told there, and what helps; None where all cells agree."""
        remedy = "set it: 'dataset.table.decimal=\",\"' or dataset.table.decimal=."
        if self.comma and self.point:
            first, second = sorted((self.comma, self.point))
            return (
                second[0],
                (f"'{second[1]}' and '{first[1]}' (line {first[0]}) have different decimal marks"),
                remedy,
            )
        if not self.comma and not self.point and "," in self._open:
            line, cell = self._open[","]
            return line, f"'{cell}' is {cell.replace(',', '.')} or {cell.replace(',', '')}", remedy
        return self._lone_groups()

    def _lone_groups(self) -> tuple[int, str, str] | None:
        """A cell like 27.512 in a column of 27,51, none of which is written 1.027,51: thousands, or a slip?"""
        for kinds in self._columns.values():
            for mark, other in ((".", "comma"), (",", "point")):
                if f"open {mark}" in kinds and other in kinds and "mixed" not in kinds:
                    line, cell = kinds[f"open {mark}"]
                    plain, (other_line, near) = cell.replace(mark, ""), kinds[other]
                    readings = f"{plain} or {plain[:-3]}.{plain[-3:]}"
                    what = f"'{cell}' is {readings}, beside '{near}' (line {other_line}) in the same column"
                    remedy = f"correct it, or say what groups thousands: 'dataset.table.thousands=\"{mark}\"'"
                    return line, what, remedy
        return None
