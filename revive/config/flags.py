"""What may stand on a command line beside `key=value`: a few flags of Hydra, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from revive.errors import Problem, Problems, nearest

_ALONE: Final = ("-m", "--multirun", "--resolve")
_WITH_VALUE: Final = ("--cfg", "-c", "--package", "-p")
_SHOWN: Final = "-m, --cfg job, --resolve, --package KEY"
_HYDRA: Final = ("hydra.sweep.dir",)  # keys of Hydra's own section that can be set
_PARTS: Final = ("job", "hydra", "all")  # of the config, that --cfg shows
_LONGEST: Final = 100_000
_LONGEST_NAME: Final = 200


def check_arguments_given(arguments: Sequence[str]) -> None:
    """Raises UserError for flags that are not ours, keys of Hydra's own section, and texts that nobody typed."""
    problems = Problems(_problems(arguments))
    problems.raise_if_any()


def _problems(arguments: Sequence[str]) -> Iterator[Problem]:
    pending = ""  # a flag whose value comes next
    for text in arguments:
        flag, equals, value = text.partition("=")
        if flag == "experiment" and len(value) > _LONGEST_NAME:
            yield _wrong(
                f"there is no experiment '{_cut(value)}'", "python -m revive --help lists those there are"
            )
        elif len(text) > _LONGEST or "\x00" in text:
            yield _wrong(f"'{_cut(text)}' is {len(text)} characters long, or holds a NUL")
        elif pending:
            yield from _of_value(pending, text)
            pending = ""
        elif not text.startswith("-"):
            if _is_hydras(text):
                remedy = f"of Hydra's own section, only {', '.join(_HYDRA)} can be set"
                yield _wrong(f"'{_cut(text)}' is not for a run to change", remedy)
        elif flag in _WITH_VALUE and equals:
            yield from _of_value(flag, value)
        elif flag in _WITH_VALUE:
            pending = flag
        elif text not in _ALONE:
            close = nearest(flag, (*_ALONE, *_WITH_VALUE))
            remedy = f"did you mean '{close}'? flags: {_SHOWN}" if close else f"flags: {_SHOWN}"
            yield _wrong(f"there is no flag '{_cut(flag)}'", remedy)
    if pending:
        yield from _of_value(pending, "")


def _of_value(flag: str, value: str) -> Iterator[Problem]:
    if not value or value.startswith("-") or (flag in ("--cfg", "-c") and value not in _PARTS):
        remedy = f"possible: {', '.join(_PARTS)}" if flag in ("--cfg", "-c") else "write a key of the config"
        yield _wrong(f"'{flag}' cannot be '{_cut(value)}'", remedy)


def _wrong(what: str, remedy: str | None = None) -> Problem:
    return Problem(what, "command line", remedy=remedy)


def _is_hydras(text: str) -> bool:
    key = text.partition("=")[0].lstrip("+~").strip()
    return key.partition("/")[0].partition(".")[0].partition("@")[0] == "hydra" and key not in _HYDRA


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
