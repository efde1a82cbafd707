"""What a cell of a table can say: a number, a missing value, a switch position, a time, or a word."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final


def vocabulary(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


MISSING: Final = vocabulary("""
    na n/a n.a. #n/a #na nan -nan 1.#qnan -1.#qnan 1.#ind -1.#ind -nan(ind) null none nil nil. missing void
    - -- --- . ? * bad unavailable unknown #value! #ref! #div/0! #num! #name? #null! #error #wert! #bezug! #nv
    (null) <null> [null] \\n n.d. n/d nodata no_data novalue no_value 无 无数据
    """) | {
    "",
    "no data",
    "no value",
    "not available",
    "i/o timeout",
    "#n/a n/a",
    "bad input",
    "bad quality",
    "kein wert",
}
"""Lower-case words for "no value was logged", as historians, spreadsheets and programs write them."""

FAULTS: Final = vocabulary(
    """
    invalid uncertain questionable offline off-line timeout error failed fault configure out failure
    over under over+ under- -over +over overflow underflow overload ovf ol o.l burnout b.out abnormal illegal unreliable
    disconnected masked skip m err 坏值 无效 异常 故障
    """
) | {
    "bad value",
    "calc failed",
    "comm fail",
    "comm failure",
    "intf shut",
    "no good data",
    "no good data for calculation",
    "no result",
    "no sample",
    "not connect",
    "not connected",
    "out of serv",
    "out of service",
    "over range",
    "pt created",
    "scan off",
    "scan timeout",
    "sensor fault",
    "tag not found",
    "under range",
    "arc off-line",
}
"""Lower-case words that stand for a missing number; in a column of words they are states like any other."""

PAIRS: Final = (
    ("off", "on"),
    ("no", "yes"),
    ("false", "true"),
    ("n", "y"),
    ("f", "t"),
    ("closed", "open"),
    ("close", "open"),
    ("closed", "opened"),
    ("stop", "start"),
    ("stopped", "running"),
    ("stop", "run"),
    ("idle", "running"),
    ("inactive", "active"),
    ("disabled", "enabled"),
    ("low", "high"),
    ("aus", "ein"),
    ("aus", "an"),
    ("nein", "ja"),
    ("falsch", "wahr"),
    ("zu", "auf"),
    ("关", "开"),
    ("否", "是"),
)
"""Words for 0 and 1."""

_DECIMALS: Final = r"(?:\d+(?:[.,]\d*)?|[.,]\d+)"
_GROUPED: Final = r"\d{1,3}(?:(?P<mark>[., '’\u00a0\u202f\u2009])\d{3})(?:(?P=mark)\d{3})*(?:[.,]\d+)?"
_NUMBER: Final = re.compile(rf"[+-]?(?:{_GROUPED}|{_DECIMALS}(?:[eE][+-]?\d+)?|inf(?:inity)?)$", re.I)
_UNIT: Final = r"[^\W\d_]{1,4}(?:[/*·^][\w³²]{1,5})*|[%‰°µΩ$€][\w/³²]{0,6}"
_WITH_UNIT: Final = re.compile(
    rf"(?P<number>[+-]?[\d.,](?:[\d.,eE+ '’\u00a0\u202f\u2009-]*[\d.,])?)\s*(?P<unit>{_UNIT})$"
)
_UNITS: Final = vocabulary(
    """
    % ‰ c °c degc deg_c f °f degf k s sec second seconds min mins h hr hrs hour hours d ms us m mm cm km m2 m² m3 m³ l
    ml hl g mg kg t lb lbs ft in gal bar mbar barg bara pa kpa mpa hpa psi psig psia atm torr mmhg w kw mw gw kwh mwh
    wh j kj mj gj v mv kv a ma ka ohm ω hz khz mhz rpm u/min 1/min r/min ppm ppb ph mol mmol mmol/l mg/dl g/l kg/h kg/s
    t/h m3/h m³/h nm3/h m3/s l/h l/min l/s ml/min m/s km/h mm/s nm n kn kvar kvarh kva var lx lux db us/cm µs/cm ntu usd
    eur deg ° rad u iu u/h [-] - --
    """
)
_CODED: Final = re.compile(r"\[-?\d+\] \D")  # a historian's number of a fault, and its text
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}$")
_BRACKETED: Final = re.compile(r"[\[(<{].{0,12}[\])>}]$")
_NAME_UNIT: Final = re.compile(r"(?P<name>.*\S)\s*[\[(](?P<unit>[^\[\]()]{1,12})[\])]\s*$")


def plain(cell: str) -> str:
    """A cell without blanks around it and without the `="..."` that keeps spreadsheets from guessing."""
    cell = cell.strip()
    if cell.startswith("="):
        cell = cell[1:].strip()
        if len(cell) > 1 and cell[0] == cell[-1] == '"':
            cell = cell[1:-1].strip()
    return cell


def is_missing(cell: str, more: Collection[str] = (), number: bool = False) -> bool:
    """Whether a plain cell says that there is no value, where a `number` is expected or anything.

    more: words that mean it too.
    """
    lower = cell.lower()
    coded = number and _CODED.match(cell) is not None
    return lower in MISSING or (number and lower in FAULTS) or coded or cell in more


def is_number(cell: str) -> bool:
    """Whether a plain cell is a number under some decimal and thousands mark."""
    return _NUMBER.match(cell) is not None or _HEX.match(cell) is not None


def with_unit(cell: str) -> tuple[str, str] | None:
    """The number and the unit behind it, or None for a cell that is not made of both."""
    found = _WITH_UNIT.match(cell)
    return (found["number"], found["unit"]) if found and is_number(found["number"]) else None


def is_unit(cell: str) -> bool:
    """Whether a cell of a header reads like a unit."""
    return cell.lower().strip("[]() ") in _UNITS or _BRACKETED.match(cell) is not None


def unit_in_name(name: str) -> str:
    """The unit that a column's name ends in: `T [degC]`, `level (%)`; empty where there is none."""
    found = _NAME_UNIT.match(name)
    return found["unit"].strip() if found else ""


def pair_of(words: Iterable[str]) -> tuple[str, str] | None:
    """The pair of switch positions that all `words` (lower case) belong to, or None."""
    seen = {*words}
    return next((pair for pair in PAIRS if seen and seen <= {*pair}), None)
