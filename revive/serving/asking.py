"""A request of /act, read and checked as a whole before anything is done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from revive.errors import Problem, UserError, suggestion
from revive.graph.limits import Outside
from revive.runtime.codec import Array
from revive.serving.contract import Contract, refuse

PLANT: Final = "plant"  # the name of the only one
_NAME: Final = re.compile(r"[\w][\w .:/#@-]{0,99}")
_EACH: Final = ("inputs", "operator", "restart", "before")
_ALONE: Final = ("plant", *_EACH, "units")
_MANY: Final = ("plants", "units")
_MOST: Final = 10_000  # plants in one request


@dataclass(frozen=True)
class Asked:
    """Plants, what is seen of them (N, d), and in shadow mode what their operators did (N, a); physical units.

    restart: those that begin anew. before: plant -> node -> (T, 1, d), what is told of the time before its first step,
    NaN where it is not. single: whether the request was of one plant alone.
    """

    names: list[str]
    seen: Array
    operator: Array | None
    restart: list[str]
    before: dict[str, dict[str, Array]]
    single: bool


@dataclass(frozen=True)
class Reader:
    """Reads requests. outside: what becomes of inputs beyond declared limits. shadow: whether operators are logged."""

    contract: Contract
    outside: Outside
    shadow: bool

    def read(self, request: Any) -> Asked:
        """The checked request. Raises UserError with everything that is wrong."""
        if not isinstance(request, Mapping):
            raise UserError(Problem("the request is no JSON object", remedy="see the example in /schema"))
        problems: list[Problem] = []
        single = "plants" not in request
        problems += [
            _strange(key, _ALONE if single else _MANY, "request")
            for key in set(request) - {*(_ALONE if single else _MANY)}
        ]
        if "units" in request:
            problems += self.contract.units(request["units"])
        entries = {request.get("plant", PLANT): request} if single else request["plants"]
        if not isinstance(entries, Mapping) or not 1 <= len(entries) <= _MOST:
            remedy = '{"plants": {NAME: {"inputs": {...}}, ...}}'
            raise UserError(Problem(f"is no object of 1 to {_MOST} plants", place="plants", remedy=remedy))
        seen: list[Array] = []
        done: list[Array] = []
        restart: list[str] = []
        before: dict[str, dict[str, Array]] = {}
        for name, entry in entries.items():
            place = "" if single else f"plants.{name}."
            problems += self._faults(name, entry, single)
            held = entry if isinstance(entry, Mapping) else {}
            row, wrong = self.contract.row(
                held.get("inputs", {}), self.contract.seen, self.outside, f"{place}inputs"
            )
            did, strange = self._operator(held, f"{place}operator")
            seen.append(row)
            done.append(did)
            problems += [*wrong, *strange]
            if held.get("restart") is True:
                restart.append(name)
            if "before" in held:
                before[name], unfit = self.contract.past(held["before"], self.outside, f"{place}before")
                problems += unfit
        refuse(problems)
        operator = np.stack(done) if self.shadow else None
        return Asked([*entries], np.stack(seen), operator, restart, before, single)

    def _faults(self, name: Any, entry: Any, single: bool) -> list[Problem]:
        """What is wrong with the frame of one plant's entry."""
        found = []
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            remedy = "at most 100 letters, digits, blanks and .:/#@-_"
            found.append(
                Problem(f"{str(name)[:100]!r} cannot be the name of a plant", place="plant", remedy=remedy)
            )
        if not isinstance(entry, Mapping):
            return [*found, Problem("is no object", place=f"plants.{name}", remedy='{"inputs": {...}}')]
        if not single:
            found += [_strange(key, _EACH, f"plants.{name}") for key in set(entry) - {*_EACH}]
        if not isinstance(entry.get("restart", False), bool):
            found.append(Problem("is neither true nor false", place="restart"))
        return found

    def _operator(self, entry: Mapping[str, Any], place: str) -> tuple[Array, list[Problem]]:
        if not self.shadow:
            nothing = np.zeros(len(self.contract.decided))
            if "operator" not in entry:
                return nothing, []
            what = "what the operator did belongs to shadow mode"
            return nothing, [Problem(what, place=place, remedy="leave it out, or serve with --shadow LOG")]
        if "operator" not in entry:
            remedy = '"operator": {' + ", ".join(f'"{f.name}": NUMBER' for f in self.contract.decided) + "}"
            return np.zeros(0), [
                Problem("shadow mode needs what the operator did", place=place, remedy=remedy)
            ]
        return self.contract.row(entry["operator"], self.contract.decided, "keep", place)


def _strange(key: Any, known: Sequence[str], place: str) -> Problem:
    return Problem(f"there is no key {str(key)[:80]!r}", place=place, remedy=suggestion(str(key)[:80], known))
