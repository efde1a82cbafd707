"""The log of shadow mode: what was seen, what the operator did, and what the policy would have done.

One line per plant and step, as csv or as JSON lines, after the ending of the file. Lines are written by one call to
the system on a file that is opened for appending, so that they are there whole or not at all unless the disk is full;
a torn last line, left by a machine that lost its power, is ended before the first new one. One process at a time.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from revive.errors import Problem, UserError

_KINDS: Final = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class ShadowLog:
    """A file of records; `fields` are their keys, in order. Raises UserError for a file that holds something else."""

    def __init__(self, file: Path, fields: Sequence[str]) -> None:
        self.file, self.fields = file, tuple(fields)
        kind = _KINDS.get(file.suffix.lower())
        if kind is None:
            raise UserError(
                Problem(
                    "a shadow log ends in .csv or .jsonl", file, remedy=f"e.g. {file.stem or 'shadow'}.csv"
                )
            )
        self.kind = kind
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._opened = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UserError(Problem(f"cannot be written: {error.strerror}", file)) from None
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        try:
            fcntl.flock(self._opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            what = "is being written by another process"
            raise UserError(Problem(what, self.file, remedy="stop it, or name another file")) from None
        size = os.fstat(self._opened).st_size
        if size:
            self._require_own(size)
        elif self.kind == "csv":
            self._append(_line(self.fields))

    def _require_own(self, size: int) -> None:
        head = os.pread(self._opened, min(size, 1 << 20), 0).partition(b"\n")[0].rstrip(b"\r")
        if os.pread(self._opened, 1, size - 1) != b"\n":
            self._append("\n")
        if self.kind == "csv" and head + b"\n" != _line(self.fields).encode():
            remedy = "name another file: its columns are not those of this policy"
            raise UserError(Problem("holds another table", self.file, "line 1", remedy))
        if self.kind == "jsonl" and not head.startswith(b"{"):
            raise UserError(
                Problem("holds something else than JSON lines", self.file, "line 1", "name another file")
            )

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append the records, all in one go. Raises UserError where that fails."""
        if self.kind == "csv":
            text = "".join(_line([_cell(record.get(field)) for field in self.fields]) for record in records)
        else:
            text = "".join(
                f"{json.dumps(dict(record), ensure_ascii=False, allow_nan=False)}\n" for record in records
            )
        self._append(text)

    def _append(self, text: str) -> None:
        content = text.encode()
        try:
            if os.write(self._opened, content) < len(content):
                raise OSError(0, "the disk took only a part of it")
        except OSError as error:
            raise UserError(Problem(f"cannot be written: {error.strerror}", self.file)) from None

    def close(self) -> None:
        """Let another process have the file."""
        if self._opened >= 0:
            os.close(self._opened)
            self._opened = -1


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _line(values: Sequence[Any]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerow(["" if value is None else value for value in values])
    return made.getvalue()
