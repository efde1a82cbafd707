"""Tables: one csv or parquet file, or a folder of them with a trajectory in each, read batch by batch."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy as np

from revive.data.readers.alike import spelt_otherwise, units_differ
from revive.data.readers.container import TRAJECTORY, UNUSED, WORD, WRITE_NUMBERS, Info, Loaded, Plan
from revive.data.readers.said import say_once
from revive.data.trajectories import FloatArray, IntArray
from revive.errors import Problem, Problems, UserError

_MANY: Final = 3  # files from which one that differs from all others stands out
_log = logging.getLogger("revive")


class TableFormat(Protocol):
    """A file format of tables. Every method raises UserError for a file that it cannot read."""

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        """Names, in the order of the file, and what the columns hold."""
        ...

    def rows(self, path: Path) -> int:
        """How many rows there are: exact or a little too many."""
        ...

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        """For some of these columns after others, record batches of all rows in the order of the file."""
        ...

    def pandas_call(self, path: Path) -> str:
        """How pandas reads the file, for messages with a script in them."""
        ...


class TableFiles:
    """Tables of the same columns, one below the other. Several of them: a trajectory in each."""

    is_table = True
    owns = True

    def __init__(self, paths: Sequence[Path], kind: TableFormat, name: Path) -> None:
        self.name = str(name)
        self._paths, self._kind = list(paths), kind
        self._ends: list[int] = []
        self._known: dict[Path, dict[str, Info]] = {}
        self._spell_alike()
        self._leave_out_others()
        self.infos = self._columns(self._paths[0])

    def _spell_alike(self) -> None:
        """Names that differ from those of most files in capitals and blanks alone are the same ones."""
        self._spelt = spelt_otherwise({path: self._columns(path) for path in self._paths})
        for path, spelt in self._spelt.items():
            back = {theirs: ours for ours, theirs in spelt.items()}
            self._known[path] = {back.get(name, name): info for name, info in self._known[path].items()}
            shown = ", ".join(f"{theirs!r} for {ours!r}" for theirs, ours in back.items())
            say_once(f"{path.name}: names spelt otherwise: {shown[:200]}")

    def _leave_out_others(self) -> None:
        """Drops files that share hardly a column with most of the others: a summary, or parameters."""
        if len(self._paths) < _MANY:
            return
        names = {path: {*self._columns(path)} for path in self._paths}
        usual = max(names.values(), key=lambda own: sum(own == other for other in names.values()))
        others = [path for path, own in names.items() if 2 * len(own & usual) < len(usual)]
        if others and len(others) <= len(names) / 3:
            self._paths = [path for path in self._paths if path not in others]
            for path in others:
                shown = ", ".join(sorted(names[path])[:6])
                said = "%s: left out, because its columns (%s) are not those of the %d other files"
                _log.warning(said, path, shown, len(self._paths), extra={"about": UNUSED})

    @property
    def ends(self) -> IntArray | None:
        return np.asarray(self._ends, dtype=np.int64) if self._ends else None

    @property
    def pandas_call(self) -> str:
        """How pandas reads the first file, for messages with a script in them."""
        return self._kind.pandas_call(self._paths[0])

    def _columns(self, path: Path) -> dict[str, Info]:
        if path not in self._known:
            self._known[path] = self._columns_of(path)
        return self._known[path]

    def _columns_of(self, path: Path) -> dict[str, Info]:
        found = self._kind.columns(path)
        names = [name for name, _ in found]
        twice = (
            sorted({name for name in names if names.count(name) > 1}) if len({*names}) < len(names) else []
        )
        if twice:
            raise UserError(
                Problem(
                    f"has several columns called {', '.join(map(repr, twice[:5]))}", path, None, "rename them"
                )
            )
        return dict(found)

    def load(self, plan: Plan, labels: Mapping[str, str], problems: Problems, limit: int) -> Loaded:
        wanted = dict.fromkeys([p.source for parts in plan.values() for p in parts] + [*labels.values()])
        table = _Growing(plan, labels, limit)
        if wanted:
            self._ends = []
            estimates = [self._kind.rows(path) for path in self._paths]
            table.reserve(sum(estimates))
            for number, path in enumerate(self._paths):
                if number:
                    self._require_columns(path, [*wanted])
                self._add_file(table, path, [*wanted])
                if table.rows > (self._ends[-1] if self._ends else 0):
                    self._ends.append(table.rows)
                elif len(self._paths) > 1:
                    problems.add("has no rows", file=path, remedy="remove the file")
        return table.finish(problems, self.name)

    def _add_file(self, table: _Growing, path: Path, wanted: list[str]) -> None:
        begin, ends = table.rows, set()
        spelt = self._spelt.get(path, {})
        back = {theirs: ours for ours, theirs in spelt.items()}
        for run in self._kind.runs(path, [spelt.get(name, name) for name in wanted]):
            row = begin
            for batch in run:
                named = [back.get(name, name) for name in batch.schema.names]
                table.add(batch.rename_columns(named) if back else batch, row, str(path))
                row += batch.num_rows
            ends.add(row)
        if len(ends) > 1:
            what = "cannot be read: its columns differ in length"
            raise UserError(Problem(what, path, remedy="write it again, or copy it again"))

    def _require_columns(self, path: Path, wanted: list[str]) -> None:
        here = self._columns(path)
        absent = [name for name in wanted if name not in here]
        if absent:
            what = f"lacks the columns {', '.join(absent[:5])}, which '{self._paths[0].name}' has"
            raise UserError(Problem(what, path, remedy="the files of a folder need the same columns"))
        for name in wanted:
            if here[name].kind != self.infos[name].kind:
                what = (
                    f"'{name}' holds {here[name].holds}, in '{self._paths[0].name}' {self.infos[name].holds}"
                )
                raise UserError(Problem(what, path, name, "the files of a folder need the same columns"))
            units = here[name].unit, self.infos[name].unit
            if units_differ(*units):
                what = f"'{name}' is in {units[0]}, in '{self._paths[0].name}' in {units[1]}"
                raise UserError(
                    Problem(what, path, name, "write it in one unit, and correct what says the unit")
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _Growing:
    """The arrays of a plan while batches arrive; memory grows in place, so that nothing is held twice."""

    def __init__(self, plan: Plan, labels: Mapping[str, str], limit: int) -> None:
        self.rows, self._capacity = 0, 0
        self._labels, self._limit = labels, limit
        self._arrays: dict[str, FloatArray] = {n: np.empty((0, len(parts))) for n, parts in plan.items()}
        self._rest: dict[str, np.ndarray] = {
            role: np.empty(0, np.int64 if _is_coded(role) else np.float64) for role in labels
        }
        self._places: dict[str, list[tuple[str, int]]] = {}
        for node, parts in plan.items():
            for column, part in enumerate(parts):
                self._places.setdefault(part.source, []).append((node, column))
        self._codes: dict[Any, int] = {}
        self._unnamed: dict[str, int] = {}

    def reserve(self, rows: int) -> None:
        """Makes room for `rows` rows in all."""
        if rows <= self._capacity:
            return
        width = sum(array.shape[1] for array in self._arrays.values()) + len(self._rest)
        if rows * width * 8 > self._limit:
            raise MemoryError
        self._capacity = rows
        for name, array in self._arrays.items():
            if len(array):
                array.resize((rows, array.shape[1]), refcheck=False)
            else:
                self._arrays[name] = np.empty((rows, array.shape[1]))
        for label in self._rest.values():
            label.resize(rows, refcheck=False)

    def add(self, batch: Any, row: int, path: str) -> None:
        """Stores the columns of `batch` in the rows from `row` on."""
        stop = row + batch.num_rows
        if stop > self._capacity:
            self.reserve(max(stop, self._capacity * 9 // 8))
        for source, column in zip(batch.schema.names, batch.columns, strict=True):
            places = self._places.get(source, ())
            values = _numbers(column, source, path) if places else None
            for node, number in places:
                self._arrays[node][row:stop, number] = values
            for role, label in self._labels.items():
                if label == source:
                    coded = _is_coded(role)
                    named = self._encode(column, row, role) if coded else _seconds(column, source, path)
                    self._rest[role][row:stop] = named
        self.rows = max(self.rows, stop)

    def _encode(self, column: Any, row: int, role: str) -> IntArray:
        """A number for each row, the same for the same trajectory of a file."""
        import pyarrow as pa  # type: ignore[import-untyped]

        if role.startswith(WORD):
            found = column.cast(pa.string()).to_pylist()
            return np.array([self._codes.setdefault(v, len(self._codes)) for v in found], dtype=np.int64)
        if column.null_count:
            self._unnamed.setdefault(role, row + column.is_null().index(True).as_py())
        number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        if number and column.null_count < len(column):
            column = column.fill_null(column.drop_null()[0]) if column.null_count else column
            if pa.types.is_integer(column.type):
                return _plain(column.cast(pa.int64(), safe=False), np.int64)
            return np.asarray((_plain(column.cast(pa.float64()), np.float64) + 0.0).view(np.int64))
        encoded = column if hasattr(column, "indices") else column.dictionary_encode()
        values = encoded.dictionary.to_pylist()
        codes = np.array([self._codes.setdefault(v, len(self._codes)) for v in values] or [0], dtype=np.int64)
        indices = encoded.indices.fill_null(0) if column.null_count else encoded.indices
        return np.asarray(codes[_plain(indices.cast(pa.int64()), np.int64)])

    def finish(self, problems: Problems, name: str) -> Loaded:
        for role, row in self._unnamed.items():
            what = f"'{self._labels[role]}' is empty in row {row}"
            problems.add(what, file=name, remedy="every row needs its trajectory")
        for array in self._arrays.values():
            array.resize((self.rows, array.shape[1]), refcheck=False)
        for label in self._rest.values():
            label.resize(self.rows, refcheck=False)
        return Loaded(self._arrays, self._rest, self._codes)


def _is_coded(role: str) -> bool:
    """Whether a label is kept as whole codes, rather than as numbers."""
    return role.partition(":")[0] == TRAJECTORY or role.startswith(WORD)


def _numbers(column: Any, name: str, path: str) -> np.ndarray:
    import pyarrow as pa  # type: ignore[import-untyped]

    try:
        if pa.types.is_dictionary(
            column.type
        ):  # words that stand for their numbers, or a column of few values
            words = pa.types.is_string(column.type.value_type)
            column = column.indices if words else column.dictionary_decode()
        if not pa.types.is_float64(column.type):
            column = column.cast(pa.float64(), safe=False)
        if column.null_count:
            column = column.fill_null(np.nan)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(
            Problem(f"'{name}' cannot be read as numbers: {error}", path, name, WRITE_NUMBERS)
        ) from None
    return _plain(column, np.float64)


def _plain(column: Any, dtype: type[np.generic]) -> Any:
    """The values of a column of 8-byte numbers without nulls, not copied; to_numpy would import pandas."""
    if len(column) == 0:
        return np.empty(0, dtype)
    return np.frombuffer(column.buffers()[1], dtype, column.offset + len(column))[column.offset :]


def _seconds(column: Any, name: str, path: str) -> np.ndarray:
    import pyarrow as pa

    kinds = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_time, pa.types.is_duration)
    if any(test(column.type) for test in kinds):
        return _numbers(microseconds(column), name, path) / 1e6
    return _numbers(column, name, path)


def microseconds(column: Any) -> Any:
    """An arrow array of times, dates or times of day as whole microseconds, since 1970, of the day or passed."""
    import pyarrow as pa

    if pa.types.is_duration(column.type):
        kind = pa.duration("us")
    else:
        kind = pa.time64("us") if pa.types.is_time(column.type) else pa.timestamp("us")
    return column.cast(kind, safe=False).cast(pa.int64())
