"""The columns of text of a frame or a parquet file, read as the cells of a text table are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from revive.data.readers.cells import Kind, Reader
from revive.data.readers.container import Info
from revive.data.readers.dialect import Dialect, TableOptions
from revive.data.readers.kinds import kinds_of
from revive.data.readers.marks import decimal_marks
from revive.data.readers.said import is_new, say_once
from revive.data.readers.table_rows import Row
from revive.data.readers.time_forms import OPEN_ORDER
from revive.data.readers.times import likelier_order
from revive.data.readers.words import plain, unit_in_name
from revive.errors import Problems

_SAMPLED: Final = 300  # cells of each column of text that decimal marks are told from


class TextColumns:
    """What columns of text hold, told from their first cells.

    texts: name -> an arrow array of text. states: kinds that are known from other files; those of `texts` are added.
    source: for messages.
    """

    def __init__(
        self, texts: Mapping[str, Any], options: TableOptions, states: dict[str, Kind], source: Any
    ) -> None:
        self._options, self._source = options, source
        cells = [column.slice(0, _SAMPLED).to_pylist() for column in texts.values()]
        rows = [
            Row(n, [plain(cell or "") for cell in row]) for n, row in enumerate(zip(*cells, strict=True), 1)
        ]
        decimal, thousands = decimal_marks(rows, "\t", source, options)
        self._dialect = Dialect("\t", decimal, thousands, (), (), None, None, 1)
        kinds = kinds_of(texts, options, states)[0]
        self.kinds: dict[str, Kind] = {name: _settled(kind, texts[name]) for name, kind in kinds.items()}
        states.update({name: kind for name, kind in self.kinds.items() if kind.holds == "states"})

    def info(self, name: str) -> Info:
        """What is known of the column `name`."""
        return self.kinds[name].info(unit_in_name(name))

    def read(self, batches: Iterable[Any], columns: Sequence[str]) -> Iterator[Any]:
        """The record batches of `columns`, text as numbers, times and codes; raises UserError for other words."""
        import pyarrow as pa  # type: ignore[import-untyped]

        reader = Reader(self._dialect, self._options, self.kinds)
        reader.words.place = "row"
        row = 1
        for batch in batches:
            arrays = [
                reader.column(name, _plain_text(column), row.__add__) if name in self.kinds else column
                for name, column in zip(columns, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, list(columns))
            row += batch.num_rows
        problems = Problems()
        reader.words.report(str(self._source), self.kinds, problems)
        problems.raise_if_any()
        for column, text in reader.words.said():
            if is_new(str(self._source), column, text):
                say_once(f"{self._source}: no value: {text}")


def _plain_text(column: Any) -> Any:
    import pyarrow as pa

    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _settled(kind: Kind, column: Any) -> Kind:
    """With the order of day and month that all cells of a column of text speak for, where each allows both."""
    form = kind.form
    if form is None or form.form not in OPEN_ORDER or form.order is not None:
        return kind
    return replace(kind, form=replace(form, order=likelier_order(column, form) or "DMY"))
