"""Lines of text parsed by pyarrow into columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from revive.data.readers.dialect import BLANKS, Dialect
from revive.data.readers.pieces import chunk_size, own, ragged_row, set_aside
from revive.data.readers.places import Places

_BLOCK: Final = 1 << 19  # bytes of text parsed by one thread at a time
_WIDE: Final = 1 << 13  # bytes of a line of a wide table


@dataclass(frozen=True)
class Parser:
    """Parses lines of the file at `path`, which is written as `dialect` says."""

    path: Path
    dialect: Dialect

    @cached_property
    def number(self) -> dict[str, int]:
        """The place of each column, by name; pyarrow knows columns by it."""
        return {name: number for number, name in enumerate(self.dialect.names)}

    def table(self, text: bytes, wanted: Sequence[str], types: Any, places: Places | None = None) -> Any:
        """The columns `wanted` of whole lines, called by their numbers.

        types: of pyarrow, by number, or one for all; None: pyarrow tells them. Rows of another length are named by
        their `places`; without these they raise ArrowInvalid where types are told by number, and are skipped otherwise.
        """
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import csv

        ids = [str(self.number[name]) for name in wanted]
        ragged: list[Any] = []
        verbatim = types is not None and not isinstance(types, Mapping)
        parse = csv.ParseOptions(
            delimiter="\t" if self.dialect.separator == BLANKS else self.dialect.separator,
            newlines_in_values=b'"' in text,
        )
        typed = isinstance(types, Mapping)
        if not typed:  # a Python function must not be in the hands of threads: see `own`
            parse.invalid_row_handler = partial(set_aside, ragged)
        convert = csv.ConvertOptions(
            include_columns=ids,
            column_types=dict.fromkeys(ids, types) if verbatim else types,
            strings_can_be_null=not verbatim,
            decimal_point=self.dialect.decimal,
        )
        names = [str(number) for number in range(len(self.dialect.names))]
        line = text.find(b"\n")
        # a block holds a line, and many lines of a wide table
        block = max(_BLOCK, chunk_size(line) if line > _WIDE else 4 * line)
        read = csv.ReadOptions(column_names=names, block_size=block, use_threads=typed)
        pool = pa.system_memory_pool()  # the other ones keep what they do not need any more
        table = csv.read_csv(own(text), read, parse, convert, pool)
        if ragged and places is not None:
            raise ragged_row(self.path, ragged[0], places.line((ragged[0].number or 1) - 1))
        return table
