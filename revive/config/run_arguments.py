"""The arguments of verbs about runs that are done: `promote run=NAME alias=champion`, `compare RUN RUN --json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from revive.config.verbs import verb
from revive.errors import Problem, UserError, suggestion

_JSON = "--json"


@dataclass(frozen=True)
class RunArguments:
    """folders: of the runs that were named. rest: other `key=value`. json: whether a program reads the answer."""

    folders: tuple[Path, ...]
    rest: dict[str, str]
    json: bool

    @classmethod
    def parse(cls, name: str, arguments: Sequence[str], fewest: int = 1, most: int = 1) -> Self:
        """RUN or run=RUN, which is a name below log_dir or the path of a run folder; and what the verb `name` takes.

        Raises UserError for anything else, and for fewer or more runs.
        """
        given, named, flags = {}, [], verb(name).flags
        known = [flag.removesuffix("=") for flag in flags]
        for text in arguments:
            key, is_pair, value = text.partition("=")
            if text == _JSON and _JSON in flags:
                continue
            if key == "run" or not (is_pair or text.startswith("-")):
                named.append(value if is_pair else text)
            elif f"{key}=" in flags and value:
                given[key] = value
            else:
                raise UserError(Problem(f"'{text}' is no argument of {name}", remedy=suggestion(key, known)))
        if not fewest <= len(named) <= most or not all(named):
            wanted = "one run" if most == 1 else f"{fewest} runs or more"
            remedy = (
                f"write: {name} {' '.join(['RUN'] * fewest)}; RUN is the name or the path of a run folder"
            )
            raise UserError(Problem(f"'{name}' takes {wanted}, {len(named)} are named", remedy=remedy))
        log_dir = Path(given.pop("log_dir", "runs")).expanduser()
        folders = tuple(run_folder(run, log_dir) for run in named)
        return cls(folders, given, _JSON in arguments)

    def number(self, key: str, usual: float, low: float, high: float) -> float:
        """The value of a key, `usual` where it is not given. Raises UserError where it is no number in the range."""
        try:
            value = float(self.rest.get(key, usual))
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            remedy = f"a number from {low:g} to {high:g}"
            raise UserError(Problem(f"is {self.rest.get(key)}", place=key, remedy=remedy))
        return value


def run_folder(name: str, log_dir: Path) -> Path:
    """The folder of a run: of this name below log_dir, or `name` itself where it is a path."""
    path = Path(name).expanduser()
    return (path if path.name != name else log_dir / path).absolute()
