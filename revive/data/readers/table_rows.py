"""The lines of a text table as rows of plain cells, and what such a row reads like."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from revive.data.readers.dialect import BLANKS
from revive.data.readers.time_forms import is_time
from revive.data.readers.words import is_missing, is_number, is_unit, plain, with_unit

_QUOTED: Final = re.compile(r'"([^"]*)"|(\S+)')
TYPED: Final = 0.6  # share of cells that say something from which a column holds numbers or times


@dataclass(frozen=True)
class Row:
    """The cells of a line, plain, and the number of the line."""

    line: int
    cells: list[str]

    @property
    def blank(self) -> bool:
        return not any(self.cells)


def split_lines(lines: Sequence[str], separator: str) -> Iterator[Row]:
    """The cells of each line; a cell in quotes may go over several."""
    if separator == BLANKS:
        yield from (Row(number, _apart(line)) for number, line in enumerate(lines, 1))
        return
    reader = csv.reader((line + "\n" for line in lines), delimiter=separator)
    begin = 1
    try:
        for cells in reader:
            yield Row(begin, [plain(cell) for cell in cells])
            begin = reader.line_num + 1
    except csv.Error:  # a line that is too long or broken; what comes before it is enough to look at
        return


def _apart(line: str) -> list[str]:
    """The words of a line; those between quotes are one, as R writes them."""
    if '"' not in line:
        return line.split()
    return [plain(quoted or word) for quoted, word in _QUOTED.findall(line)]


@lru_cache(1 << 16)
def is_value(cell: str) -> bool:
    """Whether a plain cell is a number, with a unit or without, or a time."""
    if not cell:
        return False
    return is_number(cell) or is_time(cell) or (not cell[-1].isdecimal() and with_unit(cell) is not None)


def width_of(rows: Sequence[Row]) -> int:
    """How many cells most of the later lines have."""
    filled = [len(row.cells) for row in rows if not row.blank]
    later = filled[len(filled) // 3 :]
    return max(sorted({*later}, reverse=True), key=later.count) if later else 0


def holds_values(row: Row, typed: Sequence[int]) -> bool:
    """Whether its cells in the columns `typed` are rather values than words."""
    cells = [row.cells[number] for number in typed]
    values = sum(map(is_value, cells))
    words = sum(not is_missing(cell, number=True) and not is_value(cell) for cell in cells)
    return values > words


def reads_like_units(row: Row) -> bool:
    """Whether most of its cells are units."""
    told = [cell for cell in row.cells if cell]
    return bool(told) and sum(map(is_unit, told)) >= TYPED * len(told)
