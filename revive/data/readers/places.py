"""In which lines of a text file its rows stand; counted only where it has to be said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from revive.data.trajectories import IntArray


class Places:
    """Lines, counted from 1, of the rows of a file that is read chunk by chunk.

    chunks: the chunks of the file from its first row on; first: the line of that row.
    """

    def __init__(self, chunks: Callable[[], Iterator[bytes]], first: int) -> None:
        self._chunks, self._first = chunks, first
        self._index, self._text = -1, b""
        self._line: int | None = None  # of the beginning of the chunk
        self._lines: IntArray | None = None

    def enter(self, text: bytes) -> None:
        """Goes on to the next chunk."""
        if self._line is not None:
            self._line += self._text.count(b"\n")
        self._index, self._text, self._lines = self._index + 1, text, None

    def line(self, row: int) -> int:
        """The line of a row of this chunk, counted from 0; exact where no cell goes over several lines."""
        if self._line is None:
            before = islice(self._chunks(), self._index)
            self._line = self._first + sum(chunk.count(b"\n") for chunk in before)
        if self._lines is None:
            filled = [bool(line.strip()) for line in self._text.split(b"\n")]
            self._lines = self._line + np.flatnonzero(filled)
        return int(self._lines[min(row, len(self._lines) - 1)])
