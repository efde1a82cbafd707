"""pydantic's findings in the words of this project."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from revive.errors import Problem, nearest

_BRANCHES = ("list[", "dict[", "union[", "tuple[")  # which kind of value was tried, and no key
_WORDS = {
    "Input should be": "must be",
    "String should": "must",
    "a valid dictionary": "a mapping of keys to values",
    "an object": "a mapping of keys to values",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
    "a valid array": "a list",
}


def problems_of(error: ValidationError, place: str = "") -> list[Problem]:
    """One problem for each place that is wrong; `place` is the dotted key that the values stand under."""
    grouped: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        grouped.setdefault(_dotted(place, detail["loc"]), []).append(detail)
    return [_problem(key, details) for key, details in grouped.items()]


def wording(details: Iterable[ErrorDetails]) -> str:
    """What a value must be, all alternatives of a union in one clause."""
    return " or ".join(dict.fromkeys(_plain(detail) for detail in details))


def shown(value: Any) -> str:
    """A value as a user would recognise it, cut where it is long."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _dotted(place: str, location: tuple[int | str, ...]) -> str:
    parts = (str(part) for part in location)
    return ".".join(part for part in (place, *parts) if part and not part.startswith(_BRANCHES))


def _plain(detail: ErrorDetails) -> str:
    if detail["type"] == "string_pattern_mismatch":
        return "must be made of letters, digits, '.', '_' and '-' and start with a letter or digit"
    text = detail["msg"].removeprefix("Value error, ")
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text


def _problem(key: str, details: list[ErrorDetails]) -> Problem:
    first = details[0]
    if first["type"] == "missing":
        return Problem("has no value", place=key, remedy=f"give it one: {key}=VALUE")
    if first["type"] == "extra_forbidden":
        return Problem("unknown key", place=key)
    if first["type"] == "value_error":
        return Problem(wording(details), place=key)
    expected = first.get("ctx", {}).get("expected") if first["type"] == "literal_error" else None
    choices = [word.strip(" '") for word in str(expected).replace(" or ", ",").split(",")] if expected else []
    close = nearest(str(first["input"]), choices)
    remedy = f"did you mean '{close}'?" if close else None
    return Problem(f"{wording(details)}, not {shown(first['input'])}", place=key, remedy=remedy)
