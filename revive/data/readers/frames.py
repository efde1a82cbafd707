"""A frame of pandas, polars or pyarrow in memory, read as a table of a file would be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from revive.data.readers.cells import Kind, Reader
from revive.data.readers.container import Info
from revive.data.readers.dialect import Dialect, TableOptions
from revive.data.readers.kinds import figures, is_named, kinds_of
from revive.data.readers.marks import decimal_marks
from revive.data.readers.parquet import info_of
from revive.data.readers.said import is_new, say_once
from revive.data.readers.table_rows import Row
from revive.data.readers.time_forms import figures_form
from revive.data.readers.times import likelier_order
from revive.data.readers.words import plain, unit_in_name
from revive.errors import Problem, Problems, UserError

FRAME: Final = Path("the frame")  # what it is called in messages
_BATCH: Final = 1 << 14  # rows read at a time
_SAMPLED: Final = 300  # cells of each column of text that decimal marks are told from


def is_frame(data: Any) -> bool:
    """Whether `data` is a table in memory."""
    library = type(data).__module__.split(".")[0]
    return library in ("pandas", "polars", "pyarrow") and hasattr(data, "columns")


class FrameTable:
    """The columns of a frame; those of text are read as the cells of a text table are."""

    def __init__(self, frame: Any, options: TableOptions) -> None:
        self._table, self._options = _with_figures_as_text(_as_arrow(frame)), options
        self._texts = {
            name: column
            for name, column in zip(self._table.column_names, self._table.columns, strict=True)
            if info_of(column.type).kind == "text"
        }
        rows = [
            Row(number, [plain(cell or "") for cell in cells])
            for number, cells in enumerate(
                zip(*(column.slice(0, _SAMPLED).to_pylist() for column in self._texts.values()), strict=True),
                1,
            )
        ]
        decimal, thousands = decimal_marks(rows, "\t", FRAME, options)
        self._dialect = Dialect("\t", decimal, thousands, (), (), None, None, 1)
        texts = {name: column.combine_chunks() for name, column in self._texts.items()}
        kinds = kinds_of(texts, options, {})[0]
        self._kinds: dict[str, Kind] = {name: _settled(kind, texts[name]) for name, kind in kinds.items()}

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        found = []
        for field in self._table.schema:
            info = info_of(field.type)
            if field.name in self._kinds:
                info = self._kinds[field.name].info(unit_in_name(field.name))
            found.append((field.name, info))
        return found

    def rows(self, path: Path) -> int:
        return int(self._table.num_rows)

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        yield self._batches(columns)

    def pandas_call(self, path: Path) -> str:
        return "frame.copy()"

    def _batches(self, columns: Sequence[str]) -> Iterator[Any]:
        import pyarrow as pa  # type: ignore[import-untyped]

        reader = Reader(self._dialect, self._options, self._kinds)
        reader.words.place = "row"
        row = 1
        for batch in self._table.select(list(columns)).to_batches(_BATCH):
            arrays = [
                reader.column(name, column, row.__add__) if name in self._kinds else column
                for name, column in zip(columns, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, list(columns))
            row += batch.num_rows
        problems = Problems()
        reader.words.report(str(FRAME), self._kinds, problems)
        problems.raise_if_any()
        for column, text in reader.words.said():
            if is_new(str(FRAME), column, text):
                say_once(f"{FRAME}: no value: {text}")


def _settled(kind: Kind, column: Any) -> Kind:
    """With the order of day and month that all rows of a column of text speak for, where its cells allow both."""
    form = kind.form
    if form is None or form.form != "numeric" or form.order is not None:
        return kind
    return replace(kind, form=replace(form, order=likelier_order(column, form) or "DMY"))


def _with_figures_as_text(table: Any) -> Any:
    """The table, with whole numbers like 20240304220000 as the text of the times that they are."""
    from pyarrow import string, types  # type: ignore[import-untyped]

    for number, field in enumerate(table.schema):
        if types.is_integer(field.type):
            cells = figures(table.column(number).slice(0, _SAMPLED))
            if cells and figures_form(cells, is_named(field.name)):
                table = table.set_column(number, field.name, table.column(number).cast(string()))
    return table


def _as_arrow(frame: Any) -> Any:
    """The frame as an arrow table, the index of pandas in front where it holds more than numbers of rows."""
    import pyarrow as pa

    library = type(frame).__module__.split(".")[0]
    if library == "pandas":
        table = _of_pandas(frame)
    elif library == "polars":
        table = frame.to_arrow()
    else:
        table = frame if isinstance(frame, pa.Table) else pa.Table.from_batches([frame])
    for number, field in enumerate(table.schema):
        if pa.types.is_large_string(field.type) or "string_view" in str(field.type):
            table = table.set_column(number, field.name, table.column(number).cast(pa.string()))
    return table


def _of_pandas(frame: Any) -> Any:
    import pandas as pd  # type: ignore[import-untyped]
    import pyarrow as pa

    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    arrays, names = [], []
    for number in range(frame.shape[1]):
        name, column = frame.columns[number], frame.iloc[:, number]
        names.append(" ".join(map(str, name)).strip() if isinstance(name, tuple) else str(name))
        try:
            arrays.append(pa.Array.from_pandas(column))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            if isinstance(column.dtype, pd.PeriodDtype):
                arrays.append(pa.Array.from_pandas(column.dt.to_timestamp()))
                continue
            texts = [None if value is None or value is pd.NaT else str(value) for value in column]
            arrays.append(pa.array(texts, pa.string()))
    if not arrays:
        raise UserError(Problem("has no columns", FRAME, None, "a column for each quantity"))
    arrays = [a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays]
    return pa.Table.from_arrays(arrays, names)
