"""What a data file does not say about itself and its user has to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from revive.data.machine import machine_memory
from revive.data.readers.dialect import KEYS, TableOptions
from revive.data.readers.where import where_problems
from revive.data.resample import HOWS, How, period_of
from revive.errors import Problems, suggestion

_COPIES: Final = 3  # times the memory of the arrays that a check takes
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
    trajectory: the column or array that says which trajectory a row belongs to; several of them together
    done:       columns or arrays that are 1 in the last row of a trajectory; None for those whose names say so,
                where nothing else tells trajectories
    resets:     a column or array that counts inside a trajectory (a step, a minute): one begins where it falls
    where:      an expression about columns or arrays (`mode == 'AUTO' and row >= 100`); other rows are left out,
                and trajectories are cut there
    time:       the column or array that holds the time of a row, in seconds or as date and time
    gap:        a time difference, in the unit of `time` (seconds for dates), above which a trajectory is cut
    missing:    whether NaN is an error, or a missing value that is masked and filled
    missing_values: numbers that stand for "no value": a list for all columns, or column (or array) -> list; then they
                are missing values that are masked and filled
    resample:   the period of an even grid of times that rows are put on: a number in the unit of `time`, or with a
                unit of its own, as 5min
    resample_how: column -> last, mean or linear (`revive.data.resample`), where the usual way does not fit
    ignore_check: whether a next_X that is not X of the next row is said instead of refused
    size_limit_bytes: what the arrays may take in memory; None for a third of this machine's, because what is done with
                them takes three times as much (`tests/acceptance/large_tables.py` measures it)
    Raises UserError for options that contradict each other.
    """

    index: Literal["ends", "starts"] = "ends"
    table: Mapping[str, Any] | None = None
    trajectory: str | Sequence[str] | None = None
    done: Sequence[str] | None = None
    resets: str | None = None
    where: str | None = None
    time: str | None = None
    gap: float | None = None
    missing: Literal["error", "mask"] = "error"
    missing_values: Sequence[float] | Mapping[str, Sequence[float]] | None = None
    resample: float | str | None = None
    resample_how: Mapping[str, How] | None = None
    ignore_check: bool = False
    size_limit_bytes: int | None = None

    def __post_init__(self) -> None:
        problems = Problems()
        for key, choices in (("index", _INDEX), ("missing", _MISSING)):
            value = getattr(self, key)
            if value not in choices:
                problems.add(
                    f"'{key}' cannot be {value!r}", place=key, remedy=suggestion(str(value), choices)
                )
        for key in ("time", "resets"):
            if not isinstance(getattr(self, key), str | None):
                problems.add(f"'{key}' is no name: {getattr(self, key)!r}", place=key)
        for key in ("trajectory", "done"):
            if not all(isinstance(name, str) for name in _listed(getattr(self, key))):
                problems.add(f"'{key}' names no columns: {getattr(self, key)!r}", place=key)
        if self.where is not None:
            problems.extend(where_problems(self.where))
        self._check_gap(problems)
        self._check_table(problems)
        self._check_resampling(problems)
        self._check_missing_values(problems)
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

    def _check_resampling(self, problems: Problems) -> None:
        if self.resample is not None:
            try:
                period_of(self.resample)
            except ValueError as error:
                remedy = "a number above 0 in the unit of the time, or with a unit: 500ms, 60s, 5min, 1h, 1d"
                problems.add(str(error), place="resample", remedy=remedy)
            if self.time is None:
                problems.add(
                    "'resample' needs times",
                    place="resample",
                    remedy="name their column: dataset.time=COLUMN",
                )
        for column, how in (self.resample_how or {}).items():
            if how not in HOWS:
                remedy = suggestion(str(how), HOWS)
                problems.add(f"'{how}' is no way to resample", place=f"resample_how.{column}", remedy=remedy)

    def _check_missing_values(self, problems: Problems) -> None:
        given = self.missing_values
        if given is None:
            return
        for values in given.values() if isinstance(given, Mapping) else [given]:
            listed = isinstance(values, Sequence) and not isinstance(values, str)
            if not listed or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
                remedy = "a list of numbers: dataset.missing_values=[-9999], or {COLUMN: [-9999]}"
                problems.add(f"'missing_values' cannot be {values!r}", place="missing_values", remedy=remedy)

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
    def masks(self) -> bool:
        """Whether NaN is a missing value and no error."""
        return self.missing == "mask" or self.missing_values is not None

    def missing_in(self, source: str) -> Sequence[float]:
        """The numbers that stand for "no value" in a column or array."""
        given = self.missing_values
        return (given.get(source, ()) if isinstance(given, Mapping) else given) or ()

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
    def trajectories(self) -> tuple[str, ...]:
        """The columns or arrays that together name a trajectory."""
        return tuple(_listed(self.trajectory))

    @property
    def size_limit(self) -> int:
        """Bytes that the arrays may take."""
        if self.size_limit_bytes is not None:
            return self.size_limit_bytes
        return machine_memory() // _COPIES


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0  # type: ignore[operator,arg-type]
