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
from revive.errors import Problem, UserError, suggestion

_DAMAGED: Final = (
    OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError,
    zipfile.BadZipFile, zlib.error, ParseError,
)  # fmt: skip
"""What openpyxl ends in where the parts of a workbook are no sound XML, or not what they should be."""
WORKBOOKS: Final = (".xlsx", ".xlsm")


def sheet_as_text(path: Path, sheet: str | int | None) -> TextInMemory:
    """The text of a sheet, by name or by number from 1; None: the first one that holds anything.

    Raises UserError where there is no such sheet, or the file is no workbook.
    """
    book = _opened(path)
    try:
        for name in _chosen(path, book.sheetnames, sheet):
            lines = list(_lines(book[name]))
            if lines:
                text = "\n".join(lines).encode() + b"\n"
                return TextInMemory(text, () if len(book.sheetnames) == 1 else (f"sheet '{name}'",))
    except _DAMAGED:
        raise _no_workbook(path) from None
    finally:
        book.close()
    raise UserError(Problem("its sheets hold no cells", path, None, "write the table into a sheet"))


def _opened(path: Path) -> Any:
    try:
        import openpyxl  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        remedy = "pip install openpyxl, or save the sheet as csv"
        raise UserError(Problem("workbooks need openpyxl", path, None, remedy)) from None
    try:
        return openpyxl.load_workbook(path, read_only=True, data_only=True)
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


def _lines(sheet: Any) -> Iterator[str]:
    """The rows from the top to the last one that holds anything."""
    blank = 0
    for row in sheet.iter_rows(values_only=True):
        cells = [_text(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            blank += 1
            continue
        yield from [""] * blank
        blank = 0
        yield "\t".join(cells)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return " ".join(str(value).split())
