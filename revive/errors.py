"""What a user can get wrong, said in one message: file, place, what is wrong, what would be right."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOST_TOLD: Final = 20  # problems that one message tells
_MOST_OFFERED: Final = 40  # choices that one message lists
_LONGEST: Final = 200  # letters that are compared


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in something a user wrote or gave.

    `what` is a full clause without a trailing period; `file` and `place` (a key path, a line, a row) say
    where; `remedy` says what to do instead.
    """

    what: str
    file: Path | str | None = None
    place: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        where = ", ".join(str(part) for part in (self.file, self.place) if part)
        remedy = f"\n    -> {self.remedy}" if self.remedy else ""
        return (f"{where}: " if where else "") + self.what + remedy


class UserError(Exception):
    """Raised for whatever a user can mend; carries every problem that was found, never just the first.

    The command line prints it without a traceback and exits with code 2. Of very many problems the message tells the
    first ones, and how many more there are; `problems` holds all.
    """

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(Problem(p) if isinstance(p, str) else p for p in problems)
        told = [str(problem) for problem in self.problems[:_MOST_TOLD]]
        if more := len(self.problems) - len(told):
            told.append(f"... and {more} more problems")
        super().__init__("\n".join(told))


class RunFailed(RuntimeError):
    """Raised where a run cannot end well for reasons that its message tells in full; the exit code is 1."""


class NotBelieved(RuntimeError):
    """Raised when all is done and written, but may not be believed (the gate fails); the exit code is 3."""


class Problems(list[Problem]):
    """A list to collect problems in; `raise_if_any` ends the collection."""

    def add(
        self,
        what: str,
        *,
        file: Path | str | None = None,
        place: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.append(Problem(what, file, place, remedy))

    def raise_if_any(self) -> None:
        if self:
            raise UserError(*self)


def override(key: str, text: str) -> str:
    """`key=text` as it is typed in a shell for the config; quoted twice where `text` is more than a word."""
    if re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII):
        return f"{key}={text}"
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return shlex.quote(f'{key}="{inner}"')


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that reads most like `word`, or None where none is close."""
    options = {str(choice)[:_LONGEST]: str(choice) for choice in choices}
    matches = difflib.get_close_matches(str(word)[:_LONGEST], options, n=1, cutoff=0.5)
    return options[matches[0]] if matches else None


def first_few(parts: Sequence[str], most: int, between: str = ", ") -> str:
    """The first ones of many, and how many are left out."""
    told, end = between.join(parts[:most]), between.strip(", ")
    return told if len(parts) <= most else f"{told}{end} and {len(parts) - most} more"


def suggestion(word: str, choices: Iterable[str]) -> str:
    """A remedy sentence: the nearest choice where there is one, and all of them, or some of very many."""
    options = sorted(str(choice) for choice in choices)
    close = nearest(word, options)
    head = f"did you mean '{close}'? " if close else ""
    return f"{head}possible: {first_few(options, _MOST_OFFERED)}" if options else head.strip()
