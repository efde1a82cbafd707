"""What is typed behind `new`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from revive.data.readers.dialect import KEYS
from revive.data.survey import Wishes
from revive.errors import Problem, UserError, suggestion

_COLUMNS: Final = ("action", "state", "exogenous", "trajectory")
_SINGLE: Final = ("data", "folder", "time")
_FOLDER: Final = Path("experiments")
_USAGE: Final = (
    "write: new NAME --data FILE [--action COLUMNS] [--state COLUMNS] [--exogenous COLUMNS] [--time COLUMN] "
    "[--trajectory COLUMNS] [--folder FOLDER] [dataset.table.KEY=VALUE]; COLUMNS are names with commas between; "
    "new --help says more"
)
_TABLE: Final = "dataset.table."


@dataclass(frozen=True)
class NewArguments:
    """The name, the data file, the folder to make the experiment in, and what columns were said to be.

    table: how a text table is written, as `dataset.table` of an experiment says it.
    """

    name: str
    data: Path
    folder: Path
    wishes: Wishes
    table: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_found(self) -> bool:
        """Whether the experiment is found without naming its folder."""
        return self.folder == _FOLDER

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> NewArguments:
        """Reads the arguments. Raises UserError where they cannot be meant."""
        table = dict(_setting(word) for word in arguments if _is_setting(word))
        names, options = _divided([word for word in arguments if not _is_setting(word)])
        if len(names) != 1 or not options.get("data"):
            said = "no NAME is given" if not names else "no data file is given" if len(names) == 1 else None
            raise _misused(said or f"several names are given: {', '.join(names)}")
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", names[0]):
            raise _misused(f"{names[0]!r} is no NAME: letters, digits, - and _")
        columns = {flag: _columns(flag, options[flag]) for flag in _COLUMNS if flag in options}
        wishes = Wishes(time=options["time"][0] if "time" in options else None, **columns)
        _require_one_role(wishes)
        folder = Path(options.get("folder", [str(_FOLDER)])[0])
        return cls(names[0], Path(options["data"][0]), folder, wishes, table)


def _is_setting(word: str) -> bool:
    return re.match(r"\+?dataset\.[\w.]+=", word) is not None


def _setting(word: str) -> tuple[str, Any]:
    """The key and value of `dataset.table.KEY=VALUE`, written as on the command line of a run."""
    name, _, text = word.lstrip("+").partition("=")
    key = name.removeprefix(_TABLE)
    if key not in KEYS or not name.startswith(_TABLE):
        near = suggestion(key, [_TABLE + known for known in sorted(KEYS)])
        raise _misused(f"'{name}' says nothing about how a table is written ({near})")
    try:
        return key, yaml.safe_load(text)
    except yaml.YAMLError:
        return key, text


def _divided(arguments: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    names: list[str] = []
    options: dict[str, list[str]] = {}
    waiting = [*arguments]
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("-"):
            names.append(word)
            continue
        flag, equals, value = word.removeprefix("--").partition("=")
        if flag not in (*_COLUMNS, *_SINGLE) or not word.startswith("--"):
            near = suggestion(flag, [f"--{known}" for known in (*_COLUMNS, *_SINGLE)])
            raise _misused(f"'{word}' is unknown ({near})")
        if not equals:
            if not waiting or waiting[0].startswith("--"):
                raise _misused(f"--{flag} lacks its value")
            value = waiting.pop(0)
        options.setdefault(flag, []).append(value)
    return names, options


def _columns(flag: str, values: Sequence[str]) -> list[str]:
    names = [name.strip() for value in values for name in value.split(",")]
    if not all(names):
        raise _misused(f"--{flag} lists an empty name")
    return names


def _require_one_role(wishes: Wishes) -> None:
    flags: dict[str, str] = {}
    for flag, name in wishes.named():
        if flags.setdefault(name, flag) != flag:
            raise _misused(f"'{name}' is given as {flags[name]} and as {flag}")


def _misused(what: str) -> UserError:
    return UserError(Problem(f"these arguments of 'new' cannot be understood: {what}", remedy=_USAGE))
