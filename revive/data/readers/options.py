"""What a data file does not say about itself and its user has to."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from revive.data.readers.dialect import KEYS, TableOptions
from revive.errors import Problems, suggestion

_INDEX: Final = ("ends", "starts")
_MISSING: Final = ("error", "mask")


@dataclass(frozen=True)
class ReadOptions:
    """How a data file is to be read.

    index:      what the array `index` holds of each trajectory: the row behind its last one, or its first row
    table:      node -> the table columns, or the arrays, that make it up, in the order of the description;
                `name[2]` and `name[0:3]` take columns out of an array. Nodes that it does not name are looked
                up by name. Beside them how a text table is written, by the names of `TableOptions`, which are no
                nodes' names here
    trajectory: the column or array that says which trajectory a row belongs to
    time:       the column or array that holds the time of a row, in seconds or as date and time
    gap:        a time difference, in the unit of `time` (seconds for dates), above which a trajectory is cut
    missing:    whether NaN is an error, or a missing value that is masked and filled
    size_limit_bytes: what the arrays may take in memory; None for nine tenths of this machine's
    Raises UserError for options that contradict each other.
    """

    index: Literal["ends", "starts"] = "ends"
    table: Mapping[str, Any] | None = None
    trajectory: str | None = None
    time: str | None = None
    gap: float | None = None
    missing: Literal["error", "mask"] = "error"
    size_limit_bytes: int | None = None

    def __post_init__(self) -> None:
        problems = Problems()
        for key, choices in (("index", _INDEX), ("missing", _MISSING)):
            value = getattr(self, key)
            if value not in choices:
                problems.add(
                    f"'{key}' cannot be {value!r}", place=key, remedy=suggestion(str(value), choices)
                )
        for key in ("trajectory", "time"):
            if not isinstance(getattr(self, key), str | None):
                problems.add(f"'{key}' is no name: {getattr(self, key)!r}", place=key)
        self._check_gap(problems)
        self._check_table(problems)
        if self.size_limit_bytes is not None and not _is_number(self.size_limit_bytes):
            problems.add("'size_limit_bytes' is no positive number", place="size_limit_bytes")
        problems.raise_if_any()

    def _check_gap(self, problems: Problems) -> None:
        if self.gap is None:
            return
        if not _is_number(self.gap):
            problems.add(f"'gap' is {self.gap!r}", place="gap", remedy="a time difference above 0")
        if self.time is None:
            problems.add(
                "'gap' cuts by time, but no column of times is named", place="gap", remedy="add 'time'"
            )

    def _check_table(self, problems: Problems) -> None:
        remedy = "write 'node: [column, column]' for each node"
        if not isinstance(self.table, Mapping | None):
            problems.add("'table' is no mapping", place="table", remedy=remedy)
            return
        TableOptions.of({key: value for key, value in (self.table or {}).items() if key in KEYS}, problems)
        for node, sources in self.nodes.items():
            listed = isinstance(sources, Sequence) and not isinstance(sources, str)
            if not listed or not sources or not all(isinstance(source, str) for source in sources):
                problems.add(f"'{node}' lists no columns", place=f"table.{node}", remedy=remedy)

    @property
    def nodes(self) -> dict[str, Sequence[str]]:
        """Node -> what makes it up, for those that `table` names."""
        return {key: value for key, value in (self.table or {}).items() if key not in KEYS}

    @property
    def layout(self) -> TableOptions:
        """How a text table is written, as far as `table` says it."""
        given = {key: value for key, value in (self.table or {}).items() if key in KEYS}
        return TableOptions.of(given, Problems())

    @property
    def size_limit(self) -> int:
        """Bytes that the arrays may take."""
        if self.size_limit_bytes is not None:
            return self.size_limit_bytes
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0  # type: ignore[operator,arg-type]
