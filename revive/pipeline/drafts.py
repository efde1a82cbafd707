"""What `new` has written and nobody has finished yet: guesses that are still marked, the reward that stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from revive.config.settings import Settings
from revive.data.finding import Finding, counted, warning

GUESS: Final = "GUESS"
PLACEHOLDER: Final = "A placeholder, so that the experiment runs"
_SHOWN: Final = 10
_SAID: Final = re.compile(r"near the median of the logs, (\S+)\.$", re.MULTILINE)
_PAID: Final = re.compile(r"^ *return -abs\(data\[.+?\]\[\.\.\., \d+:\d+\] - (\S+)\)$", re.MULTILINE)


def unfinished(settings: Settings) -> Iterator[Finding]:
    """A finding for the guesses that are left in the description, and one for a reward that was not written."""
    description, reward = settings.dataset.description, settings.reward
    if isinstance(description, Path):
        lines = [n for n, line in enumerate(_lines(description), 1) if _is_guess(line)]
        if lines:
            shown = ", ".join(map(str, lines[:_SHOWN])) + (", ..." if len(lines) > _SHOWN else "")
            marked = f"{counted(len(lines), 'line')} of {description.name} still marked {GUESS}"
            what = f"{marked} ({'line' if len(lines) == 1 else 'lines'} {shown})"
            yield warning("guess", what, f"read each of them, correct it, then delete the word {GUESS}")
    if reward is not None and _is_draft("\n".join(_lines(reward))):
        what = f"{reward.name} is still the placeholder that 'new' has written, which nobody wants to earn"
        yield warning("placeholder-reward", what, f"write get_reward in {reward}")


def _is_draft(code: str) -> bool:
    """Whether a reward still pays what `new` wrote, whatever else was changed around it."""
    said, paid = _SAID.search(code), _PAID.search(code)
    return PLACEHOLDER in code and paid is not None and (said is None or said[1] == paid[1])


def guessed_limits(settings: Settings) -> set[str]:
    """The columns whose limits are still marked as a guess."""
    description, found = settings.dataset.description, set()
    for line in _lines(description) if isinstance(description, Path) else ():
        if not _is_guess(line):
            continue
        try:
            entry = yaml.safe_load(line)
        except yaml.YAMLError:
            continue  # a column that is described over several lines, or no column
        for column in entry if isinstance(entry, list) else ():
            if isinstance(column, dict):
                found |= {
                    str(k) for k, of in column.items() if isinstance(of, dict) and of.keys() & {"min", "max"}
                }
    return found


def _is_guess(line: str) -> bool:
    """Whether a comment of the line has the mark, and is not the one that explains it."""
    return GUESS in line.partition("#")[2] and "delete the word" not in line


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []  # whoever reads it next says what is wrong
