"""Lines at the end of a table that hold no rows: sums, counts, remarks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from revive.data.readers.cells import Kind
from revive.data.readers.dialect import Dialect, TableOptions
from revive.data.readers.table_rows import split_lines
from revive.data.readers.time_forms import is_time
from revive.data.readers.words import is_missing, is_number, vocabulary, with_unit

_LOOKED_AT: Final = 1 << 16  # bytes at the end
_RULE: Final = re.compile(r"[-+|=]{3,}$")
_SUMMARIES: Final = vocabulary("""
    average avg mean median total totals sum sums min max minimum maximum count std stdev variance rows records end eof
    mittelwert summe gesamt anzahl moyenne somme media suma totale
    """)


def without_footer(
    text: bytes, dialect: Dialect, kinds: Sequence[Kind], options: TableOptions
) -> tuple[bytes, str]:
    """The last rows `text` without what comes below the table, and the first of these lines; empty for none."""
    cut = max(text.rfind(b"\n", 0, max(0, len(text) - _LOOKED_AT)) + 1, 0)
    lines = text[cut:].rstrip(b"\r\n").split(b"\n")
    keep = len(lines)
    if options.footer is not None:
        keep = max(0, keep - options.footer)
    else:
        shown = [line.decode(errors="replace") for line in lines]
        while keep and _is_footer(shown, keep - 1, dialect, kinds):
            keep -= 1
    below = [line.decode(errors="replace").strip() for line in lines[keep:]]
    return text[:cut] + b"\n".join(lines[:keep]), next((line[:40] for line in below if line), "")


def _is_footer(lines: Sequence[str], number: int, dialect: Dialect, kinds: Sequence[Kind]) -> bool:
    line = lines[number]
    if not line.strip():
        return True
    if line.count('"') % 2:
        return False  # the end of a row that goes over several lines
    row = next(iter(split_lines([line], dialect.separator)), None)
    cells = row.cells if row else []
    told = [(cell, number) for number, cell in enumerate(cells) if cell]
    if not told:
        # only separators are a row in which nothing was logged, or a ragged one; blanks in quotes are neither
        return len(cells) == 1 < len(kinds)
    first, place = told[0]
    if _RULE.match(line.strip()):
        return True
    word = first.lower().rstrip(":").split(" ")[0].strip("#*-=([")
    if word in _SUMMARIES:
        typed = zip(cells, kinds, strict=False)
        untimed = any(
            kind.holds == "times" and not (is_time(cell) or is_missing(cell)) for cell, kind in typed
        )
        if untimed or len(cells) != len(kinds) or kinds[place].holds not in ("states", "text"):
            return True
        return sum(first in line for line in lines[:number]) == 0  # else it is a word of the column
    if any(_is_value(cell) for cell, _ in told):
        return len(told) > 1 and place == 0 and kinds[0].holds == "times" and not _told(first)
    return len(cells) != len(kinds) and not any(is_missing(cell) for cell, _ in told)


def _told(cell: str) -> bool:
    return _is_value(cell) or is_missing(cell, number=True)


def _is_value(cell: str) -> bool:
    return is_number(cell) or is_time(cell) or with_unit(cell) is not None
