"""A sheet of a workbook as text: what it shows in each cell, with tabs between."""

from __future__ import annotations

import datetime
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from revive.data.readers.source import TextInMemory
from revive.data.readers.table_rows import is_value
from revive.errors import Problem, UserError, suggestion

_DAMAGED: Final = (
    OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError,
    zipfile.BadZipFile, zlib.error, ParseError,
)  # fmt: skip
"""What openpyxl ends in where the parts of a workbook are no sound XML, or not what they should be."""
WORKBOOKS: Final = (".xlsx", ".xlsm")


def sheet_as_text(path: Path, sheet: str | int | None) -> TextInMemory:
    """The text of a sheet, by name or by number from 1; None: the one that holds a table.

    Raises UserError where there is no such sheet, several hold tables of the same columns, formulas have no values,
    or the file is no workbook.
    """
    book = _opened(path)
    try:
        names = book.sheetnames
        read = {name: [*_lines(book[name])] for name in _chosen(path, names, sheet)}
    except _DAMAGED:
        raise _no_workbook(path) from None
    finally:
        book.close()
    tables = {name: values for name, lines in read.items() if (values := sum(map(_holds_values, lines)))}
    name = max(tables, key=lambda name: tables[name], default=next((n for n in read if read[n]), None))
    if name is None:
        raise UserError(Problem("its sheets hold no cells", path, None, "write the table into a sheet"))
    if sheet is None:
        _refuse_several(path, {n: read[n] for n in tables}, name)
    _refuse_formulas(path, name, read[name])
    text = "\n".join("\t".join(line) for line in _squared(read[name])).encode() + b"\n"
    return TextInMemory(text, () if len(names) == 1 else (f"sheet '{name}'",))


def _holds_values(line: list[str]) -> bool:
    return sum(is_value(cell) for cell in line) > 1


def _head(lines: list[list[str]]) -> list[str]:
    """The line above the first one that holds values."""
    first = next((number for number, line in enumerate(lines) if _holds_values(line)), 0)
    return lines[max(0, first - 1)]


def _refuse_several(path: Path, tables: dict[str, list[list[str]]], name: str) -> None:
    alike = [other for other in tables if _head(tables[other]) == _head(tables[name])]
    if len(alike) > 1:
        what = f"its sheets {', '.join(map(repr, alike[:6]))} hold tables of the same columns"
        remedy = f"name one: dataset.table.sheet={alike[0]}; or save each as a csv of its own, in a folder"
        raise UserError(Problem(what, path, "dataset.table.sheet", remedy))


def _refuse_formulas(path: Path, name: str, lines: list[list[str]]) -> None:
    """Formulas that no spreadsheet has reckoned are blank cells; programs write such workbooks."""
    head = _head(lines)
    below = [line for line in lines if _holds_values(line)]
    blank = [k for k, word in enumerate(head) if word and not any(line[k : k + 1] > [""] for line in below)]
    if not blank or not below:
        return
    book = _opened(path, values=False)
    try:
        rows = [row for row, _ in zip(book[name].iter_rows(values_only=True), range(50), strict=False)]
    finally:
        book.close()
    found = [head[k] for k in blank if any(k < len(row) and str(row[k]).startswith("=") for row in rows)]
    if found:
        what = f"the formulas of {', '.join(map(repr, found[:4]))} have no values yet"
        raise UserError(Problem(what, path, found[0], "open it in a spreadsheet program, and save it"))


def _squared(lines: list[list[str]]) -> list[list[str]]:
    """The lines, those of the table as long as its widest: sheets do not keep blank cells at the end."""
    width = max(map(len, lines))
    begin = next(number for number, line in enumerate(lines) if len(line) == width)
    return [
        line + [""] * (width - len(line)) if number > begin and len(line) > 1 else line
        for number, line in enumerate(lines)
    ]


def _opened(path: Path, values: bool = True) -> Any:
    try:
        import openpyxl  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        remedy = "pip install openpyxl, or save the sheet as csv"
        raise UserError(Problem("workbooks need openpyxl", path, None, remedy)) from None
    try:
        return openpyxl.load_workbook(path, read_only=True, data_only=values)
    except (*_DAMAGED, openpyxl.utils.exceptions.InvalidFileException):
        raise _no_workbook(path) from None


def _no_workbook(path: Path) -> UserError:
    remedy = "save it again as xlsx, or the sheet as csv"
    return UserError(Problem("is no workbook that can be read", path, None, remedy))


def _chosen(path: Path, names: list[str], sheet: str | int | None) -> list[str]:
    if sheet is None:
        return names
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        return [names[sheet - 1]]
    if str(sheet) in names:
        return [str(sheet)]
    raise UserError(
        Problem(f"there is no sheet '{sheet}'", path, "dataset.table.sheet", suggestion(str(sheet), names))
    )


def _lines(sheet: Any) -> Iterator[list[str]]:
    """The cells of the rows from the top to the last one that holds anything."""
    rows = [*sheet.iter_rows(values_only=True)]
    days = _columns_of_days(rows)
    blank = 0
    for row in rows:
        cells = [_text(value, number in days) for number, value in enumerate(row)]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            blank += 1
            continue
        yield from [[] for _ in range(blank)]
        blank = 0
        yield cells


def _columns_of_days(rows: list[tuple[Any, ...]]) -> set[int]:
    """The columns in which every time is a midnight."""
    days: set[int] = set()
    clocks: set[int] = set()
    for row in rows:
        for number, value in enumerate(row):
            if isinstance(value, datetime.datetime):
                (days if value.time() == datetime.time() else clocks).add(number)
    return days - clocks


def _text(value: Any, day: bool = False) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if day else value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return " ".join(str(value).split())
