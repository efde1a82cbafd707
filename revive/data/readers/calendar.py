"""Times that a table spreads over several columns: a date and a time of day, or year, month, day, hour and so on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from revive.data.readers.container import AND, Info
from revive.data.readers.tables import TableFormat, microseconds
from revive.data.roles import tokens
from revive.data.trajectories import FloatArray

_PARTS: Final = {
    name: part
    for part, names in {
        "year": "year yr yyyy yy jahr",
        "month": "month mon mo monat",
        "day": "day dd dy tag",
        "doy": "doy dayofyear jday",
        "hhmm": "hhmm",
        "hour": "hour hr hh he stunde uur heure hora",
        "minute": "minute min mi mn",
        "second": "second sec ss",
    }.items()
    for name in names.split()
}
_SECONDS: Final = {"hour": 3600.0, "minute": 60.0, "second": 1.0}
_DAY: Final = 86_400.0


def _part(name: str) -> str | None:
    """The part of a date that a column is called after; oceanographers write MM for months, mm for minutes."""
    said = tokens(name)
    if said == ("day", "of", "year"):
        return "doy"
    if said == ("mm",):
        return "month" if name.strip("# ").isupper() else "minute"
    return _PARTS.get(said[0]) if len(said) == 1 else None


def calendar_parts(names: Sequence[str], days: str | None = None) -> dict[str, str]:
    """Part -> the column of it, in the order of their size, where `names` make up a date; else empty.

    days: a column of dates, which an hour from 0 to 23, or the hour that ends (1 to 24), stands beside.
    """
    found: dict[str, str] = {}
    for name in names:
        part = _part(name)
        if part is not None and found.setdefault(part, name) != name:
            return {}  # two of a kind
    if days is not None:
        clock: dict[str, str] = {part: found[part] for part in ("hour", "minute") if part in found}
        return {"date": days, **clock} if "hour" in clock else {}
    if "year" not in found or not ("doy" in found or {"month", "day"} <= {*found}):
        return {}
    if "doy" in found and "month" not in found:
        found.pop("day", None)
    else:
        found.pop("doy", None)
    if "hhmm" in found:
        found = {part: name for part, name in found.items() if part not in _SECONDS}
    order = ("year", "month", "day", "doy", "hhmm", "hour", "minute", "second")
    return {part: found[part] for part in order if part in found}


def seconds_of(parts: Mapping[str, FloatArray]) -> FloatArray:
    """(N,) seconds since 1970 of the parts (N,) of a date; NaN where the calendar has no such day.

    A whole date comes in seconds since 1970.
    """
    if "date" in parts:
        hour, minute = parts["hour"], parts.get("minute", np.zeros_like(parts["hour"]))
        with np.errstate(invalid="ignore"):
            real = (hour >= 0) & (hour <= 24) & (minute >= 0) & (minute < 60)
        return np.where(real, parts["date"] + 3600 * hour + 60 * minute, np.nan)
    with np.errstate(invalid="ignore"):
        year = parts["year"] + np.where(parts["year"] < 100, np.where(parts["year"] < 70, 2000, 1900), 0)
        month = parts.get("month", np.ones_like(year))
        day = parts["doy"] if "doy" in parts else parts["day"]
        last = 367 if "doy" in parts else 32
        real = (month >= 1) & (month <= 12) & (day >= 1) & (day < last) & (year > 1) & (year < 2300)
        months = np.where(real, (year - 1970) * 12 + month - 1, 0).astype("M8[M]")
        seconds = months.astype("M8[s]").astype(float) + (day - 1) * _DAY
        if "hhmm" in parts:
            seconds = seconds + 3600 * (parts["hhmm"] // 100) + 60 * (parts["hhmm"] % 100)
        for part, size in _SECONDS.items():
            seconds = seconds + size * parts.get(part, np.zeros_like(year))
    return np.where(real, seconds, np.nan)


class CalendarTables:
    """Tables of any format, with the sums of the parts of dates as more columns."""

    def __init__(self, tables: TableFormat) -> None:
        self._tables = tables

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        found = self._tables.columns(path)
        more = [(name, Info((-1,), "dates", "dates")) for name in self._pairs(found)]
        if parts := self._parts(found):
            clocked = {*parts} & {"date", "hhmm", *_SECONDS}
            more.append((AND.join(parts.values()), Info((-1,), "dates", "dates" if clocked else "days")))
        return found + more

    @staticmethod
    def _parts(columns: Sequence[tuple[str, Info]]) -> dict[str, str]:
        numbers = [name for name, info in columns if info.numeric and not info.words]
        dates = [name for name, info in columns if info.kind == "dates"]
        alone = len(dates) == 1 and dict(columns)[dates[0]].holds == "days"
        return calendar_parts(numbers) or (calendar_parts(numbers, dates[0]) if alone else {})

    @staticmethod
    def _pairs(columns: Sequence[tuple[str, Info]]) -> dict[str, tuple[str, str]]:
        """Name -> a column of days and one of times of day; several where each day has its time (UTC, local)."""
        days, clocks = (
            [name for name, info in columns if info.holds == holds] for holds in ("days", "times of day")
        )
        if len(days) != len(clocks):
            return {}
        return {day + AND + clock: (day, clock) for day, clock in zip(days, clocks, strict=True)}

    def rows(self, path: Path) -> int:
        return self._tables.rows(path)

    def pandas_call(self, path: Path) -> str:
        return self._tables.pandas_call(path)

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        known = self._tables.columns(path)
        parts, pairs = self._parts(known), self._pairs(known)
        whole = AND.join(parts.values()) if parts else None
        pairs = {name: pair for name, pair in pairs.items() if name in columns}
        first = [part for pair in pairs.values() for part in pair]  # beside each other, to be read at once
        read = dict.fromkeys([*first, *(name for name in columns if name not in pairs and name != whole)])
        if read:
            for run in self._tables.runs(path, [*read]):
                yield _with_sums(run, columns, pairs) if pairs else run
        if whole is not None and whole in columns:
            yield iter([self._joined(path, whole, parts)])

    def _joined(self, path: Path, whole: str, parts: Mapping[str, str]) -> Any:
        import pyarrow as pa  # type: ignore[import-untyped]

        pieces: dict[str, list[FloatArray]] = {name: [] for name in parts.values()}
        for run in self._tables.runs(path, [*parts.values()]):
            for batch in run:
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    values = microseconds(column) if name == parts.get("date") else column
                    pieces[name].append(np.asarray(values.cast(pa.float64()), float))
        held = {part: np.concatenate(pieces[name]) for part, name in parts.items()}
        if "date" in held:
            held["date"] = held["date"] / 1e6
        seconds = seconds_of(held)
        micros = pa.array(np.nan_to_num(seconds * 1e6).astype(np.int64), mask=np.isnan(seconds))
        return pa.RecordBatch.from_arrays([micros.cast(pa.timestamp("us"))], [whole])


def _with_sums(
    run: Iterator[Any], columns: Sequence[str], pairs: Mapping[str, tuple[str, str]]
) -> Iterator[Any]:
    """The batches with those of `columns` that they hold, and with the sums of the pairs that they hold."""
    import pyarrow as pa

    for batch in run:
        held = {
            name: column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
            if name in columns
        }
        for name, (day, clock) in pairs.items():
            if day in batch.schema.names and clock in batch.schema.names:
                micros = pa.compute.add(microseconds(batch.column(day)), microseconds(batch.column(clock)))
                held[name] = micros.cast(pa.timestamp("us"))
        yield pa.RecordBatch.from_arrays([*held.values()], [*held])
