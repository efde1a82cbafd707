"""What a searched value may be, and the short grammar that says so: `loguniform(1e-4, 1e-2)`."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from revive.errors import Problem, UserError, suggestion

if TYPE_CHECKING:
    from optuna.trial import Trial as OptunaTrial

MOVE = 0.2  # of the range, or of the value where it is searched by factors
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*", re.DOTALL)


class Domain(Protocol):
    """The values that one key may take."""

    @property
    def edges(self) -> list[Any]:
        """The values to try against the config before anything starts."""

    @property
    def grid(self) -> list[Any]:
        """The values of a full grid."""

    def draw(self, generator: random.Random) -> Any:
        """A random value."""

    def moved(self, value: Any, generator: random.Random) -> Any:
        """A value near `value`."""

    def suggest(self, trial: OptunaTrial, name: str) -> Any:
        """A value that Optuna proposes."""


@dataclass(frozen=True)
class Uniform:
    """Any number between two."""

    low: float
    high: float

    @property
    def edges(self) -> list[Any]:
        return [self.low, self.high]

    @property
    def grid(self) -> list[Any]:
        return [self.low, (self.low + self.high) / 2, self.high]

    def draw(self, generator: random.Random) -> float:
        return generator.uniform(self.low, self.high)

    def moved(self, value: Any, generator: random.Random) -> float:
        step = MOVE * (self.high - self.low) * generator.choice((-1, 1))
        return min(max(value + step, self.low), self.high)

    def suggest(self, trial: OptunaTrial, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high)


@dataclass(frozen=True)
class LogUniform(Uniform):
    """Any number between two positive ones, every factor as likely."""

    @property
    def grid(self) -> list[Any]:
        return [self.low, math.sqrt(self.low * self.high), self.high]

    def draw(self, generator: random.Random) -> float:
        drawn = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)

    def moved(self, value: Any, generator: random.Random) -> float:
        factor = 1.0 + MOVE * generator.choice((-1, 1))
        return min(max(value * factor, self.low), self.high)

    def suggest(self, trial: OptunaTrial, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, log=True)


@dataclass(frozen=True)
class RandInt:
    """A whole number between two, both included."""

    low: int
    high: int

    @property
    def edges(self) -> list[Any]:
        return [self.low, self.high]

    @property
    def grid(self) -> list[Any]:
        return sorted({self.low, (self.low + self.high) // 2, self.high})

    def draw(self, generator: random.Random) -> int:
        return generator.randint(self.low, self.high)

    def moved(self, value: Any, generator: random.Random) -> int:
        step = max(1, round(MOVE * (self.high - self.low))) * generator.choice((-1, 1))
        return min(max(value + step, self.low), self.high)

    def suggest(self, trial: OptunaTrial, name: str) -> int:
        return trial.suggest_int(name, self.low, self.high)


@dataclass(frozen=True)
class Choice:
    """One of the listed values; they may be lists."""

    options: tuple[Any, ...]

    @property
    def edges(self) -> list[Any]:
        return list(self.options)

    @property
    def grid(self) -> list[Any]:
        return list(self.options)

    def draw(self, generator: random.Random) -> Any:
        return generator.choice(self.options)

    def moved(self, value: Any, generator: random.Random) -> Any:
        """A neighbour in the list."""
        place = self.options.index(value) + generator.choice((-1, 1))
        return self.options[min(max(place, 0), len(self.options) - 1)]

    def suggest(self, trial: OptunaTrial, name: str) -> Any:
        return self.options[trial.suggest_categorical(name, range(len(self.options)))]


_KINDS = ("uniform", "loguniform", "randint", "choice")


def parse(text: object, place: str) -> Domain:
    """Read `uniform(0, 1)`, `loguniform(1e-5, 1e-2)`, `randint(2, 8)` or `choice(a, b, [1, 2])`.

    place: the dotted key, for messages. Raises UserError.
    """

    def wrong(what: str, remedy: str | None = None) -> UserError:
        return UserError(Problem(what, place=place, remedy=remedy))

    called = _CALL.fullmatch(text) if isinstance(text, str) else None
    if called is None:
        raise wrong(f"{text!r} is no range of values", "write such as loguniform(1e-4, 1e-2) or choice(a, b)")
    kind, values = called[1], _arguments(called[2])
    if kind not in _KINDS:
        raise wrong(f"there is no '{kind}'", suggestion(kind, _KINDS))
    if kind == "choice":
        if not values:
            raise wrong("a choice needs at least one value")
        return Choice(tuple(values))
    whole = kind == "randint"
    if len(values) != 2 or not all(_is_number(value, whole) for value in values):
        raise wrong(f"{kind} takes two {'whole ' if whole else ''}numbers: {kind}(LOW, HIGH)")
    low, high = values
    if low >= high:
        raise wrong(f"the first number must be below the second, not {low:g} and {high:g}")
    if whole:
        return RandInt(low, high)
    if kind == "uniform":
        return Uniform(float(low), float(high))
    if low <= 0:
        raise wrong(f"loguniform needs positive numbers, not {low:g}")
    return LogUniform(float(low), float(high))


def _arguments(text: str) -> list[Any]:
    try:
        values = yaml.safe_load(f"[{text}]")
    except yaml.YAMLError:
        return []
    return _with_numbers(values) if isinstance(values, list) else []


def _with_numbers(value: Any) -> Any:
    """YAML reads 1e-3 as text."""
    if isinstance(value, list):
        return [_with_numbers(inner) for inner in value]
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _is_number(value: Any, whole: bool) -> bool:
    kinds = (int,) if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
