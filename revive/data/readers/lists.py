"""Tables whose cells hold lists of one length, as robots' data sets do: a column for each place in the list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from revive.data.readers.container import Info
from revive.data.readers.tables import TableFormat

_LISTS: Final = ("list<", "large_list<", "fixed_size_list<")  # as pyarrow calls the types
_WIDEST: Final = 1000  # places of a list


class ListTables:
    """Tables of any format; a column `x` of lists of k numbers is offered as `x_0` to `x_(k-1)`.

    Lists of different lengths stay as they are, and are no numbers.
    """

    def __init__(self, tables: TableFormat) -> None:
        self._tables = tables
        self._places: dict[Path, dict[str, tuple[str, int]]] = {}

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        found, places = [], {}
        for name, info in self._tables.columns(path):
            width = self._width(path, name) if info.holds.startswith(_LISTS) else 0
            for place in range(width):
                places[f"{name}_{place}"] = (name, place)
                found.append((f"{name}_{place}", Info((-1,))))
            if not width:
                found.append((name, info))
        self._places[path] = places
        return found

    def _width(self, path: Path, name: str) -> int:
        """How many numbers each list of a column holds; 0 where they differ, or hold something else."""
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.compute as pc  # type: ignore[import-untyped]

        widths: set[int] = set()
        for run in self._tables.runs(path, [name]):
            for batch in run:
                column = batch.column(name)
                kind = column.type.value_type
                if column.null_count or not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                    return 0
                widths |= {*pc.unique(pc.list_value_length(column)).to_pylist()}
                if len(widths) > 1:
                    return 0
        width = widths.pop() if widths else 0
        return width if 0 < width <= _WIDEST else 0

    def rows(self, path: Path) -> int:
        return self._tables.rows(path)

    def pandas_call(self, path: Path) -> str:
        return self._tables.pandas_call(path)

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        if path not in self._places:
            self.columns(path)
        places = self._places[path]
        plain = [name for name in columns if name not in places]
        if plain:
            yield from self._tables.runs(path, plain)
        for source in dict.fromkeys(places[name][0] for name in columns if name in places):
            wanted = {
                name: places[name][1] for name in columns if name in places and places[name][0] == source
            }
            for run in self._tables.runs(path, [source]):
                yield _split(run, wanted)


def _split(run: Iterator[Any], wanted: dict[str, int]) -> Iterator[Any]:
    """The batches of one column of lists as a column for each of the places that are wanted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for batch in run:
        lists = batch.column(0)
        arrays = [pc.list_element(lists, place) for place in wanted.values()]
        yield pa.RecordBatch.from_arrays(arrays, [*wanted])
