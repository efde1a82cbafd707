"""Tables as people write them: a few values, and every way to put them into a file or a frame."""

from __future__ import annotations

import bz2
import gzip
import lzma
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st

from revive.data.readers import ReadOptions
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

LEVEL, TEMP, VALVE = "level", "T [°C]", "valve"
NAMES = (LEVEL, TEMP, VALVE)
GRAPH = DecisionGraph.build(
    [
        Column(name, node, "continuous")
        for name, node in ((LEVEL, "state"), (TEMP, "state"), (VALVE, "action"))
    ],
    {"action": ["state"], "next_state": ["state", "action"]},
)
ZONED, BERLIN = timedelta(hours=2), ZoneInfo("Europe/Berlin")
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
    "epoch_us": lambda t: str(int(t.timestamp() * 1_000_000)),
    "two": lambda t: t.strftime("%d.%m.%Y|%H:%M:%S"),
    "local": lambda t: t.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S"),
    "named_zone": lambda t: t.strftime("%Y-%m-%d %H:%M:%S UTC"),
    "figures": lambda t: t.strftime("%Y%m%d%H%M%S"),
    "java": lambda t: t.strftime("%a %b %d %H:%M:%S UTC %Y"),
    "eastern": lambda t: t.strftime("%Y年%m月%d日 %H時%M分"),
    "parts": lambda t: f"{t.year}|{t.month}|{t.day}|{t.hour}|{t.minute}",
}
UNITS = {"epoch_ms": 1e3, "epoch_us": 1e6}
STAMPS = {"none": (), "two": ("date", "time"), "parts": ("year", "month", "day", "hour", "minute")}
_SPACED = ("iso", "german", "dmy", "mdy_ampm", "month", "named_zone", "java", "eastern", "local")


@dataclass(frozen=True)
class Form:
    """How a table is written; `fitting` takes out what cannot be together."""

    seed: int = 0
    rows: int = 40
    start: int = 0
    step: int = 60
    container: str = "csv"
    encoding: str = "utf-8"
    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    head: str = "plain"
    line_end: str = "\n"
    dates: str = "iso"
    order: str = "even"
    missing: str | None = None
    ids: str = "none"
    footer: str = "none"
    packed: str = ""
    cells: str = "plain"
    resample: bool = False

    @property
    def newest_first(self) -> bool:
        return self.order == "newest first"

    @property
    def framed(self) -> bool:
        """Whether it is a frame in memory."""
        return self.container in ("pandas", "polars")

    def fitting(self) -> Form:
        """The nearest form that a reader can make sense of."""
        form = self
        if form.framed or form.container == "xlsx":
            plain = {"encoding": "utf-8", "separator": "\t", "decimal": ".", "thousands": "", "packed": ""}
            heads = ("plain", "preamble", "units", "two lines") if form.container == "xlsx" else ("plain",)
            form = replace(form, **plain, cells="plain", head=form.head if form.head in heads else "plain")
            form = replace(form, footer="none" if form.framed else form.footer, line_end="\n")
        if form.container == "tsv":
            form = replace(form, separator="\t")
        if form.separator == " ":
            form = replace(form, dates="iso_t" if form.dates in _SPACED else form.dates, thousands="")
            heads = {"preamble": "plain", "two lines": "plain"}
            form = replace(form, head=heads.get(form.head, form.head), footer="none", cells="plain")
            form = replace(form, missing=None if form.missing is None else "NaN")
        if form.head == "none" and (form.dates == "parts" or form.ids == "done"):
            form = replace(form, head="plain")
        if form.dates == "eastern" and form.encoding == "cp1252":
            form = replace(form, encoding="utf-8")
        if form.thousands == form.decimal:
            form = replace(form, thousands="")
        if form.dates == "none":
            order = "even" if form.order != "irregular" else form.order
            form = replace(form, order=order, resample=False, ids="none" if form.ids == "gap" else form.ids)
        if form.cells == "formula" and form.separator == ",":
            form = replace(form, cells="plain")
        return form


FORMS = st.builds(
    Form,
    seed=st.integers(0, 10**6),
    rows=st.integers(20, 90),
    start=st.integers(0, 365 * 24 * 60),
    step=st.sampled_from([60, 300, 900, 3600]),
    container=st.sampled_from([*["csv"] * 6, "txt", "tsv", "dat", "xlsx", "pandas", "polars"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
    decimal=st.sampled_from([".", ","]),
    thousands=st.sampled_from(["", "", ",", ".", " ", "'", "\u00a0"]),
    head=st.sampled_from(
        ["plain", "preamble", "units", "two lines", "sep", "quoted", "blanks", "comment", "none"]
    ),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    dates=st.sampled_from([*DATES]),
    order=st.sampled_from(["even", "newest first", "irregular"]),
    missing=st.sampled_from([None, None, "", "Bad", "No Data", "NaN", "#N/A", "I/O Timeout", "-", "(null)"]),
    ids=st.sampled_from(["none", "number", "word", "interleaved", "done", "gap"]),
    footer=st.sampled_from(["none", "none", "average", "remark", "blank lines"]),
    packed=st.sampled_from(["", "", ".gz", ".bz2", ".xz", ".zst"]),
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

    def take(self, rows: np.ndarray) -> Table:
        return Table(self.values[rows], self.times[rows], self.ids[rows])


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
    steps = np.ones(form.rows)
    if form.order == "irregular":
        steps = rng.choice([1, 1, 1, 2, 3, 7], form.rows)
    times = begin + form.step * (np.cumsum(steps) - steps[0])
    if form.ids == "gap":
        times += 50 * form.step * ids
    if form.ids == "interleaved":
        times -= times[np.searchsorted(ids, ids)] - begin
    return Table(values, times, ids)


def written_order(form: Form, table: Table) -> np.ndarray:
    """(N,) the rows in the order in which they are written."""
    order = np.arange(form.rows)
    if form.ids == "interleaved":
        order = np.lexsort((table.ids, table.times))
    return order[::-1] if form.newest_first else order


def grid(form: Form) -> list[list[str]]:
    """The names, and below them the cells of all rows."""
    table, date = meant(form), DATES[form.dates]
    names = [*STAMPS.get(form.dates, ("Time stamp",)), *NAMES]
    names = (["Batch No"] if form.ids in ("number", "word", "interleaved") else []) + names
    names += ["done"] if form.ids == "done" else []
    ends = {*(table.ends - 1).tolist()}
    rows = []
    for row in written_order(form, table).tolist():
        cells = [_id(form, int(table.ids[row]))] if names[0] == "Batch No" else []
        if date is not None:
            cells += date(datetime.fromtimestamp(table.times[row], UTC)).split("|")
        cells += [_number(form, value) for value in table.values[row]]
        rows.append(cells + ([str(int(row in ends))] if form.ids == "done" else []))
    return [names, *rows]


def _id(form: Form, number: int) -> str:
    return f"B{number:03d}" if form.ids == "word" else str(number + 1)


def _number(form: Form, value: float) -> str:
    if np.isnan(value):
        return form.missing or ""
    text = f"{value:,.2f}" if form.thousands else f"{value:.2f}"
    text = text.replace(",", "#").replace(".", form.decimal).replace("#", form.thousands)
    return {"formula": f'="{text}"', "units": f"{text} m³"}.get(form.cells, text)


def options(form: Form) -> ReadOptions:
    """What the user says about the table: roles, and no word about how it is written where that can be told."""
    blanks = form.separator == " "
    names = [name.replace(" ", "_") if blanks else name for name in grid(replace(form, rows=20))[0]]
    called = [f"column_{number}" for number in range(1, len(names) + 1)] if form.head == "none" else names
    of = dict(zip([name.replace("_", " ") for name in names], called, strict=True))
    stamps = [of[name] for name in STAMPS.get(form.dates, ("Time stamp",))]
    table: dict[str, Any] = {}
    if blanks or form.head == "none":
        table = {"state": [of[LEVEL], of[TEMP]], "action": [of[VALVE]]}
    if form.head == "none":
        table["header"] = "none"
    if form.dates == "local":
        table["zone"] = "Europe/Berlin"
    unit = UNITS.get(form.dates, 1.0)
    return ReadOptions(
        table=table or None,
        time=" + ".join(stamps) or None,
        trajectory=of.get("Batch No"),
        gap=20.0 * form.step * unit if form.ids == "gap" else None,
        missing="mask",
        resample=2.0 * form.step * unit if form.resample else None,
        resample_how={LEVEL: "last", TEMP: "last", VALVE: "mean"} if form.resample else None,
    )


def packed(data: bytes, path: Path) -> Path:
    """Writes `data`, packed as the name of the file says."""
    if path.suffix == ".zst":
        import pyarrow as pa

        with pa.CompressedOutputStream(str(path), "zstd") as file:
            file.write(data)
    else:
        pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
        path.write_bytes(pack(data))
    return path
