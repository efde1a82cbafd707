"""A search space beside a learner's config: keys of its section, each with the values it may take."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from revive.config.instantiate import check_arguments
from revive.config.keys import dotted_keys, unknown_key
from revive.config.settings import Settings
from revive.errors import Problem, Problems, UserError
from revive.search.domains import Domain, parse

Section = Literal["venv", "policy"]
Space = dict[str, Domain]
"""Key below the section, such as `learner.lr` -> its values."""

_YARDSTICK = (
    "mode",
    "space",
    "target",
    "user_module",
    "rules",
    "evaluation",
    "truth",
    "learner.curriculum",
    "learner.block",
    "learner.held_out",
    "learner.rule_weight",
)
"""What a search must leave alone: with other values of these, two trials would not be comparable."""


def read_space(settings: Settings, section: Section) -> Space:
    """Parse `<section>.space` and try every bound of it against the composed config.

    Raises UserError with everything that is wrong.
    """
    values = settings.as_dict()[section]
    written = dict(_leaves(values.pop("space")))
    problems, space = Problems(), {}
    if not written:
        problems.add(
            "nothing to search", place=f"{section}.space", remedy='add such as learner.lr: "uniform(..)"'
        )
    for key, text in written.items():
        place = f"{section}.space.{key}"
        wrong = _key_problem(values, key, place)
        if wrong is not None:
            problems.append(wrong)
            continue
        try:
            space[key] = parse(text, place)
            _try_edges(settings, section, key, space[key])
        except UserError as error:
            problems.extend(replace(problem, place=place) for problem in error.problems)
    problems.raise_if_any()
    return space


def with_values(settings: Settings, section: Section, params: Mapping[str, Any], seed: int) -> Settings:
    """The settings of a trial. Raises UserError where a value is of the wrong kind."""
    values = settings.as_dict()
    for key, value in params.items():
        *parents, last = key.split(".")
        below = values[section]
        for parent in parents:
            below = below[parent]
        below[last] = copy.deepcopy(value)
    values["seed"] = seed % 2**32
    return Settings.check(values)


def _key_problem(values: Mapping[str, Any], key: str, place: str) -> Problem | None:
    constructor = key.rpartition(".")[2] in ("_target_", "_partial_")
    if constructor or any(key == fixed or key.startswith(f"{fixed}.") for fixed in _YARDSTICK):
        what = "cannot be searched: it changes what trials are compared by"
        return Problem(what, place=place, remedy="set it for all trials, as a key of its own")
    known = list(dotted_keys(values))
    if key not in known:
        found = unknown_key(key, [name for name in known if not name.startswith(_YARDSTICK)])
        return replace(found, place=place)
    if any(name.startswith(f"{key}.") for name in known):
        return Problem("is a whole section", place=place, remedy="search the keys in it")
    return None


def _try_edges(settings: Settings, section: Section, key: str, domain: Domain) -> None:
    for value in domain.edges:
        tried = with_values(settings, section, {key: value}, settings.seed)
        if key.startswith("learner."):
            learner = getattr(tried, section).learner
            check_arguments(learner, f"{section}.learner", trusted=settings.trust.targets).raise_if_any()


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested or dotted keys, flat; a key without a value is left out."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
