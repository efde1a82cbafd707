"""The forms in which people and loggers write dates and times of day, and which of them a column has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from revive.data.readers.months import MONTHS
from revive.data.readers.spelling import tidied

# RE2 and Python's re read these alike: pyarrow takes whole columns apart, Python single cells.
_CLOCK: Final = (
    r"(?P<h>\d{1,2})[:h](?P<mi>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?: ?(?P<p>[AaPp])(?:\.?[Mm]\.?)?)?"
)
_ZONE: Final = r" ?(?P<z>[Zz]|[+-]\d{2}(?::?\d{2})?|[A-Z]{3,4})?"
_OF_DAY: Final = rf"(?:(?:[ T_,]+|, | - ){_CLOCK}{_ZONE})?"
_LETTERS: Final = "A-Za-zÀ-ɏА-яё"
_DAY_NAME: Final = rf"(?:[{_LETTERS}]{{2,12}}\.?,? )?"
_MONTH_NAME: Final = rf"(?P<b>[{_LETTERS}]{{3,12}})\.?"
_NUMERIC: Final = rf"^{_DAY_NAME}(?P<a>\d{{1,4}})(?P<m1>[./-])(?P<b>\d{{1,2}})[./-](?P<c>\d{{1,4}}){_OF_DAY}$"
_NAMED: Final = (
    rf"^{_DAY_NAME}(?P<a>\d{{1,4}})(?:\.|er)?[ ./-]{{1,2}}{_MONTH_NAME}"
    rf"[ ,./-]{{1,2}}(?P<c>\d{{2,4}}){_OF_DAY}$"
)
_AMERICAN: Final = rf"^{_DAY_NAME}{_MONTH_NAME} (?P<a>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<c>\d{{4}}){_OF_DAY}$"
_ONLY_CLOCK: Final = rf"^{_CLOCK}$"
_COMPACT: Final = (  # ISO 8601 without marks, and figures alone
    r"^(?P<a>(?:19|20|21)\d{2})(?P<b>[01]\d)(?P<c>[0-3]\d)"
    r"(?:[T _-]?(?P<h>[0-2]\d)(?:(?P<mi>[0-5]\d)(?:(?P<s>[0-6]\d)(?:[.,]?(?P<f>\d{1,9}))?)?)?"
    r"(?P<z>Z|[+-]\d{2}:?\d{2})?)?$"
)
_EASTERN: Final = (
    r"^(?P<a>\d{4})年(?P<b>\d{1,2})月(?P<c>\d{1,2})日"
    r"(?: ?(?P<h>\d{1,2})[時时点:](?P<mi>\d{2})(?:[分:](?:(?P<s>\d{1,2})秒?)?)?)?$"
)
_ASCTIME: Final = (  # as C and Java print dates: the year stands last
    rf"^[A-Za-z]{{2,9}} {_MONTH_NAME} {{1,2}}(?P<a>\d{{1,2}}) (?P<h>\d{{1,2}}):(?P<mi>\d{{2}}):(?P<s>\d{{2}})"
    r"(?: (?P<z>[A-Z]{3,4}|[+-]\d{2}:?\d{2}))? (?P<c>\d{4})$"
)
_YEARLESS: Final = (  # as simulation programs print them
    r"^(?P<b>\d{1,2})[/-](?P<a>\d{1,2})[ ,]+(?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2}))?$"
)
_ORDINAL: Final = (  # the day of the year, as space and weather agencies write it
    r"^(?P<a>(?:19|20|21)\d{2})-(?P<c>[0-3]\d{2})"
    r"(?:[T ](?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?(?P<z>Z)?)?$"
)
_WEEK: Final = r"^(?P<a>(?:19|20|21)\d{2})-?W(?P<b>[0-5]\d)(?:-?(?P<c>[1-7]))?$"  # of ISO 8601
_MONTH: Final = r"^(?P<a>(?:19|20|21)\d{2})[-/](?P<b>0[1-9]|1[0-2])$"
_QUARTER: Final = r"^(?P<a>(?:19|20|21)\d{2})[- ]?[Qq](?P<b>[1-4])$"
_PASSED: Final = (  # time that has passed: hours beyond a day, or days before them
    r"^(?:(?P<d>\d{1,5})(?: ?d(?:ays?)?,? |[ .]))?(?P<h>\d{1,5}):(?P<mi>\d{2}):(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?$"
)
FORMS: Final = {
    "numeric": _NUMERIC,
    "named": _NAMED,
    "american": _AMERICAN,
    "clock": _ONLY_CLOCK,
    "compact": _COMPACT,
    "eastern": _EASTERN,
    "asctime": _ASCTIME,
    "yearless": _YEARLESS,
    "ordinal": _ORDINAL,
    "week": _WEEK,
    "month": _MONTH,
    "quarter": _QUARTER,
    "passed": _PASSED,
}
FIGURES: Final = {  # only where the whole column, and its name, speak for them
    "hhmm": r"^(?P<h>\d{0,2}?)(?P<mi>\d{1,2})$",
    "hhmmss": r"^(?P<h>\d{0,2}?)(?P<mi>\d{1,2})(?P<s>\d{2})$",
    "yymmdd": r"^(?P<a>\d{1,2}?)(?P<b>\d{2})(?P<c>\d{2})$",
}
WITH_MONTH_NAMES: Final = ("named", "american", "asctime")
_MOST: Final = 0.6  # share of the cells that have a form from which it is that of the column
_UNDATED: Final = ("clock", "passed", "hhmm", "hhmmss")
OPEN_ORDER: Final = ("numeric", "yymmdd")  # forms whose order the cells may leave open
_COMPILED: Final = {form: re.compile(pattern) for form, pattern in FORMS.items()}


@dataclass(frozen=True)
class TimeForm:
    """How the times of a column are written.

    form: a key of FORMS. order: of the numbers in a date, DMY, MDY or YMD; None while it is not known.
    dated, clocked, zoned: whether there are dates, times of day, and offsets from UTC. mark: between the numbers of
    a date. tidy: whether cells have to be `tidied` first. short: whether days and years have two figures alike.
    """

    form: str
    order: str | None = None
    dated: bool = True
    clocked: bool = True
    mark: str = "/"
    zoned: bool = False
    tidy: bool = False
    short: bool = False

    @property
    def unusual(self) -> bool:
        """Whether it is worth a word: not as the standard wants it, and not in doubt."""
        standard = self.form == "numeric" and self.order == "YMD"
        return not standard and (self.form != "numeric" or self.order is not None)

    def said(self) -> str:
        """For a message, like `DD.MM.YYYY hh:mm`."""
        if not self.dated:
            return {"clock": "hh:mm", "passed": "time passed"}.get(self.form, self.form)
        names = {"D": "DD", "M": "MM", "Y": "YY" if self.form == "yymmdd" else "YYYY"}
        date = {
            "named": "DD MMM YYYY",
            "american": "MMM DD, YYYY",
            "compact": "YYYYMMDD",
            "eastern": "YYYY年MM月DD日",
            "asctime": "MMM DD hh:mm YYYY",
            "yearless": "MM/DD without a year",
            "ordinal": "YYYY-DDD",
            "week": "YYYY-Www",
            "month": "YYYY-MM",
            "quarter": "YYYY-Qn",
        }.get(self.form)
        return date or self.mark.join(names[letter] for letter in self.order or "DMY")


def is_time(cell: str) -> bool:
    """Whether a plain cell is a date, a time of day or both."""
    return form_of(cell) is not None


def form_of(cell: str) -> str | None:
    """The key of FORMS that a plain cell has, tidied where that helps; None where it is no time."""
    form = _form_of(cell)
    if form is None and len(cell) > 4 and any(map(str.isdecimal, cell)):
        tidy = tidied(cell)
        form = _form_of(tidy) if tidy != cell else None
    return form


def _form_of(cell: str) -> str | None:
    for form, pattern in _COMPILED.items():
        found = pattern.match(cell)
        if found and _plausible(form, found.groupdict()):
            return form
    return None


def _plausible(form: str, parts: dict[str, str | None]) -> bool:
    if form in WITH_MONTH_NAMES:
        return (parts["b"] or "").lower() in MONTHS
    if form == "compact":
        month, day = int(parts["b"] or 0), int(parts["c"] or 0)
        return 1 <= month <= 12 and 1 <= day <= 31 and int(parts["h"] or 0) <= 24
    if form == "clock":
        return int(parts["h"] or 0) <= 24
    if form == "yearless":
        return 1 <= int(parts["b"] or 0) <= 12 and 1 <= int(parts["a"] or 0) <= 31
    if form == "ordinal":
        return 1 <= int(parts["c"] or 0) <= 366
    if form == "numeric":
        a, c = len(parts["a"] or ""), len(parts["c"] or "")
        return (a == 4 and c <= 2) or (a <= 2 and c in (2, 4))
    return True


def time_form(cells: Sequence[str]) -> TimeForm | None:
    """The form of most of these cells, which are in the order of the file; None where few are times."""
    found = _form_of_most(cells)
    if found is None:
        found = _form_of_most([tidied(cell) for cell in cells])
        return None if found is None else replace(found, tidy=True)
    return found


def _form_of_most(cells: Sequence[str]) -> TimeForm | None:
    forms = [_form_of(cell) for cell in cells]
    known = [form for form in forms if form]
    if not known or len(known) < _MOST * len(cells):
        return None
    form = max(sorted({*known}), key=known.count)
    if {*known} == {"clock", "passed"}:
        form = "passed"  # which begins below a day
    chosen = [cell for cell, f in zip(cells, forms, strict=True) if f == form]
    if form in _UNDATED:
        return TimeForm(form, None, dated=False)
    parts = [found.groupdict() for cell in chosen if (found := _COMPILED[form].match(cell))]
    clocked, zoned = (any(part.get(name) for part in parts) for name in "hz")
    if form != "numeric":
        return TimeForm(form, "YMD" if len(parts[0]["a"]) == 4 else "DMY", True, clocked, " ", zoned)
    short = all(len(part["a"]) == 2 == len(part["c"]) and part["m1"] != "." for part in parts)
    order = None if short and _years_first(parts) else _order(chosen)
    return TimeForm(form, order, True, clocked, parts[0]["m1"], zoned, short=short)


def _years_first(parts: Sequence[dict[str, str]]) -> bool:
    """Whether dates of two figures throughout, like 24/03/05, may begin with the year."""
    return all(1 <= int(part["b"]) <= 12 and 1 <= int(part["c"]) <= 31 for part in parts)


def figures_form(cells: Sequence[str], named: bool) -> TimeForm | None:
    """The form of a column of figures alone that are dates, like 202403042200; None where they are numbers.

    named: whether the name of the column says that it holds times, without which a day alone is no date.
    """
    shapes = {len(cell) for cell in cells}
    if len(shapes) != 1 or not shapes <= {8, 10, 12, 14, 17} or (shapes <= {8, 10} and not named):
        return None
    found = all(cell.isdecimal() and form_of(cell) == "compact" for cell in cells)
    return TimeForm("compact", "YMD", True, shapes != {8}, "") if found else None


def clock_form(cells: Sequence[str]) -> TimeForm | None:
    """The form of figures that are times of day, like 2215 or 221500; None where they cannot be."""
    if not all(cell.isdecimal() and len(cell) <= 6 for cell in cells) or len({*cells}) < 2:
        return None
    numbers = np.array([int(cell) for cell in cells])
    form = "hhmm" if numbers.max() < 2400 else "hhmmss"
    numbers = numbers if form == "hhmm" else numbers // 100
    fitting = numbers.max() < 2400 and (numbers % 100).max() < 60 and numbers.max() >= 60
    return TimeForm(form, None, dated=False) if fitting else None


def day_form(cells: Sequence[str]) -> TimeForm | None:
    """The form of figures that are days, like 240304 or 40324; None where they cannot be."""
    if not cells or not all(cell.isdecimal() and len(cell) in (5, 6) for cell in cells):
        return None
    a, b, c = np.array([(int(cell[:-4]), int(cell[-4:-2]), int(cell[-2:])) for cell in cells]).T
    fitting = [
        order
        for order, month, day in (("YMD", b, c), ("DMY", b, a), ("MDY", a, b))
        if month.min() >= 1 and month.max() <= 12 and day.min() >= 1 and day.max() <= 31
    ]
    if not fitting:
        return None
    order = fitting[0] if len(fitting) == 1 or len({*cells}) == 1 else None
    return TimeForm("yymmdd", order, True, False, "", short=True)


def runs_like_a_clock(cells: Sequence[str]) -> bool:
    """Whether figures that leap as numbers (225900, 230000) rise evenly as times of day."""
    numbers = np.array([int(cell) for cell in cells])
    if numbers.max() < 10_000:
        numbers = numbers * 100
    seconds = numbers // 10_000 * 3600 + numbers // 100 % 100 * 60 + numbers % 100
    steps, leaps = np.diff(seconds) % 86_400, np.diff(numbers)
    return len(steps) > 2 and len({*steps.tolist()}) == 1 and len({*leaps.tolist()}) > 1


def _order(cells: Sequence[str]) -> str | None:
    """DMY, MDY or YMD; None where the cells allow both of the first."""
    parts = [_COMPILED["numeric"].match(cell) for cell in cells]
    split = [(found["a"], found["m1"], found["b"]) for found in parts if found]
    if len(split[0][0]) == 4:
        return "YMD"
    if split[0][1] == ".":
        return "DMY"  # nobody writes 03.31.2024
    first, second = max(int(a) for a, _, _ in split), max(int(b) for _, _, b in split)
    if first > 12 or second > 12:
        return ("DMY" if second <= 12 else None) if first > 12 else "MDY"
    return None
