"""What an entry of the tables of REVIVE's names can be, and how values become ours.

An entry is the dotted key of ours; a `Why`; or a `Turned`, whose keys depend on the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from revive.errors import Problem, UserError

Section = Literal["base", "venv", "policy"]


@dataclass(frozen=True)
class Why:
    """Why a name has no counterpart, or none for its value; a clause."""

    reason: str


Became = dict[str, Any] | Why


@dataclass(frozen=True)
class Turned:
    """An entry that depends on the value.

    turn: value -> our keys and values, or why there are none. told, why: the same in words, as docs/server.md says it,
    and why other values have no counterpart.
    """

    turn: Callable[[Any], Became]
    told: str
    why: Why | None = None

    def __call__(self, value: Any) -> Became:
        return self.turn(value)


Entry = str | Why | Turned
AS_HERE = "as it is here"


def only(usual: Any, why: str) -> Turned:
    """What is done here anyway, where the value is `usual`; a tuple of them: any."""
    names, reason = usual if isinstance(usual, tuple) else (usual,), Why(why)
    shown = " or ".join(dict.fromkeys(f"`{name}`" for name in names))
    return Turned(lambda value: {} if value in names else reason, f"{shown}: {AS_HERE}", reason)


def above(least: int, key: str, why: str) -> Turned:
    """The key, where the value is larger than `least`."""
    reason = Why(why)
    return Turned(
        lambda value: {key: int(value)} if value is not None and int(value) > least else reason,
        f"`{key}` where above {least}",
        reason,
    )


def choice(name: str, key: str, values: Mapping[Any, Any], told: str = "") -> Turned:
    """One of several words, each with a word of ours. Raises UserError for any other."""

    def chosen(value: Any) -> dict[str, Any]:
        if value not in values:
            options = ", ".join(str(option) for option in values)
            raise UserError(Problem(f"is {value!r}", place=name, remedy=f"possible: {options}"))
        return {key: values[value]}

    return Turned(chosen, told or f"`{key}`: {_pairs(values)}")


def some(key: str, values: Mapping[Any, Any], why: str) -> Turned:
    """One of several words, each with a word of ours; none for any other, and why."""
    reason = Why(why)
    return Turned(
        lambda value: {key: values[value]} if value in values else reason,
        f"`{key}`: {_pairs(values)}",
        reason,
    )


def _pairs(values: Mapping[Any, Any]) -> str:
    return ", ".join(
        f"`{mine}`" if mine == ours else f"`{mine}` -> `{ours}`" for mine, ours in values.items()
    )


ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "gelu": "gelu", "swish": "silu"}
NODE_ACTIVATIONS = {**ACTIVATIONS, "leakyrelu": "leaky_relu", "elu": "elu", "sigmoid": "sigmoid"}


def activation(key: str, values: Mapping[str, str] = ACTIVATIONS) -> Turned:
    """The activation of a network; those that run everywhere, or those of a venv's nodes."""
    return some(key, values, f"of the activations here are {', '.join(values.values())}")
