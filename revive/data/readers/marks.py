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
        told = max(_FEWEST, _CELLS // max(1, len(rows[0].cells))) if rows else 0
        for row in rows[:told]:
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
