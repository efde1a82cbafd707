"""What a key of the config means: the comment that stands beside it in conf/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from revive.config.keys import unknown_key
from revive.config.shipped import shipped
from revive.errors import UserError

_LINE: Final = re.compile(r"^(\s*)([A-Za-z_][\w]*):\s*(.*?)(?:\s+#\s*(.*))?$")
_PLAIN: Final = ("shared",)  # folders whose files belong to the group itself
_HIDDEN: Final = ("defaults", "hydra", "debug", "_target_")


@dataclass(frozen=True)
class _Key:
    name: str
    value: str
    comment: str
    file: str


def key_help(key: str) -> str:
    """A line for the key, or for each key of a section: value, meaning, and the file that says so.

    Raises UserError where there is no such key.
    """
    known = _shown_keys()
    wanted = [found for found in known if found.name == key or found.name.startswith(f"{key}.")]
    if not wanted:
        raise UserError(unknown_key(key, {found.name for found in known}))
    lines: dict[str, None] = {}
    width = min(44, max(len(f"{found.name}={found.value}") for found in wanted))
    for found in wanted:
        comment = f"  {found.comment}" if found.comment else ""
        lines[f"{f'{found.name}={found.value}':<{width}}{comment}  ({found.file})"] = None
    return "\n".join(lines) + "\n"


def key_names() -> list[str]:
    """Every key that has a value, in order."""
    return sorted({found.name for found in _shown_keys()})


def _shown_keys() -> list[_Key]:
    return [found for found in _all_keys() if found.name.split(".")[0] not in _HIDDEN]


def _all_keys() -> Iterator[_Key]:
    conf = shipped("conf")
    for file in sorted(conf.rglob("*.yaml")):
        parts = [part for part in file.relative_to(conf).parent.parts if part not in _PLAIN]
        yield from _keys(file, parts, str(file.relative_to(conf.parent)))


def _keys(file: Path, prefix: list[str], shown: str) -> Iterator[_Key]:
    """The keys of one file; those without a value of their own are sections."""
    above: list[tuple[int, str]] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        indent = len(found[1])
        above = [(depth, name) for depth, name in above if depth < indent]
        name = ".".join([*prefix, *(name for _, name in above), found[2]])
        above.append((indent, found[2]))
        value, comment = found[3], found[4] or ""
        if value.startswith("#"):  # a section, with a remark
            value, comment = "", value.removeprefix("#").strip()
        hidden = any(part in _HIDDEN for part in name.split("."))
        if not hidden and (value or comment):
            yield _Key(name, value, comment, shown)
