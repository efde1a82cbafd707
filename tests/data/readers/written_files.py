"""Tables of `written_tables` as files and as frames."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from tests.data.readers.written_tables import NAMES, TEMP, VALVE, Form, grid, packed

UNIT = {"level": "%", TEMP: "degC", VALVE: "m3/h"}
ISO = "%Y-%m-%d %H:%M:%S"


def write(form: Form, folder: Path) -> Any:
    """The file, or the frame, that `meant(form)` is written into."""
    if form.framed:
        return frame(form)
    if form.container == "xlsx":
        return workbook(form, folder)
    names, *rows = grid(form)
    if form.separator == " ":
        names = [name.replace(" ", "_") for name in names]
    quoted = form.head == "quoted" and form.separator != " "
    lines = [_line(form, row, quoted) for row in rows]
    lines += [_line(form, row, quoted) for row in _below(form, len(names))]
    text = form.line_end.join([*_head(form, names, quoted), *lines]) + form.line_end
    return packed(text.encode(form.encoding), folder / f"logs.{form.container}{_packing(form)}")


def _packing(form: Form) -> str:
    return form.packed if form.container in ("csv", "txt", "tsv") else ""


def _below(form: Form, width: int) -> list[list[str]]:
    average = [["Average", *["1"] * (width - 1)]]
    return {"average": average, "remark": [[""], ["End of report"]], "blank lines": [[""], [""]]}.get(
        form.footer, []
    )


def _head(form: Form, names: list[str], quoted: bool) -> list[str]:
    line = _line(form, [f" {name} " if form.head == "blanks" else name for name in names], quoted)
    if form.head in ("preamble", "units", "two lines", "none"):
        return [_line(form, row, quoted) for row in _head_rows(form, names)]
    if form.head == "sep" and form.separator != " ":
        return [f"sep={form.separator}", line]
    return ["# " + line] if form.head == "comment" else [line]


def _head_rows(form: Form, names: list[str]) -> list[list[str]]:
    if form.head == "none":
        return []
    if form.head == "preamble":
        return [["Logger: PLC-7"], ["Interval [s]", "60"], [""], names]
    if form.head == "units":
        units = {name.replace(" ", "_"): unit for name, unit in UNIT.items()} | UNIT
        return [names, [units.get(name, "-") for name in names]]
    above = ["" if name not in NAMES else "Tank 1" if name == NAMES[0] else "" for name in names]
    return [above, names] if form.head == "two lines" else [names]


def _line(form: Form, cells: list[str], quoted: bool) -> str:
    def cell(text: str) -> str:
        inner = quoted or (form.separator in text and form.separator != " ")
        return '"' + text.replace('"', '""') + '"' if inner and not text.startswith('="') else text

    return form.separator.join(map(cell, cells))


def _typed(form: Form, cell: str, name: str) -> Any:
    """A cell as a spreadsheet, or a frame, holds it."""
    if name in NAMES or name == "done":
        try:
            return float(cell)
        except ValueError:
            return cell
    if form.dates == "iso" and name == "Time stamp":
        return datetime.strptime(cell, ISO)
    return int(cell) if cell.isdecimal() else cell


def workbook(form: Form, folder: Path) -> Path:
    import openpyxl

    names, *rows = grid(form)
    book = openpyxl.Workbook()
    sheet = book.active
    for line in _head_rows(form, names):
        sheet.append([text or None for text in line])
    for row in rows:
        sheet.append([_typed(form, cell, name) for name, cell in zip(names, row, strict=True)])
    for row in _below(form, len(names)):
        sheet.append([text or None for text in row])
    book.save(folder / "logs.xlsx")
    return folder / "logs.xlsx"


def frame(form: Form) -> Any:
    names, *rows = grid(form)
    columns = {name: [_typed(form, row[number], name) for row in rows] for number, name in enumerate(names)}
    for name, cells in columns.items():
        if any(isinstance(cell, str) for cell in cells):  # words among numbers make a column of text
            columns[name] = [cell if isinstance(cell, str) else repr(cell) for cell in cells]
    if form.container == "polars":
        import polars

        return polars.DataFrame(columns)
    return pd.DataFrame(columns)
