"""Tables as people write them: a few values, and every way to put them into a file."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from revive.data.readers import ReadOptions
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

LEVEL, TEMP, VALVE = "level", "T [°C]", "valve"
GRAPH = DecisionGraph.build(
    [
        Column(name, node, "continuous")
        for name, node in ((LEVEL, "state"), (TEMP, "state"), (VALVE, "action"))
    ],
    {"action": ["state"], "next_state": ["state", "action"]},
)
ZONED = timedelta(hours=2)
DATES: dict[str, Any] = {
    "none": None,
    "iso": lambda t: t.strftime("%Y-%m-%d %H:%M:%S"),
    "iso_t": lambda t: t.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
    "offset": lambda t: (t + ZONED).strftime("%Y-%m-%dT%H:%M:%S+02:00"),
    "german": lambda t: t.strftime("%d.%m.%Y %H:%M:%S"),
    "dmy": lambda t: t.strftime("%d/%m/%Y %H:%M"),
    "mdy_ampm": lambda t: t.strftime("%m/%d/%Y %I:%M:%S %p"),
    "month": lambda t: t.strftime("%d-%b-%Y %H:%M:%S"),
    "epoch": lambda t: str(int(t.timestamp())),
    "epoch_ms": lambda t: str(int(t.timestamp() * 1000)),
    "two": lambda t: t.strftime("%d.%m.%Y|%H:%M:%S"),
}
UNITS = {"epoch_ms": 1000.0}


@dataclass(frozen=True)
class Form:
    """How a table is written; `fitting` takes out what cannot be together."""

    seed: int = 0
    rows: int = 40
    start: int = 0
    step: int = 60
    encoding: str = "utf-8"
    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    head: str = "plain"
    line_end: str = "\n"
    dates: str = "iso"
    newest_first: bool = False
    missing: str | None = None
    ids: str = "none"
    footer: str = "none"
    packed: str = ""
    cells: str = "plain"
    resample: bool = False

    def fitting(self) -> Form:
        """The nearest form that a reader can make sense of."""
        changes: dict[str, Any] = {}
        blanks = self.separator == " "
        if blanks:
            dates = "iso_t" if self.dates in ("iso", "german", "dmy", "mdy_ampm", "month") else self.dates
            changes |= {"dates": dates, "thousands": "", "cells": "plain"}
            changes |= {"head": "plain" if self.head == "preamble" else self.head, "footer": "none"}
            changes |= {"missing": None if self.missing is None else "NaN"}
        if self.thousands == self.decimal:
            changes["thousands"] = ""
        if self.dates == "none":
            changes |= {"newest_first": False, "resample": False}
        if self.cells == "formula" and self.separator == ",":
            changes["cells"] = "plain"
        if self.encoding == "utf-16" and self.packed:
            changes["packed"] = ""
        return Form(**{**self.__dict__, **changes})


FORMS = st.builds(
    Form,
    seed=st.integers(0, 10**6),
    rows=st.integers(20, 90),
    start=st.integers(0, 365 * 24 * 60),
    step=st.sampled_from([60, 300, 900, 3600]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
    decimal=st.sampled_from([".", ","]),
    thousands=st.sampled_from(["", "", ",", ".", " ", "'", "\u00a0"]),
    head=st.sampled_from(["plain", "preamble", "units", "sep", "quoted", "blanks", "comment"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    dates=st.sampled_from([*DATES]),
    newest_first=st.booleans(),
    missing=st.sampled_from([None, None, "", "Bad", "No Data", "NaN", "#N/A", "I/O Timeout", "-"]),
    ids=st.sampled_from(["none", "number", "word"]),
    footer=st.sampled_from(["none", "none", "average", "remark", "blank lines"]),
    packed=st.sampled_from(["", "", ".gz", ".zst"]),
    cells=st.sampled_from(["plain", "plain", "formula", "units"]),
    resample=st.booleans(),
).map(Form.fitting)


@dataclass(frozen=True)
class Table:
    """What is meant: values (N, 3) with NaN where nothing was logged, times (N,), ids (N,), in the right order."""

    values: np.ndarray
    times: np.ndarray
    ids: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        return np.append(np.flatnonzero(np.diff(self.ids)) + 1, len(self.ids))


def meant(form: Form) -> Table:
    rng = np.random.default_rng(form.seed)
    size = 100_000 if form.thousands else 100
    values = np.round(size * (0.2 + 0.7 * rng.random((form.rows, 3))), 2) + 0.01 * (form.decimal == ",")
    values = np.round(values, 2)
    if form.missing is not None:
        values[rng.random(form.rows) < 0.1, 1] = np.nan
        values[0, 1] = 0.5 * size
    begin = datetime(2024, 1, 1, tzinfo=UTC).timestamp() + 60 * form.start
    ids = np.arange(form.rows) * 3 // form.rows if form.ids != "none" else np.zeros(form.rows, int)
    return Table(values, begin + form.step * np.arange(form.rows), ids)


def write(form: Form, folder: Path) -> Path:
    """The file that `meant(form)` is written into."""
    table = meant(form)
    date = DATES[form.dates]
    names = [LEVEL, TEMP, VALVE]
    names = (["date", "time"] if form.dates == "two" else [] if date is None else ["Time stamp"]) + names
    names = (["Batch No"] if form.ids != "none" else []) + names
    if form.separator == " ":
        names = [name.replace(" ", "_") for name in names]
    rows = [_row(form, table, number, date) for number in range(form.rows)]
    if form.newest_first:
        rows.reverse()
    quoted = form.head == "quoted" and form.separator != " "
    lines = [_line(form, row, quoted) for row in rows]
    if form.footer == "average":
        lines.append(_line(form, ["Average", *["1"] * (len(names) - 1)], quoted))
    lines += {"remark": ["", "End of report"], "blank lines": ["", ""]}.get(form.footer, [])
    text = form.line_end.join([*_head(form, names, quoted), *lines]) + form.line_end
    path = folder / f"logs.csv{form.packed}"
    data = text.encode(form.encoding)
    if form.packed == ".zst":
        import pyarrow as pa

        with pa.CompressedOutputStream(str(path), "zstd") as file:
            file.write(data)
    else:
        path.write_bytes(gzip.compress(data) if form.packed else data)
    return path


def _head(form: Form, names: list[str], quoted: bool) -> list[str]:
    line = _line(form, [f" {name} " if form.head == "blanks" else name for name in names], quoted)
    if form.head == "preamble":
        return ["Logger: PLC-7", f"Interval [s]{form.separator}60", "", line]
    if form.head == "units":
        units = {LEVEL: "%", "T [°C]": "degC", "T_[°C]": "degC", VALVE: "m3/h"}
        return [line, _line(form, [units.get(name, "-") for name in names], quoted)]
    if form.head == "sep" and form.separator != " ":
        return [f"sep={form.separator}", line]
    return ["# " + line] if form.head == "comment" else [line]


def _row(form: Form, table: Table, number: int, date: Any) -> list[str]:
    cells = [] if form.ids == "none" else [_id(form, int(table.ids[number]))]
    if date is not None:
        cells += date(datetime.fromtimestamp(table.times[number], UTC)).split("|")
    return cells + [_number(form, value) for value in table.values[number]]


def _id(form: Form, number: int) -> str:
    return str(number + 1) if form.ids == "number" else f"B{number:03d}"


def _number(form: Form, value: float) -> str:
    if np.isnan(value):
        return form.missing or ""
    text = f"{value:,.2f}" if form.thousands else f"{value:.2f}"
    text = text.replace(",", "#").replace(".", form.decimal).replace("#", form.thousands)
    return {"formula": f'="{text}"', "units": f"{text} m³"}.get(form.cells, text)


def _line(form: Form, cells: list[str], quoted: bool) -> str:
    def cell(text: str) -> str:
        inner = quoted or (form.separator in text and form.separator != " ")
        return '"' + text.replace('"', '""') + '"' if inner and not text.startswith('="') else text

    return form.separator.join(map(cell, cells))


def options(form: Form) -> ReadOptions:
    """What the user says about the file: roles, and no word about how it is written."""
    stamp = "Time_stamp" if form.separator == " " else "Time stamp"
    time = {"none": None, "two": "date + time"}.get(form.dates, stamp)
    batch = "Batch_No" if form.separator == " " else "Batch No"
    table = {"state": [LEVEL, TEMP.replace(" ", "_")]} if form.separator == " " else None
    return ReadOptions(
        table=table,
        time=time,
        trajectory=None if form.ids == "none" else batch,
        missing="mask",
        resample=2.0 * form.step * UNITS.get(form.dates, 1.0) if form.resample else None,
        resample_how={LEVEL: "last", TEMP: "last", VALVE: "mean"} if form.resample else None,
    )
