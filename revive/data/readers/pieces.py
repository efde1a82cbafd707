"""A text table in pieces: whole lines of bytes, buffers of pyarrow, batches of columns."""

from __future__ import annotations

import lzma
import re
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from revive.data.readers.source import Lines
from revive.errors import Problem, UserError

LONGEST: Final = 4 << 20  # bytes of a line, and of what stands in quotes
_BOM: Final = b"\xef\xbb\xbf"
_CHUNK: Final = 1 << 21  # bytes of text parsed before its numbers are stored
_LARGEST: Final = 1 << 25  # the same of wide tables
_ROWS: Final = 256  # rows of a chunk, at least: each column of each chunk costs time


def own(text: bytes) -> Any:
    """A buffer that belongs to pyarrow.

    A buffer around Python's bytes is released by whichever of pyarrow's threads lets go of it last; where that happens
    while the interpreter shuts down, the thread cannot take the lock of the interpreter and aborts the process.
    """
    import pyarrow as pa  # type: ignore[import-untyped]

    buffer = pa.allocate_buffer(len(text))
    np.frombuffer(buffer, np.uint8)[:] = np.frombuffer(text, np.uint8)
    return buffer


def chunk_size(line: int) -> int:
    """Bytes to parse at a time of a table with lines of so many bytes."""
    return max(_CHUNK, min(_LARGEST, _ROWS * line))


class Endless(Exception):
    """A line, or what stands in quotes, that goes on for longer than any row does; says so, as a clause."""


def rest_of_line(file: Lines) -> bytes:
    """The bytes up to the next line feed, with it. Raises Endless where it does not come."""
    text = file.readline(LONGEST)
    if len(text) >= LONGEST and not text.endswith(b"\n"):
        raise Endless(f"has a line of more than {LONGEST >> 20} MiB")
    return text


def some_lines(file: Lines, size: int) -> bytes:
    """Whole lines of `size` bytes; a line break inside quotes ends none. Raises Endless where a line does not end."""
    text = file.read(size)
    if not text:
        return b""
    lines = [text, rest_of_line(file)]
    quotes = sum(part.count(b'"') for part in lines if b'"' in part)
    quoted = 0
    while quotes % 2 and (more := rest_of_line(file)):
        lines.append(more)
        quotes += more.count(b'"')
        quoted += len(more)
        if quoted > LONGEST:
            raise Endless(
                f"has a quotation mark without another one in more than {LONGEST >> 20} MiB behind it"
            )
    return b"".join(lines)


def without_names(text: bytes, names: bytes) -> tuple[bytes, int]:
    """Whole lines with blank ones in place of those that repeat the line of names; and how many these are."""
    names = names.removeprefix(_BOM)
    if not names.strip() or names not in text:
        return text, 0
    return re.subn(rb"(?m)^(?:" + _BOM + rb")?" + re.escape(names) + rb"[ \t]*\r?$", b"", text)


def without_remarks(text: bytes, separator: bytes, width: int) -> tuple[bytes, int]:
    """Whole lines with blank ones in place of remarks behind a `#`, which have not the marks of a row; how many."""
    if b"\n#" not in text and not text.startswith(b"#"):
        return text, 0
    left_out = 0

    def blank(found: re.Match[bytes]) -> bytes:
        nonlocal left_out
        if found[0].count(separator) == width - 1:
            return found[0]
        left_out += 1
        return b""

    return re.sub(rb"(?m)^#[^\n]*$", blank, text), left_out


def set_aside(ragged: list[Any], row: Any) -> str:
    """Keeps a row of another length for a message; pyarrow skips it then."""
    ragged.append(row)
    return "skip"


def ragged_row(path: Path, row: Any, line: int) -> UserError:
    """What is to be said about such a row, which stands in `line`."""
    what = f"{row.actual_columns} values in line {line}, but {row.expected_columns} names: {row.text[:60]!r}"
    remedy = "correct or delete the line; dataset.table.separator, .header and .footer set what was found"
    return UserError(Problem(what, path, f"line {line}", remedy))


class reading:
    """Says what breaks while a text file is read in the words of its user."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise UserError(Problem("tables need pyarrow", self._path, None, "pip install pyarrow")) from None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]

        if isinstance(error, Endless):
            remedy = "write a line for each row; dataset.table.encoding and .separator set what was found"
            raise UserError(Problem(str(error), self._path, None, remedy)) from None
        if isinstance(error, UnicodeError) or (error is not None and "UTF8" in str(error)):
            what = "holds bytes that are no text in the encoding that its beginning has"
            remedy = "name the encoding: dataset.table.encoding=cp1252, gb18030, utf-16, ..."
            raise UserError(Problem(what, self._path, None, remedy)) from None
        if isinstance(error, pa.ArrowException | OSError | EOFError | zlib.error | lzma.LZMAError):
            said = " ".join(str(getattr(error, "strerror", None) or error).split())
            what = f"cannot be read: {said[:300]}"
            raise UserError(Problem(what, self._path, None, "write it again, or copy it again")) from None
