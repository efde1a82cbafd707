"""How a text table is written: what its user says about it, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from revive.errors import Problems, suggestion

BLANKS: Final = " "
_SEPARATORS: Final = {
    "tab": "\t",
    "\\t": "\t",
    "blank": BLANKS,
    "blanks": BLANKS,
    "comma": ",",
    "semicolon": ";",
}
_NAMES: Final = {"\t": "tab", BLANKS: "blank", "|": "pipe"}
ORDERS: Final = ("DMY", "MDY", "YMD")


@dataclass(frozen=True)
class TableOptions:
    """What a text table does not say clearly enough about itself; None: it is found.

    encoding:  as Python calls it: utf-8, cp1252, utf-16, gb18030, ...
    separator: between values: `,` `;` `|` `tab` or `blank`
    decimal:   the decimal mark, `.` or `,`
    thousands: the mark between groups of three digits; `none` where there is none
    header:    the line of names, counted from 1 as an editor does; `none` where there is none
    units:     the line of units below it; `none` where there is none
    footer:    how many lines at the end hold no rows
    dates:     the order of day, month and year: DMY, MDY or YMD
    zone:      the time zone of times without an offset, e.g. Europe/Berlin
    missing:   words that mean that no value was logged, beside the usual ones
    codes:     column -> its words, in the order of the numbers 0, 1, 2, ... that they are read as
    sheet:     the sheet of a workbook, by name or number from 1
    """

    encoding: str | None = None
    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    header: int | str | None = None
    units: int | str | None = None
    footer: int | None = None
    dates: str | None = None
    zone: str | None = None
    missing: Sequence[str] = ()
    codes: Mapping[str, Sequence[str]] | None = None
    sheet: str | int | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> TableOptions:
        """The options in `values`, which are plain; adds to `problems` what is malformed."""
        given = {key: value for key, value in values.items() if value is not None}
        for key, value in [*given.items()]:
            if fault := _fault(key, value):
                problems.add(
                    f"'{key}' cannot be {value!r}", place=f"dataset.table.{key}", remedy=f"possible: {fault}"
                )
                del given[key]
        if "separator" in given:
            given["separator"] = _SEPARATORS.get(given["separator"].lower(), given["separator"])
        for key in ("header", "units", "sheet"):
            if isinstance(given.get(key), str) and given[key].isdecimal():
                given[key] = int(given[key])
        return cls(**given)


KEYS: Final = frozenset(field.name for field in fields(TableOptions))


def _fault(key: str, value: Any) -> str | None:
    """What would be right for `key`, where `value` is wrong."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    text = isinstance(value, str) and value != ""
    line = (whole and value >= 1) or (text and (value == "none" or value.isdecimal()))
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    checks = {
        "encoding": (text and _is_encoding(value), "utf-8, cp1252, utf-16, gb18030, ..."),
        "separator": (
            text and (len(value) == 1 or value.lower() in _SEPARATORS),
            "one character, tab or blank",
        ),
        "decimal": (value in (".", ","), "'.' or ','"),
        "thousands": (text and (len(value) == 1 or value == "none"), "one character, or none"),
        "header": (line, "the number of a line, from 1, or none"),
        "units": (line, "the number of a line, from 1, or none"),
        "footer": (whole and value >= 0, "a number of lines"),
        "dates": (value in ORDERS, suggestion(str(value), ORDERS)),
        "zone": (text and _is_zone(value), "a name such as Europe/Berlin or UTC"),
        "missing": (listed and all(isinstance(word, str) for word in value), "a list of words"),
        "codes": (
            isinstance(value, Mapping) and all(map(_is_code_list, value.values())),
            "{column: [words]}",
        ),
        "sheet": (whole or text, "a name, or a number from 1"),
    }
    right, wanted = checks[key]
    return None if right else wanted


def _is_code_list(words: Any) -> bool:
    listed = isinstance(words, Sequence) and not isinstance(words, str)
    return listed and len(words) > 0 and all(isinstance(word, str) for word in words)


def _is_encoding(name: str) -> bool:
    import codecs

    try:
        return codecs.lookup(name) is not None and "a".encode(name).decode(name) == "a"
    except (LookupError, TypeError, UnicodeError, ValueError):
        return False


def _is_zone(name: str) -> bool:
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name) is not None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    separator, decimal, thousands (None: none): the marks. names: of the columns, from left to right; units: of
    each column, '' where none is told. header, units_line, first: the lines of names, of units and of the first
    row, counted from 1; None where there is none.
    """

    separator: str
    decimal: str
    thousands: str | None
    names: tuple[str, ...]
    units: tuple[str, ...]
    header: int | None
    units_line: int | None
    first: int

    def said(self) -> list[str]:
        """What is not as in a plain table, for a message; empty for commas, points and names in line 1."""
        parts = []
        if self.separator != ",":
            parts.append(f"{_NAMES.get(self.separator, self.separator)} separated")
        if self.decimal != ".":
            parts.append("decimal comma")
        if self.thousands:
            shown = {".": "point", ",": "comma", "'": "apostrophe"}.get(self.thousands, "blank")
            parts.append(f"thousands {shown}")
        if self.header not in (None, 1):
            parts.append(f"names in line {self.header}")
        if self.header is None:
            parts.append("no line of names")
        if self.units_line is not None:
            parts.append(f"units in line {self.units_line}")
        return parts
