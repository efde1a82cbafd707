"""Numbers and times in unusual spelling, brought into the one that the other modules read.

What is only one number under any reading is rewritten: other minus signs and digits, a minus behind the number, a
currency before it. What may mean something else (brackets, `<0.5`, `40.1*`) stays as it is.
"""

from __future__ import annotations

import re
from typing import Any, Final

_DIGITS: Final = {chr(first + n): str(n) for first in (0xFF10, 0x0660, 0x06F0, 0x0966) for n in range(10)}
_MARKS: Final = {
    "．": ".",
    "，": ",",
    "٫": ".",
    "٬": ",",
    "−": "-",
    "－": "-",
    "﹣": "-",
    "＋": "+",
    "％": "%",
}
_WIDE: Final = str.maketrans(_DIGITS | _MARKS)
_DASH: Final = re.compile(r"^[–‒‑](?=[\d.,])")
_NUMBER: Final = r"[\d.,](?:[\d.,' \u00a0\u202f]*[\d.,])?"
_REWRITTEN: Final = (
    (re.compile(rf"^'([+-]?{_NUMBER}(?:[eE][+-]?\d+)?)$"), r"\1"),  # a spreadsheet's mark of text
    (re.compile(rf"^([+-])\s+({_NUMBER})$"), r"\1\2"),
    (re.compile(rf"^({_NUMBER})-$"), r"-\1"),  # as business programs write it
    (re.compile(r"^([+-]?\d*[.,]?\d+)[dD]([+-]?\d{1,3})$"), r"\1e\2"),  # of Fortran
    (re.compile(rf"^(-?)R\$\s?(-?{_NUMBER})$"), r"\1\2 BRL"),
    (re.compile(rf"^(-?)([$€£¥]|USD|EUR|GBP|CHF|SEK|BRL)\s?(-?{_NUMBER})$"), r"\1\3 \2"),
)
_ODD: Final = "'+-$€£¥RUEGCSB"


def respelt(cell: str) -> str:
    """A plain cell in the usual spelling where it is a number in another one; else as it is."""
    if not cell:
        return cell
    if not cell.isascii() and any(letter.isdecimal() for letter in cell):
        cell = _DASH.sub("-", cell.translate(_WIDE))
    if cell[0] in _ODD or cell[-1] == "-" or "d" in cell or "D" in cell:
        for pattern, usual in _REWRITTEN:
            if pattern.match(cell):
                return pattern.sub(usual, cell)
    return cell


# -- times: patterns that RE2 and Python's re read alike --------------------------------------

_BLANK: Final = " \u00a0\u202f"
_HOURS: Final = r"\d{1,2}:\d{2}(?::\d{2})?"
_MOMENT: Final = (
    rf"\d{{1,4}}[./-]\d{{1,2}}[./-]\d{{1,4}}[ T]{_HOURS}(?: ?(?:Z|\(?[A-Z]{{3,4}}\)?|[+-]\d{{2}}:?\d{{2}}))?"
)
_TO: Final = r" ?(?:-|–|—|/|to|bis|until) ?"
_TIDIED: Final = (
    (rf"^({_MOMENT}){_TO}(?:{_MOMENT}|{_HOURS})$", r"\1"),  # from when to when: its beginning
    (rf"^({_HOURS}){_TO}{_HOURS}$", r"\1"),
    (r" \([A-Za-z ]{2,40}\)$", ""),  # JavaScript's name of the zone
    (r"^'", ""),
    (r"\[[A-Za-z_]+/[A-Za-z_/]+\]$", ""),  # Java's zone behind an offset
    (r"^(\d{1,2})\.? de ([^\d ]+) (?:de )?(\d{4})", r"\1 \2 \3"),  # 4 de marzo de 2024
    (r" (?:Uhr|uhr|hrs?|HRS?)$", ""),
    (r" (?:klo|kl\.?|à|om|um|at|alle) ", " "),
    (r"(?:오전|上午|午前|a\. ?m\.|A\. ?M\.|π\.μ\.|ÖÖ) ?(\d{1,2}:\d{2}(?::\d{2})?)", r"\1 AM"),
    (r"(?:오후|下午|午後|p\. ?m\.|P\. ?M\.|μ\.μ\.|ÖS) ?(\d{1,2}:\d{2}(?::\d{2})?)", r"\1 PM"),
    (rf"[{_BLANK}](?:a\.?[{_BLANK}]?m\.?|π\.μ\.|ÖÖ)$", " AM"),
    (rf"[{_BLANK}](?:p\.?[{_BLANK}]?m\.?|μ\.μ\.|ÖS)$", " PM"),
    (r" ?(?:UTC|GMT) ?([+-])(\d)(?::?00)?$", r"\g<1>0\2"),
    (r" ?(?:UTC|GMT) ?([+-]\d{2}(?::?\d{2})?)$", r"\1"),
    (r"^(\d{1,2}/[A-Za-z]{3}/\d{4}):", r"\1 "),  # of web servers
    (r"^(\d{1,2})([A-Za-z]{3})(\d{2,4})[: ](\d{1,2}:)", r"\1-\2-\3 \4"),  # of SAS and Stata
    (r"^(\d{1,2})([A-Za-z]{3})(\d{4})$", r"\1-\2-\3"),
    (r" (\d{1,2})\.(\d{2})\.(\d{2})\.(\d{1,9}) ([AaPp][Mm])$", r" \1:\2:\3.\4 \5"),  # of Oracle
    (r" (\d{1,2})\.(\d{2})\.(\d{2}) ([AaPp][Mm])$", r" \1:\2:\3 \4"),
    (r"(\d{4})[/.-](\d{2})[/.-](\d{2})-(\d{2}:)", r"\1-\2-\3 \4"),
    (r"(:\d{2}):(\d{3})$", r"\1.\2"),  # milliseconds
    (r"([ T]\d{1,2})\.(\d{2})\.(\d{2})$", r"\1:\2:\3"),  # points in the time of day
    (r"([./-]\d{4} \d{1,2})\.(\d{2})$", r"\1:\2"),
)
_COMPILED: Final = [(re.compile(pattern), usual) for pattern, usual in _TIDIED]


def tidied(cell: str) -> str:
    """A plain cell without what stands around, or inside, a time in some countries and programs."""
    for pattern, usual in _COMPILED:
        cell = pattern.sub(usual, cell)
    return cell


def tidied_column(column: Any) -> Any:
    """`tidied` of an arrow array of text."""
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    for pattern, usual in _TIDIED:
        column = pc.replace_substring_regex(column, pattern, usual.replace(r"\g<1>", r"\1"))
    return column
