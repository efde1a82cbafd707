"""From what a user of REVIVE writes to dotted keys of ours: a config file, keyword arguments, ranges to search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from revive.config.settings import Settings
from revive.errors import Problem, Problems, UserError, nearest, suggestion
from revive.server.config_file import USUAL, USUAL_RANGES, described, domain
from revive.server.entries import Entry, Section, Why
from revive.server.learners import USUAL_LEARNER, networks, tables
from revive.server.names import ABBREVIATIONS, FEATURES, LAYERS, LEARNERS
from revive.server.venv_learners import READ_AS_USUAL, USUAL_VENV, learner_of, read_as_usual

_ALGORITHMS = ("venv_algo_config", "policy_algo_config")
_ALIASES = {"revive": "revive_p", "revivep": "revive_p", "revive_ppo": "revive_p"}


@dataclass
class Translation:
    """Dotted keys and values, and what has no counterpart: reason -> names.

    became: name -> the keys that it became. usual: names whose values REVIVE writes by default, so that ours count.
    """

    values: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    became: dict[str, list[str]] = field(default_factory=dict)
    usual: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """A sentence for each reason."""
        return [f"{', '.join(names)}: {reason}" for reason, names in self.missing.items()] + self.remarks

    def take(self, other: Translation) -> None:
        """Add what another one found; its values win."""
        self.values |= other.values
        self.became |= other.became
        self.usual += [name for name in other.usual if name not in self.usual]
        for reason, names in other.missing.items():
            self._lacks(Why(reason), *names)
        self.remarks += [remark for remark in other.remarks if remark not in self.remarks]

    def lacks(self, name: str, why: Why) -> None:
        self._lacks(why, name)

    def _lacks(self, why: Why, *names: str) -> None:
        known = self.missing.setdefault(why.reason, [])
        known += [name for name in names if name not in known]


def translate(
    values: Mapping[str, Any],
    place: str = "",
    section: Section | None = None,
    learner: str = USUAL_LEARNER,
    venv: str = USUAL_VENV,
) -> Translation:
    """REVIVE's names and our keys, nested or dotted, to our keys.

    section: whose table counts; None for names that stand for themselves, which mean the same in all of them.
    learner: of the policy. venv: learner of the venv. Raises UserError with every name that is neither REVIVE's nor a
    key of ours.
    """
    found, problems = Translation(), Problems()
    widths = {}
    known = {name: table for name, table in tables(learner, venv).items() if section in (None, name)}
    wide = {name: sizes for name, sizes in networks(learner, venv).items() if section in (None, name)}
    for name, value in sorted(_named(values), key=_rank):
        entries = [table[name] for table in known.values() if name in table]
        if _network(name, wide):
            widths[name] = value
        elif entries:
            _enter(found, name, value, entries, problems)
        elif section is None and _is_ours(name):
            found.values |= _flat(name, value)
        else:
            problems.append(_unknown(name, place, known, section is None))
    problems.raise_if_any()
    if "venv_algo" in found.became and read_as_usual(dict(_named(values))["venv_algo"], venv):
        found.remarks.append(READ_AS_USUAL)
    for sizes in wide.values():
        shapes = _hidden(widths, sizes)
        found.values = {**shapes, **found.values}
        for name in widths:
            key = sizes.get(name.partition("_hidden_")[0])
            found.became[name] = found.became.get(name, []) + ([key] if key in shapes else [])
    return found


def _rank(pair: tuple[str, Any]) -> int:
    """In which order names are read, of which the last one counts where several become one key.

    Those of decision nodes, all others, those that say more than a default of ours, and whatever they said the learner.
    """
    name = pair[0]
    later = {"window_size": 2, "penalty_type": 2, "filter": 2, "venv_algo": 3}
    return later.get(name, 2 if "." in name else int(not name.startswith("policy_")))


def chosen_learner(values: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Who learns the policy: our key `policy` or REVIVE's policy_algo, in keyword arguments or else in the file.

    Raises UserError for a name that no learner has.
    """
    base = described(config.get("base_config") or {}, "base_config")[0]
    for given in (values, config, base):
        for key in ("policy", "policy_algo"):
            name = given.get(key)
            if not isinstance(name, str):
                continue
            if name not in LEARNERS:
                what = f"no learner of policies is called '{name}'"
                raise UserError(Problem(what, place=key, remedy=suggestion(name, LEARNERS)))
            return name
    return USUAL_LEARNER


def chosen_venv(values: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Who learns the venv, as `chosen_learner` says it of the policy."""
    base = described(config.get("base_config") or {}, "base_config")[0]
    offered = config.get("venv_algo_config") or {}
    named = next((g["venv_algo"] for g in (values, config, base) if g.get("venv_algo")), None)
    name = _chosen(named, offered, "revive_p")
    plain, ranges, _ = _wishes(offered[name], f"venv_algo_config.{name}") if name else ({}, {}, [])
    given = dict([*_named(values), *_named(config), *_named(base), *_named(plain), *_named(ranges)])
    return learner_of(values, config, base, given)


def from_config(
    values: Mapping[str, Any],
    algorithms: Mapping[str, str] | None = None,
    learner: str | None = None,
    venv: str | None = None,
) -> Translation:
    """The content of a `revive_config_file_path`: REVIVE's sections, or names and keys as in `translate`.

    algorithms: venv_algo and policy_algo where they are chosen elsewhere; learner: of the policy, None for the one
    that is named here. Raises UserError as `translate` does.
    """
    learner, venv = learner or chosen_learner({}, values), venv or chosen_venv({}, values)
    plain = {key: value for key, value in values.items() if key not in ("base_config", *_ALGORITHMS)}
    found = translate(plain, learner=learner, venv=venv)
    base, _, usual = _wishes(values.get("base_config") or {}, "base_config")
    chosen = {**base, **(algorithms or {})}
    found.usual += usual
    found.take(translate(base, "base_config", learner=learner, venv=venv))
    for key in _ALGORITHMS:
        offered = values.get(key) or {}
        section: Section = "venv" if key.startswith("venv") else "policy"
        name = _chosen(chosen.get(f"{section}_algo"), offered, "revive_p" if section == "venv" else "ppo")
        if name is not None:
            found.take(_algorithm(offered[name], f"{key}.{name}", section, name, learner, venv))
    return found


def _algorithm(
    entries: Any, place: str, section: Section, algorithm: str, learner: str, venv: str
) -> Translation:
    plain, ranges, usual = _wishes(entries, place)
    if algorithm == "bc" and "g_lr" in plain:
        plain["bc_lr"] = plain.pop("g_lr")
    if algorithm == "bc" and "g_lr" in ranges:
        ranges["bc_lr"] = ranges.pop("g_lr")
    found = translate(plain, place, section, learner, venv)
    found.usual += usual
    for name, (mode, bounds) in ranges.items():
        target = tables(learner, venv)[section].get(name)
        if not isinstance(target, str):
            why = (
                target
                if isinstance(target, Why)
                else Why(f"to be searched it must be named: {section}.space")
            )
            found.lacks(name, why)
            continue
        text = domain(mode, bounds)
        key = f"{section}.space.{target.partition('.')[2]}"
        found.values[key] = text
        found.became[name] = [*found.became.get(name, []), f"{key}={text}"]
        if text.startswith("log"):
            found.remarks.append(f"{name}: searched as {text}, evenly over the orders of magnitude")
    return found


def _wishes(entries: Any, place: str) -> tuple[dict[str, Any], dict[str, tuple[str, list[Any]]], list[str]]:
    """Values and ranges that somebody wants, and the names of those that REVIVE writes by itself."""
    plain, ranges = described(entries, place)
    if isinstance(entries, Mapping):
        return plain, ranges, []
    wished = {name: value for name, value in plain.items() if value not in USUAL.get(name, ())}
    ranges = {n: (m, v) for n, (m, v) in ranges.items() if tuple(v) not in USUAL_RANGES.get(n, ())}
    return wished, ranges, [name for name in plain if name not in wished]


def _chosen(named: Any, offered: Mapping[str, Any], usual: str) -> str | None:
    """The algorithm whose parameters count; those of the others are as good as not there."""
    name = _ALIASES.get(str(named).lower(), str(named).lower()) if named else None
    keys = {_ALIASES.get(key, key): key for key in offered}
    if name is None:
        return keys.get(usual) or (next(iter(offered)) if len(offered) == 1 else None)
    return keys.get(name)


def _named(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        for full in ABBREVIATIONS.get(name, (name,)):
            yield full, value


def _enter(found: Translation, name: str, value: Any, entries: list[Entry], problems: Problems) -> None:
    """Note what a name's entries say. One that has a counterpart in one table needs none in the other."""
    reasons: list[Why] = []
    keys: list[str] = []
    for entry in entries:
        try:
            said = (
                entry
                if isinstance(entry, Why)
                else {entry: value}
                if isinstance(entry, str)
                else entry(value)
            )
        except UserError as error:
            problems.extend(error.problems)
            return
        except (TypeError, ValueError):
            problems.add(f"cannot be {value!r}", place=name)
            return
        if isinstance(said, Why):
            reasons.append(said)
        else:
            found.values |= said
            keys += said or ["(as it is here)"]
    found.became[name] = keys
    if len(reasons) == len(entries):
        found.lacks(name, reasons[0])


def _network(name: str, wide: Mapping[Section, Mapping[str, str]]) -> bool:
    who, _, what = name.partition("_hidden_")
    return what in ("features", "layers") and any(who in sizes for sizes in wide.values())


def _hidden(widths: Mapping[str, Any], sizes: Mapping[str, str]) -> dict[str, Any]:
    """The shapes of a section's networks; of several that share a key, the first that a size is given for counts."""
    found: dict[str, Any] = {}
    for who, key in sizes.items():
        features, layers = widths.get(f"{who}_hidden_features"), widths.get(f"{who}_hidden_layers")
        if features is not None or layers is not None:
            found.setdefault(key, [int(features or FEATURES)] * int(layers or LAYERS))
    return found


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in (*Settings.model_fields, "debug")


def _flat(name: str, value: Any) -> dict[str, Any]:
    """Dotted keys of nested values, except where the value itself is a mapping."""
    if not isinstance(value, Mapping) or name in (
        "tuning.initial_state",
        "dataset.description",
        "dataset.table",
    ):
        return {name: value}
    return {
        key: deep for inner, below in value.items() for key, deep in _flat(f"{name}.{inner}", below).items()
    }


def _unknown(name: str, place: str, tables: Mapping[Section, Mapping[str, Entry]], ours: bool) -> Problem:
    known = [other for table in tables.values() for other in table]
    close = nearest(name, [*known, *(Settings.model_fields if ours else ())])
    remedy = f"did you mean '{close}'?" if close else "the names are listed in docs/server.md"
    return Problem(f"there is no parameter '{name}'", place=place or name, remedy=remedy)
