"""A frame of pandas, polars or pyarrow in memory, read as a table of a file would be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from revive.data.readers.container import Info
from revive.data.readers.dialect import TableOptions
from revive.data.readers.kinds import figures, is_named
from revive.data.readers.parquet import info_of
from revive.data.readers.text_columns import TextColumns
from revive.data.readers.time_forms import figures_form
from revive.errors import Problem, UserError

FRAME: Final = Path("the frame")  # what it is called in messages
_BATCH: Final = 1 << 14  # rows read at a time
_SAMPLED: Final = 300  # cells that are looked at for dates in figures


def is_frame(data: Any) -> bool:
    """Whether `data` is a table in memory."""
    library = type(data).__module__.split(".")[0]
    return library in ("pandas", "polars", "pyarrow") and hasattr(data, "columns")


class FrameTable:
    """The columns of a frame; those of text are read as the cells of a text table are."""

    def __init__(self, frame: Any, options: TableOptions) -> None:
        self._table = _with_figures_as_text(_as_arrow(frame))
        texts = {
            name: column.combine_chunks()
            for name, column in zip(self._table.column_names, self._table.columns, strict=True)
            if info_of(column.type).kind == "text"
        }
        self._texts = TextColumns(texts, options, {}, FRAME)

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        found = []
        for field in self._table.schema:
            info = info_of(field.type)
            found.append(
                (field.name, self._texts.info(field.name) if field.name in self._texts.kinds else info)
            )
        return found

    def rows(self, path: Path) -> int:
        return int(self._table.num_rows)

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        yield self._texts.read(self._table.select(list(columns)).to_batches(_BATCH), columns)

    def pandas_call(self, path: Path) -> str:
        return "frame.copy()"


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
        if info_of(field.type).kind == "text" or "string_view" in str(field.type):
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
