"""parquet through pyarrow, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from revive.data.readers.container import Info
from revive.errors import Problem, UserError

_BUFFER: Final = 1 << 20  # bytes of a parquet column read at a time
_BATCH: Final = 1 << 14  # rows of a parquet file read at a time
_TOGETHER: Final = 2  # columns of a parquet file read at a time: each takes megabytes while it is read


class Parquet:
    """A parquet file; only the row groups and columns that are asked for leave the disk."""

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        with _translated(path), _parquet(path) as file:
            return [(field.name, info_of(field.type)) for field in file.schema_arrow]

    def rows(self, path: Path) -> int:
        with _translated(path), _parquet(path) as file:
            return int(file.metadata.num_rows)

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        with _translated(path), _parquet(path) as file:
            for first in range(0, len(columns), _TOGETHER):
                yield self._batches(path, file, columns[first : first + _TOGETHER])

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
    if types.is_time(kind):
        return Info((-1,), "dates", "times of day")
    if types.is_string(kind) or types.is_large_string(kind):
        return Info((-1,), "text", "text")
    return Info((-1,), "other", str(kind))
