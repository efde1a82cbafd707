"""csv and parquet through pyarrow, in batches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from revive.data.readers.container import WRITE_NUMBERS, Info
from revive.errors import Problem, UserError

_BLOCK: Final = 1 << 19  # bytes of text parsed by one thread at a time
_CHUNK: Final = 1 << 21  # bytes of text parsed before its numbers are stored
_BUFFER: Final = 1 << 20  # bytes of a parquet column read at a time
_BATCH: Final = 1 << 14  # rows of a parquet file read at a time
_TOGETHER: Final = 2  # columns of a parquet file read at a time: each takes megabytes while it is read
_SAMPLE: Final = 1 << 20  # bytes that types are told from, and the number of rows
_PLACE: Final = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?(.*)", re.DOTALL)


class Csv:
    """Text with a line of names; separated by the comma, semicolon or tab that this line has most of."""

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        with _translated(path), self._open(path) as reader:
            schema = reader.schema
        names = list(schema.names)
        if names and all(_is_number(name) for name in names):
            what = "its first line holds numbers, where the names of the columns should be"
            raise UserError(Problem(what, path, "line 1", "add a line of names"))
        return [(name, _info(kind)) for name, kind in zip(names, schema.types, strict=True)]

    def rows(self, path: Path) -> int:
        with path.open("rb") as file:
            sample = file.read(_SAMPLE)
        lines = sample.count(b"\n") + 1
        if len(sample) < _SAMPLE:
            return lines
        return int(path.stat().st_size / len(sample) * lines * 1.02)

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        yield self._batches(path, columns)

    def _batches(self, path: Path, columns: Sequence[str]) -> Iterator[Any]:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import csv

        with _translated(path):
            with self._open(path) as reader:
                inferred = reader.schema
            kinds = {name: inferred.field(name).type for name in columns}
            for name, kind in kinds.items():  # what the first lines look like, all the others have to
                if _info(kind).numeric and str(kind) != "bool":
                    kinds[name] = pa.float64()
            parse, head = self._layout(path)
            convert = csv.ConvertOptions(
                include_columns=columns, column_types=kinds, strings_can_be_null=True
            )
            read = csv.ReadOptions(column_names=inferred.names, block_size=_BLOCK)
            pool = pa.system_memory_pool()  # the other ones keep what they do not need any more
            for text in _chunks(path, head):
                parse.newlines_in_values = b'"' in text
                yield from csv.read_csv(pa.py_buffer(text), read, parse, convert, pool).to_batches()

    def _open(self, path: Path) -> Any:
        import pyarrow as pa
        from pyarrow import csv

        convert = csv.ConvertOptions(strings_can_be_null=True)
        read, parse = csv.ReadOptions(block_size=_SAMPLE), self._layout(path)[0]
        with path.open("rb") as file:
            text = file.read(2 * _SAMPLE)  # all that is looked at; given the file, it would read ahead
        parse.newlines_in_values = b'"' in text
        return csv.open_csv(pa.py_buffer(text), read, parse, convert, pa.system_memory_pool())

    def _layout(self, path: Path) -> tuple[Any, int]:
        """How values are separated, and where the line of names ends, in bytes."""
        from pyarrow import csv

        with path.open("rb") as file:
            head = file.readline(_SAMPLE)
            while head.strip() == b"" and head:
                head = file.readline(_SAMPLE)
            end = file.tell()
        return csv.ParseOptions(delimiter=max(",;\t", key=lambda mark: head.count(mark.encode()))), end


def _chunks(path: Path, start: int) -> Iterator[bytes]:
    """Whole lines of a csv file, many at a time; a line break inside quotes ends no line."""
    with path.open("rb") as file:
        file.seek(start)
        while text := file.read(_CHUNK):
            lines = [text, file.readline()]
            quotes = text.count(b'"') + lines[1].count(b'"')
            while quotes % 2 and (more := file.readline()):
                lines.append(more)
                quotes += more.count(b'"')
            text = b"".join(lines)
            if not text.isspace():
                yield text


class Parquet:
    """A parquet file; only the row groups and columns that are asked for leave the disk."""

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        with _translated(path), _parquet(path) as file:
            return [(field.name, _info(field.type)) for field in file.schema_arrow]

    def rows(self, path: Path) -> int:
        with _translated(path), _parquet(path) as file:
            return int(file.metadata.num_rows)

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        with _translated(path), _parquet(path) as file:
            for first in range(0, len(columns), _TOGETHER):
                yield self._batches(path, file, columns[first : first + _TOGETHER])

    def _batches(self, path: Path, file: Any, columns: Sequence[str]) -> Iterator[Any]:
        with _translated(path):
            yield from file.iter_batches(_BATCH, columns=list(columns), use_threads=False)


def _parquet(path: Path) -> Any:
    from pyarrow import parquet

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
            raise UserError(Problem("csv and parquet files need pyarrow", self._path, None, remedy)) from None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import pyarrow as pa

        if isinstance(error, pa.ArrowException | OSError | UnicodeDecodeError):
            raise UserError(self._problem(str(error))) from None

    def _problem(self, said: str) -> Problem:
        said = " ".join(said.split())
        if found := _PLACE.match(said):
            row = f", row {int(found[2]) - 2}" if found[2] else ""
            return Problem(found[3][:300], self._path, f"column {found[1]}{row}", WRITE_NUMBERS)
        return Problem(f"cannot be read: {said[:300]}", self._path, remedy="write it again, or copy it again")


def _info(kind: Any) -> Info:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    numbers = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    if any(test(kind) for test in numbers):
        return Info((-1,))
    if types.is_timestamp(kind) or types.is_date(kind):
        return Info((-1,), "dates", "dates")
    if types.is_string(kind) or types.is_large_string(kind):
        return Info((-1,), "text", "text")
    return Info((-1,), "other", str(kind))


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
