"""Lines at the end of a table that hold no rows: sums, counts, remarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from revive.data.readers.cells import Kind
from revive.data.readers.dialect import Dialect, TableOptions
from revive.data.readers.sniff import split_lines
from revive.data.readers.times import is_time
from revive.data.readers.words import is_missing, is_number, with_unit

_LOOKED_AT: Final = 1 << 16  # bytes at the end
_SUMMARIES: Final = frozenset(
    """
    average avg mean median total totals sum sums min max minimum maximum count std stdev variance rows records end eof
    mittelwert summe gesamt anzahl moyenne somme media suma totale
    """.split()
)


def without_footer(
    text: bytes, line: int, dialect: Dialect, kinds: Sequence[Kind], options: TableOptions
) -> bytes:
    """The last rows `text`, the first of which stands in `line`, without what comes below the table."""
    cut = max(text.rfind(b"\n", 0, max(0, len(text) - _LOOKED_AT)) + 1, 0)
    lines = text[cut:].rstrip(b"\r\n").split(b"\n")
    if options.footer is not None:
        lines = lines[: len(lines) - options.footer] if options.footer else lines
        return text[:cut] + b"\n".join(lines)
    while lines and _is_footer(lines[-1].decode(errors="replace"), dialect, kinds):
        lines.pop()
    return text[:cut] + b"\n".join(lines)


def _is_footer(line: str, dialect: Dialect, kinds: Sequence[Kind]) -> bool:
    if not line.strip():
        return True
    if line.count('"') % 2:
        return False  # the end of a row that goes over several lines
    row = next(iter(split_lines([line], dialect.separator)), None)
    cells = row.cells if row else []
    told = [(cell, number) for number, cell in enumerate(cells) if cell]
    if not told:
        return False  # only separators: a row in which nothing was logged, or a ragged one
    first, place = told[0]
    word = first.lower().rstrip(":").split(" ")[0].strip("#*-=([")
    if word in _SUMMARIES and (place >= len(kinds) or kinds[place].holds in ("numbers", "times", "switch")):
        return True
    if any(_is_value(cell) for cell, _ in told):
        return len(told) > 1 and place == 0 and kinds[0].holds == "times" and not _told(first)
    return len(cells) != len(kinds) and not any(is_missing(cell) for cell, _ in told)


def _told(cell: str) -> bool:
    return _is_value(cell) or is_missing(cell, number=True)


def _is_value(cell: str) -> bool:
    return is_number(cell) or is_time(cell) or with_unit(cell) is not None
