"""The text of a file as UTF-8 with plain line ends, whatever it was compressed with and encoded in."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from revive.errors import Problem, UserError

SAMPLE: Final = 1 << 20  # bytes of text that everything is told from
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LETTERS: Final = frozenset(
    "ÄÖÜäöüßÀÂÇÈÉÊËÎÏÔÙÛàâçèéêëîïôùûÿœŒÁÍÓÚÑáíóúñ¿¡ÃÕãõÅÆØåæøìòªº°²³µ·±½×€£§«»–—‘’“”„…®©™¹¼¾÷¢¥\u00a0"
)
_NO_WORD: Final = re.compile(r"øC\b|¡C\b|øF\b|¡F\b")  # a degree sign of another encoding
_TRIED: Final = ["gb18030", "shift_jis", "cp1251", "euc_kr", "big5", "cp1252"]
_RUN: Final = re.compile(r"[^\x00-\x7f]+")


_NO_TABLES: Final = {
    "a page of HTML": re.compile(rb"\s*<(?:!doctype html|html|table|head|body)\b", re.I),
    "XML": re.compile(rb"\s*<\?xml\b", re.I),
    "points in InfluxDB's line protocol": re.compile(
        rb"\s*[^\s,=]+(?:,[^\s=]+=[^\s,]+)* [^\s=]+=\S+ \d{10,19}\s*\n", re.A
    ),
    "JSON": re.compile(rb'\s*(?:\[\s*)?\{\s*"[^"\n]{0,200}"\s*:'),
}


_BINARY: Final = {
    b"\x1f\x8b": ("a gzip archive", "call it .csv.gz"),
    b"PK\x03\x04": ("a zip archive or a workbook (xlsx)", "call it .xlsx, or unpack it"),
    b"\x28\xb5\x2f\xfd": ("a Zstandard archive", "call it .csv.zst"),
    b"BZh": ("a bzip2 archive", "call it .csv.bz2"),
    b"\xfd7zXZ": ("an xz archive", "call it .csv.xz"),
    b"PAR1": ("a parquet file", "call it .parquet"),
    b"\x89HDF": ("an HDF5 file", "call it .h5"),
    b"\xd0\xcf\x11\xe0": ("a workbook of old (xls)", "save it as .xlsx"),
}


class Lines(Protocol):
    """Text as bytes, from its beginning to its end."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Source:
    """A text file; `open` gives its text as UTF-8 bytes, lines ended by a line feed or by both marks."""

    path: Path
    encoding: str
    marked: int = 0
    returns: bool = False

    @classmethod
    def of(cls, path: Path, encoding: str | None) -> Source:
        """Finds out how `path` is written, unless `encoding` says it. Raises UserError for what is no text."""
        with _raw(path) as file:
            head = file.read(SAMPLE)
        if binary := next((said for mark, said in _BINARY.items() if head.startswith(mark)), None):
            raise UserError(Problem(f"is {binary[0]}, whatever its name says", path, remedy=binary[1]))
        mark = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), None)
        found = encoding or (mark[1] if mark else _guessed(head, path))
        plain = codecs.lookup(found).name == "utf-8"
        marked = len(codecs.BOM_UTF8) if plain and mark and mark[1] == "utf-8" else 0
        text = head if plain else head.decode(found, errors="ignore").encode()
        if b"\0" in text:
            raise UserError(Problem("holds binary data, no text", path, remedy="write it as text"))
        if found_kind := next((kind for kind, mark in _NO_TABLES.items() if mark.match(text)), None):
            remedy = "export a table: a line for each time, with a mark between values"
            raise UserError(Problem(f"holds {found_kind}, no table", path, remedy=remedy))
        return cls(path, "utf-8" if plain else found, marked, b"\r" in text and b"\n" not in text)

    def open(self) -> Lines:
        """Its text from the beginning; the caller closes it."""
        file = _raw(self.path)
        if self.encoding == "utf-8" and not self.returns:
            file.read(self.marked)
            return file  # type: ignore[no-any-return]
        return _Recoded(file, "utf-8-sig" if self.encoding == "utf-8" else self.encoding)

    @property
    def size(self) -> int:
        """About how many bytes its text has."""
        growth = 6 if self.path.suffix.lower() in COMPRESSED else 1
        return self.path.stat().st_size * growth

    def said(self) -> list[str]:
        """What is not as in a plain text, for a message."""
        return ([] if self.encoding == "utf-8" else [self.encoding]) + (
            ["lines ended by CR"] if self.returns else []
        )


@dataclass(frozen=True)
class TextInMemory:
    """Text that was made of another kind of file; `made` says of what, for messages."""

    text: bytes
    made: tuple[str, ...] = ()

    def open(self) -> Lines:
        """The text from the beginning."""
        return io.BytesIO(self.text)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.text)

    def said(self) -> list[str]:
        """What it was made of."""
        return [*self.made]


def _zstandard(path: Path) -> Any:
    import pyarrow as pa  # type: ignore[import-untyped]

    return io.BufferedReader(pa.input_stream(path, compression="zstd"))


COMPRESSED: Final[Mapping[str, Callable[[Path], Any]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _zstandard,
}
"""Ending -> what opens such a file as bytes."""


def _raw(path: Path) -> Any:
    opened = COMPRESSED.get(path.suffix.lower())
    return path.open("rb") if opened is None else opened(path)


class _Recoded:
    """Text in another encoding, as UTF-8 with line feeds."""

    def __init__(self, file: Any, encoding: str) -> None:
        self._text = io.TextIOWrapper(file, encoding=encoding, newline=None)

    def read(self, size: int, /) -> bytes:
        return self._text.read(size).encode()

    def readline(self, size: int = -1, /) -> bytes:
        return self._text.readline(size).encode()

    def close(self) -> None:
        self._text.close()


def _guessed(head: bytes, path: Path) -> str:
    """The encoding of a text without a byte order mark."""
    if (pair := _utf16(head)) is not None:
        return pair
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        if western := _western(head):
            return western
        from charset_normalizer import from_bytes

        best = from_bytes(head[: SAMPLE // 16], cp_isolation=_TRIED).best()
        if best is None:
            remedy = "name it: dataset.table.encoding=cp1252, gb18030, ..."
            raise UserError(Problem("its encoding cannot be told", path, None, remedy)) from None
        return best.encoding
    return "utf-8"


def _western(head: bytes) -> str | None:
    """The encoding of a text with a degree sign or an umlaut here and there; other scripts come in words."""
    short = []
    for encoding in ("cp1252", "cp850", "mac_roman"):  # of Windows, of DOS, of old Macintoshes
        text = head.decode(encoding, errors="replace")
        runs = _RUN.findall(text)
        if all(len(run) <= 2 and "\ufffd" not in run for run in runs):
            if all(letter in _LETTERS for run in runs for letter in run) and not _NO_WORD.search(text):
                return encoding
            short.append(encoding)
    return "cp1252" if "cp1252" in short else None


def _utf16(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of a table's figures is zero."""
    part = head[:2048]
    if len(part) < 4:
        return None
    even, odd = part[::2].count(0) / len(part[::2]), part[1::2].count(0) / len(part[1::2])
    if odd > 0.8 and even < 0.2:
        return "utf-16-le"
    return "utf-16-be" if even > 0.8 and odd < 0.2 else None
