"""How much memory a config asks for, as far as it can be told before any data is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from revive.data.machine import machine_memory, shown
from revive.errors import Problem

_PER_WEIGHT: Final = 16  # bytes: itself, its gradient, two moments of Adam
_PER_VALUE: Final = 4
_LARGEST_WHOLE: Final = 10**9  # of an argument of a learner


def memory_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """What no memory holds; `values` are those of a checked config."""
    limit = machine_memory()
    for place, needed, why in _demands(values):
        if needed > limit:
            what = f"takes {shown(needed)} of memory ({why}), this machine has {shown(limit)}"
            yield Problem(what, place=place, remedy="choose smaller numbers")
    for section in ("venv", "policy"):
        for place, number in _whole(values[section]["learner"], f"{section}.learner"):
            if abs(number) > _LARGEST_WHOLE:
                yield Problem(
                    f"is {number}, more than the {_LARGEST_WHOLE} that can be counted to", place=place
                )


def _demands(values: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """Place, bytes, and what they are needed for."""
    venv, policy, tuning = values["venv"], values["policy"], values["tuning"]
    members = 2 * venv["members"]
    yield "venv.network.hidden", _network(venv["network"], members), f"{members} members of both halves"
    yield "policy.network.hidden", _network(policy["network"], 2), "one network for each half"
    starts, horizon = 2 * policy["evaluation"]["starts"], policy["evaluation"]["horizon"]  # of both halves
    needed = _PER_VALUE * starts * horizon * 2 * venv["keep"]
    yield "policy.evaluation", needed, f"{starts} starts, {horizon} steps, {2 * venv['keep']} members"
    truth = policy["truth"]
    yield (
        "policy.truth",
        8 * truth["episodes"] * truth["steps"],
        f"{truth['episodes']} x {truth['steps']} rewards",
    )
    needed = _PER_VALUE * 2 * max(tuning["starts"], tuning["confirm"]) * tuning["horizon"]
    yield "tuning", needed, f"{max(tuning['starts'], tuning['confirm'])} starts, {tuning['horizon']} steps"
    yield "policy.clone.batch", _PER_VALUE * policy["clone"]["batch"], "one column of one batch"


def _network(network: Mapping[str, Any], copies: int) -> int:
    hidden = network["hidden"] or []
    return _PER_WEIGHT * copies * (sum(hidden) + sum(a * b for a, b in pairwise(hidden)))


def _whole(values: Any, place: str) -> Iterator[tuple[str, int]]:
    if isinstance(values, int) and not isinstance(values, bool):
        yield place, values
    inner = (
        values.items()
        if isinstance(values, Mapping)
        else enumerate(values)
        if isinstance(values, list)
        else ()
    )
    for key, value in inner:
        yield from _whole(value, f"{place}.{key}")
