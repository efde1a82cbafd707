"""Which keys a config may have: those that conf/ composes to without any experiment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from revive.errors import Problem, nearest

_LONGEST = 100  # of a key in a message
FREE_SECTION = "space"  # holds keys of its neighbours; the search checks them
OPEN_SECTION = "dataset.table."  # holds lists of columns under the names of nodes, beside its own keys


def dotted_keys(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every key of nested mappings, inner and outer, as `a.b.c`."""
    for key, value in values.items():
        dotted = f"{prefix}{key}"
        yield dotted
        if isinstance(value, Mapping):
            yield from dotted_keys(value, f"{dotted}.")


def unknown_keys(values: Mapping[str, Any], base: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The keys of `values` that `base` does not have.

    Free is what the base leaves null or empty, the lists of `dataset.table`, and a section that has chosen another
    `_target_`: its constructor says which keys it takes (`check_arguments`).
    """
    unknown = []
    for key, value in values.items():
        if key not in base:
            if prefix != OPEN_SECTION or not isinstance(value, list):
                unknown.append(f"{prefix}{key}")
            continue
        below = base[key]
        if key == FREE_SECTION or not (isinstance(value, Mapping) and isinstance(below, Mapping) and below):
            continue
        if value.get("_target_") == below.get("_target_"):
            unknown.extend(unknown_keys(value, below, f"{prefix}{key}."))
    return unknown


def unknown_key(key: str, known: Iterable[str]) -> Problem:
    """The problem of a key that does not exist, with the one that was probably meant."""
    known = list(known)
    key = key if len(key) <= _LONGEST else f"{key[:_LONGEST]}..."
    parent, _, last = key.rpartition(".")
    siblings = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == parent}
    starts = sorted(name for name in siblings if name.startswith(last))
    close = siblings.get(nearest(last, siblings) or "") or nearest(key, known)
    close = close or (siblings[starts[0]] if starts else None)
    if close:
        return Problem("unknown key", place=key, remedy=f"did you mean '{close}'?")
    possible = sorted(siblings) or sorted({name.partition(".")[0] for name in known})
    where = f" under '{parent}'" if siblings and parent else ""
    return Problem("unknown key", place=key, remedy=f"possible{where}: {', '.join(possible)}")
