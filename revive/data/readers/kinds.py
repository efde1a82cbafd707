"""What the columns of a text table hold, told from its beginning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from revive.data.readers.cells import Kind, kind_of
from revive.data.readers.dialect import TableOptions
from revive.data.readers.time_forms import TimeForm, clock_form, day_form, figures_form, runs_like_a_clock
from revive.data.roles import is_time, tokens

_LOOKED_AT: Final = 5000  # cells of a column that its kind is told from
_CLOCKS: Final = frozenset(
    ["hhmm", "hhmmss", "hour", "ymd", "yyyymmdd", "day"]
)  # names of figures that are times
_DAYS: Final = frozenset(["date", "datum", "fecha", "ymd", "yymmdd", "ddmmyy", "dmy"])


def kinds_of(
    columns: Mapping[str, Any], options: TableOptions, states: Mapping[str, Kind]
) -> tuple[dict[str, Kind], dict[str, Any]]:
    """Name -> what it holds; and name -> the type of pyarrow that it can be read as at once.

    columns: arrow arrays of their first cells, as pyarrow understood them. states: kinds that are known already.
    """
    kinds: dict[str, Kind] = {}
    types: dict[str, Any] = {}
    for name, column in columns.items():
        kinds[name], types[name] = (states[name], None) if name in states else _kind(name, column, options)
    whole = {name: figures(columns[name]) for name, kind in kinds.items() if kind.holds == "numbers"}
    for name, cells in whole.items():
        if form := figures_form(cells, is_named(name)):
            kinds[name], types[name] = Kind("times", form=form), None
        elif _DAYS & {*tokens(name)} and (form := day_form(cells)):
            form = replace(form, order=options.dates or form.order)
            kinds[name], types[name] = Kind("times", form=form), None
    forms = [kind.form for kind in kinds.values() if kind.form is not None]
    days = any(form.dated and not form.clocked for form in forms)
    for name, cells in whole.items():
        if kinds[name].holds != "numbers" or not is_named(name) or (form := clock_form(cells)) is None:
            continue
        if days or (
            is_time(name) and runs_like_a_clock(cells)
        ):  # figures beside a column of days, or no even numbers
            kinds[name], types[name] = Kind("times", form=form), None
    return kinds, {name: kind for name, kind in types.items() if kind is not None}


def _kind(name: str, column: Any, options: TableOptions) -> tuple[Kind, Any]:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import types  # type: ignore[import-untyped]

    kind = column.type
    if options.codes and name in options.codes:
        return kind_of(name, column, options), None
    if types.is_boolean(kind):
        return Kind("switch", words=("false", "true")), kind
    if types.is_timestamp(kind) or types.is_date(kind):
        zoned = types.is_timestamp(kind) and kind.tz is not None
        return Kind(
            "times", form=TimeForm("numeric", "YMD", True, types.is_timestamp(kind), "-", zoned)
        ), kind
    if types.is_time(kind):
        return Kind("times", form=TimeForm("clock", dated=False)), None
    if types.is_string(kind):
        return _ordered(kind_of(name, column, options), options), None
    return Kind("numbers"), pa.float64()


def _ordered(kind: Kind, options: TableOptions) -> Kind:
    if kind.form is None or kind.form.form != "numeric" or options.dates is None:
        return kind
    return replace(kind, form=replace(kind.form, order=options.dates))


def figures(column: Any) -> list[str]:
    """The cells of a column of whole numbers; empty where it holds others."""
    from pyarrow import types

    if not (types.is_integer(column.type) or types.is_string(column.type)):
        return []
    return [str(cell).strip() for cell in column.slice(0, _LOOKED_AT).to_pylist() if cell is not None]


def is_named(name: str) -> bool:
    """Whether the name of a column of figures says that they are times."""
    return is_time(name) or bool({*tokens(name)} & _CLOCKS)
