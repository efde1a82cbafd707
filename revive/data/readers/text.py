"""Text tables: csv, txt and tsv files, also compressed, in whatever way people and plants write them.

How a file is written is told from its beginning (`sniff`). Its rows are parsed by pyarrow, a chunk at a time; a chunk
in which something is no plain number or date is parsed as text, and read cell by cell (`cells`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from revive.data.readers.cells import Kind, Reader
from revive.data.readers.container import Info
from revive.data.readers.dialect import BLANKS, TableOptions
from revive.data.readers.footer import without_footer
from revive.data.readers.kinds import kinds_of
from revive.data.readers.parsing import Parser
from revive.data.readers.pieces import (
    chunk_size,
    reading,
    rest_of_line,
    some_lines,
    without_names,
    without_remarks,
)
from revive.data.readers.places import Places
from revive.data.readers.said import is_new, say_once
from revive.data.readers.sniff import sniff
from revive.data.readers.source import SAMPLE, Source, TextInMemory
from revive.data.readers.time_forms import OPEN_ORDER
from revive.data.readers.times import likelier_order
from revive.data.readers.workbook import WORKBOOKS, sheet_as_text
from revive.errors import Problem, Problems, UserError

_COLUMNS: Final = 100_000  # of a table
_SHOWN: Final = 8  # columns, or words of a column, named in one line
_SNIFFED: Final = 150  # lines that are looked at as text


class TextTables:
    """Text files with a column per quantity. `options`: what they do not tell about themselves."""

    def __init__(self, options: TableOptions) -> None:
        self._options = options
        self._opened: dict[Path, _TextTable] = {}
        self._states: dict[str, Kind] = {}  # the words of the first file of a folder count for all

    def columns(self, path: Path) -> list[tuple[str, Info]]:
        return self._table(path).infos()

    def rows(self, path: Path) -> int:
        return self._table(path).rows

    def runs(self, path: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
        yield self._table(path).batches(columns)

    def pandas_call(self, path: Path) -> str:
        return self._table(path).pandas_call()

    def _table(self, path: Path) -> _TextTable:
        if path not in self._opened:
            with reading(path):
                self._opened[path] = _TextTable(path, self._options, self._states, self._opened)
        return self._opened[path]


class _TextTable:
    """One text file: how it is written, and what its columns hold."""

    def __init__(
        self,
        path: Path,
        options: TableOptions,
        states: dict[str, Kind],
        others: Mapping[Path, _TextTable],
    ) -> None:
        self._path, self._options, self._states, self._others = path, options, states, others
        self._source: Source | TextInMemory
        self._is_sheet = path.suffix.lower() in WORKBOOKS
        if self._is_sheet:
            self._source = sheet_as_text(path, options.sheet)
            options = self._options = replace(options, separator="\t")
        else:
            self._source = Source.of(path, options.encoding)
        sample = self._sample()
        lines = sample.split(b"\n", _SNIFFED)
        text = b"\n".join(lines[:_SNIFFED]).decode(errors="replace")
        self._dialect = sniff(text.replace("\r\n", "\n"), path, options)
        if len(self._dialect.names) > _COLUMNS:
            what = f"has {len(self._dialect.names)} columns, at most {_COLUMNS} are read"
            raise UserError(
                Problem(what, path, remedy="write a line for each time, and a column for each quantity")
            )
        self._chunk = chunk_size(max(map(len, lines[:_SNIFFED])))
        self._parser = Parser(path, self._dialect)
        header = self._dialect.header
        self._head = lines[header - 1].rstrip() if header is not None and header <= len(lines) else b""
        self._again = self._remarks = (
            0  # lines that repeat the names, as where files were put together; remarks
        )
        body = b"\n".join(sample.split(b"\n")[self._dialect.first - 1 :])
        body = self._spaced(self._rows_of(body))
        self.rows = self._row_count(sample, body)
        self._footer: list[str] = []
        self.kinds = self._kinds(body)
        if len(sample) < SAMPLE:  # what lies below the table is no word of a column
            body, left_out = without_footer(
                body, self._dialect, [self.kinds[name] for name in self._dialect.names], options
            )
            if left_out:
                states.clear()
                self.kinds = self._kinds(body)

    def _sample(self) -> bytes:
        """Whole lines from the beginning."""
        file = self._source.open()
        try:
            return file.read(SAMPLE) + rest_of_line(file)
        finally:
            file.close()

    def _row_count(self, sample: bytes, body: bytes) -> int:
        lines = body.count(b"\n") + 1
        whole = len(sample) < SAMPLE
        return lines if whole else int(self._source.size / len(sample) * lines * 1.02)

    def infos(self) -> list[tuple[str, Info]]:
        """Names and what the columns hold, from left to right; unnamed columns without values are left out."""
        units = dict(zip(self._dialect.names, self._dialect.units, strict=True))
        found = [(name, self.kinds[name].info(units[name])) for name in self._dialect.names]
        return [(name, info) for name, info in found if name not in self._unused]

    def pandas_call(self) -> str:
        """How pandas reads this file."""
        dialect, name = self._dialect, repr(self._path.name)
        if self._is_sheet:
            return f"pd.read_excel({name}, header={(dialect.header or 1) - 1})"
        said = {
            "sep": (dialect.separator.replace(BLANKS, r"\s+"), ","),
            "decimal": (dialect.decimal, "."),
            "thousands": (dialect.thousands, None),
            "encoding": (self._source.encoding if isinstance(self._source, Source) else "utf-8", "utf-8"),
            "skiprows": ((dialect.header or 1) - 1, 0),
        }
        given = "".join(f", {key}={value!r}" for key, (value, usual) in said.items() if value != usual)
        return f"pd.read_csv({name}{given})"

    def _kinds(self, body: bytes) -> dict[str, Kind]:
        """What the columns hold, told from the sample; sets the types that pyarrow can read by itself."""
        import pyarrow as pa  # type: ignore[import-untyped]

        table = self._parser.table(body, [*self._parser.number], None) if body.strip() else None
        columns = {
            name: table.column(str(number)).combine_chunks() if table is not None else pa.nulls(0)
            for name, number in self._parser.number.items()
        }
        nameless = (
            {"", *(f"column_{n}" for n in range(1, len(columns) + 1))} if self._dialect.header else set()
        )
        self._unused = {n for n, c in columns.items() if n in nameless and c.null_count == len(c)}
        kinds, self._types = kinds_of(columns, self._options, self._states)
        self._states.update({name: kind for name, kind in kinds.items() if kind.holds == "states"})
        return kinds

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Record batches of all rows; text stays, all else is numbers or times."""
        with reading(self._path):
            wanted = list(columns)
            self._settle(wanted)
            reader = Reader(self._dialect, self._options, self.kinds)
            places = Places(self._chunks, self._dialect.first)
            for text in self._chunks():
                places.enter(text)
                yield from self._converted(text, places, wanted, reader)
            self._finish(reader)

    def _settle(self, wanted: Sequence[str]) -> None:
        """Finds the order of day and month where the sample allows both, from all rows."""
        import pyarrow as pa

        for name in wanted:
            form = self.kinds[name].form
            if form is None or form.form not in OPEN_ORDER or form.order is not None:
                continue
            tables = [self._parser.table(text, [name], pa.string()) for text in self._chunks()]
            column = pa.concat_tables(tables).column(0).combine_chunks()
            told = {k.form.order for t in self._others.values() if (k := t.kinds.get(name)) and k.form} - {
                None
            }
            order = told.pop() if len(told) == 1 else likelier_order(column, form) or "DMY"
            self.kinds[name] = replace(self.kinds[name], form=replace(form, order=order))

    def _converted(self, text: bytes, places: Places, wanted: Sequence[str], reader: Reader) -> Iterator[Any]:
        import pyarrow as pa

        row = 0
        try:
            types = {str(self._parser.number[name]): self._types.get(name, pa.string()) for name in wanted}
            table = self._parser.table(text, wanted, types)
        except pa.ArrowInvalid:
            table = self._parser.table(text, wanted, pa.string(), places)
        for batch in table.to_batches():
            arrays = [
                reader.column(name, column, partial(_line_behind, places, row))
                if pa.types.is_string(column.type)
                else column
                for name, column in zip(wanted, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, list(wanted))
            row += batch.num_rows

    def _spaced(self, text: bytes) -> bytes:
        """Runs of blanks as one mark between values, where blanks separate."""
        if self._dialect.separator != BLANKS:
            return text
        if b'"' in text:  # blanks between quotes belong to a value
            text = re.sub(rb'"[^"\n]*"|[ \t\r]+', lambda m: m[0] if m[0][:1] == b'"' else b"\t", text)
            return re.sub(rb"(?m)^\t|\t$", b"", text)
        return re.sub(rb"(?m)^\t|\t$", b"", re.sub(rb"[ \t\r]+", b"\t", text))

    def _rows_of(self, text: bytes) -> bytes:
        """Whole lines without names that come again, and without remarks between rows."""
        text, again = without_names(text, self._head)
        text, remarks = without_remarks(text, self._dialect.separator.encode(), len(self._dialect.names))
        self._again, self._remarks = self._again + again, self._remarks + remarks
        return text

    def _chunks(self) -> Iterator[bytes]:
        """Whole lines of rows, many at a time."""
        file = self._source.open()
        try:
            for _ in range(self._dialect.first - 1):
                rest_of_line(file)
            held, self._again, self._remarks = b"", 0, 0
            while text := some_lines(file, self._chunk):
                text = self._rows_of(text)
                if held and not held.isspace():
                    yield self._spaced(held)
                held = text
            names, kinds = self._dialect.names, self.kinds
            held, left_out = without_footer(
                held, self._dialect, [kinds[name] for name in names], self._options
            )
            if left_out:
                self._footer = [f"no row at the end: {left_out}"]
            if held and not held.isspace():
                yield self._spaced(held)
        finally:
            file.close()

    def _finish(self, reader: Reader) -> None:
        problems = Problems()
        reader.words.report(str(self._path), self.kinds, problems)
        problems.raise_if_any()
        self._say(reader)

    def _say(self, reader: Reader) -> None:
        """Says once how the file is written, and which words were read for missing values."""
        name, key = self._path.name, str(self._path)
        written = [part for part in self._dialect.said() if not (self._is_sheet and "separated" in part)]
        more = "another line" if self._again == 1 else f"{self._again} other lines"
        again = [f"the names stand in {more} as well, left out"] if self._again else []
        again += [f"{self._remarks} remarks behind a # left out"] if self._remarks else []
        layout = ", ".join([*self._source.said(), *written, *self._footer, *again])
        kinds = [kind for kind in self.kinds.values() if kind.form is not None]
        forms = {kind.form.said() for kind in kinds if kind.form and kind.form.unusual}
        parts = [layout] if layout else []
        parts += [f"times {', '.join(sorted(forms))}"] if forms else []
        coded = [(name, kind.words) for name, kind in self.kinds.items() if kind.words]
        coded = [(name, words) for name, words in coded if name not in self._types]
        parts += [f"{name} {_numbered(words)}" for name, words in coded[:_SHOWN]]
        if parts:
            say_once(f"{name}: {'; '.join(parts)}")
        fresh = [text for column, text in reader.words.said() if is_new(key, column, text)]
        if fresh:
            more = f"; and {len(fresh) - _SHOWN} more columns" if len(fresh) > _SHOWN else ""
            say_once(f"{name}: no value: {'; '.join(fresh[:_SHOWN])}{more}")


def _numbered(words: Sequence[str]) -> str:
    """Words with the numbers that they are read as."""
    more = f", and so on to {words[-1]}={len(words) - 1}" if len(words) > _SHOWN else ""
    shown = words[: _SHOWN - 2] if more else words
    return ", ".join(f"{word}={number}" for number, word in enumerate(shown)) + more


def _line_behind(places: Places, before: int, row: int) -> int:
    return places.line(before + row)
