"""Lines about a data file that are said once, however often it is opened and read in a process."""

from __future__ import annotations

import logging
from typing import Final

_log = logging.getLogger("revive")
_asked: Final[set[tuple[str, ...]]] = set()


def is_new(*key: str) -> bool:
    """Whether this is asked for the first time."""
    fresh = key not in _asked
    _asked.add(key)
    return fresh


def say_once(line: str) -> None:
    """Logs a line unless it was logged before."""
    if is_new(line):
        _log.warning("%s", line)
