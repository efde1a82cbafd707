"""parquet through pyarrow, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from revive.data.readers.cells import Kind
from revive.data.readers.container import Info
from revive.data.readers.dialect import TableOptions
from revive.data.readers.text_columns import TextColumns
from revive.errors import Problem, UserError

_BUFFER: Final = 1 << 20  # bytes of a parquet column read at a time
_BATCH: Final = 1 << 14  # rows of a parquet file read at a time
_SAMPLED: Final = 5000  # rows that the kind of a column of text is told from
_TOGETHER: Final = 2  # columns of a parquet file read at a time: each takes megabytes while it is read


class Parquet:
    """A parquet file; only the row groups and columns that are asked for leave the disk.

    Columns of text are read as the cells of a text table are; `options` are those of such a table.
    """

    def __init__(self, options: TableOptions | None = None) -> None:
        self._options = options or TableOptions()
        self._texts: dict[Path, TextColumns] = {}
        self._states: dict[str, Kind] = {}  # the words of the first file of a folder count for all

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        with _translated(path), _parquet(path) as file:
            texts = self._text_columns(path, file)
            return [
                (field.name, texts.info(field.name) if field.name in texts.kinds else info_of(field.type))
                for field in file.schema_arrow
            ]

    def _text_columns(self, path: Path, file: Any) -> TextColumns:
        if path not in self._texts:
            from pyarrow import string  # type: ignore[import-untyped]

            names = [f.name for f in file.schema_arrow if info_of(f.type).kind == "text"]
            first = (
                next(file.iter_batches(_SAMPLED, columns=names, use_threads=False), None) if names else None
            )
            texts = {} if first is None else {n: first.column(k).cast(string()) for k, n in enumerate(names)}
            self._texts[path] = TextColumns(texts, self._options, self._states, path)
        return self._texts[path]

    def rows(self, path: Path) -> int:
        with _translated(path), _parquet(path) as file:
            return int(file.metadata.num_rows)

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        with _translated(path), _parquet(path) as file:
            for first in range(0, len(columns), _TOGETHER):
                names = columns[first : first + _TOGETHER]
                yield self._text_columns(path, file).read(self._batches(path, file, names), names)

    def pandas_call(self, path: Path) -> str:
        return f"pd.read_parquet({path.name!r})"

    def _batches(self, path: Path, file: Any, columns: Sequence[str]) -> Iterator[Any]:
        with _translated(path):
            yield from file.iter_batches(_BATCH, columns=list(columns), use_threads=False)


def _parquet(path: Path) -> Any:
    from pyarrow import parquet  # type: ignore[import-untyped]

    return parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)


class _translated:
    """Says what pyarrow complains about in the words of the user's file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            remedy = "pip install pyarrow"
            raise UserError(Problem("parquet files need pyarrow", self._path, None, remedy)) from None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import pyarrow as pa

        if isinstance(error, pa.ArrowException | OSError | UnicodeDecodeError):
            said = " ".join(str(error).split())
            what = f"cannot be read: {said[:300]}"
            raise UserError(Problem(what, self._path, None, "write it again, or copy it again")) from None


def info_of(kind: Any) -> Info:
    """What a column of this type of pyarrow holds."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    numbers = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    if any(test(kind) for test in numbers):
        return Info((-1,))
    if types.is_timestamp(kind) or types.is_date(kind):
        return Info((-1,), "dates", "days" if types.is_date(kind) else "dates")
    if types.is_time(kind) or types.is_duration(kind):
        return Info((-1,), "dates", "times of day")
    if types.is_string(kind) or types.is_large_string(kind):
        return Info((-1,), "text", "text")
    return Info((-1,), "other", str(kind))
