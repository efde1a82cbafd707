"""Files of one folder whose columns are the same, though they are not written alike; and units that are not."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

_DEGREES: Final = re.compile(r"^(?:°|º|deg(?:rees?)?\.?)(?=[CFK])")


def spelt_otherwise(columns: Mapping[Path, Collection[str]]) -> dict[Path, dict[str, str]]:
    """File -> the name that most files have -> the one in its place, which differs in capitals and blanks alone.

    columns: file -> its names.
    """
    if len(columns) < 2:
        return {}
    every = [frozenset(names) for names in columns.values()]
    usual = max(every, key=every.count)
    found = {}
    for path, own in zip(columns, every, strict=True):
        plain = {_plain(name): name for name in sorted(own - usual)}
        renamed = {name: plain[_plain(name)] for name in sorted(usual - own) if _plain(name) in plain}
        if renamed:
            found[path] = renamed
    return found


def _plain(name: str) -> str:
    return "".join(name.casefold().split())


def units_differ(one: str, other: str) -> bool:
    """Whether two units, as files write them, are two; an empty one says nothing. mW and MW are two."""
    plain = [_DEGREES.sub("", "".join(unit.split()).strip("[](){}")) for unit in (one, other)]
    return all(plain) and plain[0] != plain[1]
