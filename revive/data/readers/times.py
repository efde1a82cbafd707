"""Columns of dates and times of day become microseconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from revive.data.readers.months import MONTHS
from revive.data.readers.spelling import tidied_column
from revive.data.readers.time_forms import FIGURES, FORMS, WITH_MONTH_NAMES, TimeForm
from revive.data.trajectories import BoolArray, IntArray

_ZONES: Final = {
    "z": 0,
    "utc": 0,
    "gmt": 0,
    "wet": 0,
    "bst": 60,
    "west": 60,
    "cet": 60,
    "mez": 60,
    "cest": 120,
} | {
    "mesz": 120,
    "eet": 120,
    "eest": 180,
    "est": -300,
    "edt": -240,
    "cst": -360,
    "cdt": -300,
    "mst": -420,
    "mdt": -360,
    "pst": -480,
    "pdt": -420,
    "jst": 540,
}
"""Minutes east of UTC."""

_YEAR: Final = 2000  # of dates without one: it has a 29 February
DAY: Final = 86_400_000_000  # microseconds


def likelier_order(column: Any, form: TimeForm) -> str | None:
    """The order under which the steps of a column of times (an arrow array of text) are the most alike.

    None where all orders give the same steps, so that the order does not matter.
    """
    uneven = {}
    for order in ("DMY", "MDY", *(["YMD"] if form.short else [])):
        micros, known = read_times(column, replace(form, order=order))
        steps = np.diff(micros[known])
        usual = np.median(steps) if len(steps) else 0
        uneven[order] = (int((~known).sum()), int((steps != usual).sum()), float(np.abs(steps - usual).sum()))
    if len({*uneven.values()}) == 1:
        return None
    return min(uneven, key=lambda order: uneven[order])


def read_times(column: Any, form: TimeForm) -> tuple[IntArray, BoolArray]:
    """(N,) microseconds since 1970 (UTC, or local where no offset is told), or of the day; and which are known.

    column: an arrow array of plain text.
    """
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    if form.tidy:
        column = tidied_column(column)
    found = pc.extract_regex(column, (FORMS | FIGURES)[form.form])
    known = np.array(pc.is_valid(found), dtype=bool)
    parts = {name: found.field(number) for number, name in enumerate(_names(found))}
    micros = _clock(parts, known, form.form) if "h" in parts else np.zeros(len(known), np.int64)
    if form.dated:
        days, real = _days(parts, form, known)
        known, micros = known & real, micros + days * DAY - _offsets(parts, known)
    return micros, known


def _names(struct: Any) -> list[str]:
    return [struct.type.field(number).name for number in range(struct.type.num_fields)]


def _whole(texts: Any) -> IntArray:
    """(N,) the numbers in an arrow array of digits; 0 where there are none."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.compute as pc

    filled = pc.if_else(pc.equal(pc.fill_null(texts, ""), ""), "0", texts)
    return np.asarray(filled.cast(pa.int64()), np.int64)


def _clock(parts: dict[str, Any], known: BoolArray, form: str) -> IntArray:
    import pyarrow.compute as pc

    hours, minutes, seconds = _whole(parts["h"]), _whole(parts["mi"]), np.zeros(len(known), np.int64)
    if "s" in parts:
        seconds = _whole(parts["s"])
    if "p" in parts:
        half = np.asarray(pc.utf8_lower(pc.fill_null(parts["p"], "")).to_numpy(zero_copy_only=False), "U1")
        hours = np.where(half != "", hours % 12 + 12 * (half == "p"), hours)
    if "d" in parts:
        hours = hours + 24 * _whole(parts["d"])
    known &= ((hours <= 24) | (form == "passed")) & (minutes < 60) & (seconds <= 60)
    fraction: Any = 0
    if "f" in parts:
        fraction = _whole(pc.utf8_slice_codeunits(pc.utf8_rpad(pc.fill_null(parts["f"], ""), 6, "0"), 0, 6))
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction


def _days(parts: dict[str, Any], form: TimeForm, known: BoolArray) -> tuple[IntArray, BoolArray]:
    """(N,) days since 1970, and which of them the calendar has."""
    if form.form == "ordinal":
        year, day = _whole(parts["a"]), _whole(parts["c"])
        month = np.ones_like(year)
    elif form.form == "week":
        return _weeks(_whole(parts["a"]), _whole(parts["b"]), np.maximum(_whole(parts["c"]), 1), known)
    elif form.form in ("month", "quarter"):
        year, month = _whole(parts["a"]), _whole(parts["b"])
        month, day = month if form.form == "month" else 3 * month - 2, np.ones_like(year)
    elif form.form == "yearless":
        day, month = _whole(parts["a"]), _whole(parts["b"])
        year = np.full(len(day), _YEAR)
    elif form.form not in WITH_MONTH_NAMES:
        a, b, c = (_whole(parts[name]) for name in "abc")
        year, month, day = {"DMY": (c, b, a), "MDY": (c, a, b), "YMD": (a, b, c)}[form.order or "DMY"]
    else:
        first, third, month = _whole(parts["a"]), _whole(parts["c"]), _months(parts["b"])
        year, day = (first, third) if form.order == "YMD" else (third, first)
    year = np.where(year < 100, year + np.where(year < 70, 2000, 1900), year)
    right = known & (month >= 1) & (month <= 12) & (day >= 1) & (year < 2300)
    months = np.where(right, (year - 1970) * 12 + month - 1, 0).astype("M8[M]")
    days = months.astype("M8[D]").astype(np.int64) + day - 1
    if form.form == "ordinal":
        return days, right & (day <= 366)
    right &= days < (months + 1).astype("M8[D]").astype(np.int64)
    return days, right


def _weeks(year: IntArray, week: IntArray, day: IntArray, known: BoolArray) -> tuple[IntArray, BoolArray]:
    """Days since 1970 of the `day` (1: Monday) of a week of ISO 8601, whose first one holds the 4th of January."""
    fourth = (year - 1970).astype("M8[Y]").astype("M8[D]").astype(np.int64) + 3
    monday = fourth - (fourth + 3) % 7  # 1970 began on a Thursday
    return monday + 7 * (week - 1) + day - 1, known & (week >= 1) & (week <= 53)


def _months(texts: Any) -> IntArray:
    encoded = texts.fill_null("").dictionary_encode()
    numbers = np.array([MONTHS.get(text.lower(), 0) for text in encoded.dictionary.to_pylist()] or [0])
    return numbers[np.asarray(encoded.indices)]


def _offsets(parts: dict[str, Any], known: BoolArray) -> IntArray:
    """(N,) microseconds east of UTC; a zone that is not known makes a time unknown."""
    if "z" not in parts:
        return np.zeros(len(known), np.int64)
    encoded = parts["z"].fill_null("").dictionary_encode()
    told = [_offset(text) for text in encoded.dictionary.to_pylist()] or [0]
    minutes = np.array([0 if minute is None else minute for minute in told], np.int64)
    indices = np.asarray(encoded.indices)
    known &= ~np.array([minute is None for minute in told])[indices]
    return minutes[indices] * 60_000_000


def _offset(text: str) -> int | None:
    if not text:
        return 0
    if text[0] in "+-":
        digits = text[1:].replace(":", "").ljust(4, "0")
        return (1 if text[0] == "+" else -1) * (int(digits[:2]) * 60 + int(digits[2:]))
    return _ZONES.get(text.lower())
