"""What each column or array of an undescribed data file is for, as far as names and values tell, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from revive.data import companions
from revive.data.clocks import clock_among, counts_rows
from revive.data.readers.container import AND, TRAJECTORY, Container, Part
from revive.data.readers.loading import load_within
from revive.data.readers.options import ReadOptions
from revive.data.roles import Role, actions_among, is_setpoint, likely_last, role_by_name, tokens
from revive.data.run_marks import NO_NODE, TOLD, Marks
from revive.data.sentinels import sentinels
from revive.data.trajectories import FloatArray
from revive.errors import Problems, suggestion
from revive.graph.names import name_fault, state_name, transition_name

_log = logging.getLogger("revive")
LAST: Final = "nothing reads like an action, so the last column that could be one is taken for it"
LEFT: Final = "what is left"
BY_NAME: Final = "its name"


@dataclass(frozen=True)
class Wishes:
    """What the user said that columns are; None where nothing was said."""

    action: Sequence[str] | None = None
    state: Sequence[str] | None = None
    exogenous: Sequence[str] | None = None
    time: str | None = None
    trajectory: Sequence[str] | None = None

    def named(self) -> Iterator[tuple[str, str]]:
        """The flag and the name of every column that is named."""
        for flag in ("action", "state", "exogenous", "time", "trajectory"):
            value = getattr(self, flag)
            for name in [value] if isinstance(value, str) else value or ():
                yield flag, name


@dataclass
class Survey:
    """roles: name -> what it is for and why; dataset: the options to read the file with; arrays: name -> (N, d)."""

    roles: dict[str, tuple[str, str]] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, FloatArray] = field(default_factory=dict)

    def of(self, role: str) -> list[str]:
        """The names that are for `role`, in the order of the file."""
        return [name for name in self.arrays if self.roles.get(name, ("",))[0] == role]


def survey(container: Container, wishes: Wishes) -> Survey:
    """Finds out what everything in `container` is for. Raises UserError where a wish names nothing in it."""
    problems = Problems()
    for flag, name in wishes.named():
        if name not in container.infos:
            near = suggestion(name, container.infos)
            problems.add(f"there is no column '{name}'", file=container.name, place=f"--{flag}", remedy=near)
    problems.raise_if_any()
    return _Surveyor(container, wishes).done()


class _Surveyor:
    def __init__(self, container: Container, wishes: Wishes) -> None:
        self._container, self._wishes = container, wishes
        self._infos = container.infos
        self._found = Survey()
        self._named = {name: flag for flag, name in wishes.named()}

    def done(self) -> Survey:
        found, infos = self._found, self._infos
        usable = [name for name in infos if self._is_usable(name)]
        rows = [infos[name].shape[0] for name in usable]
        usual = max({*rows}, key=rows.count, default=0)
        usable = [name for name in usable if infos[name].shape[0] == usual]
        companions.refuse_several_units(self._container)
        found.arrays = self._load(usable)
        self._mark_sentinels(usable)
        self._mark_names()
        self._mark_times()
        self._mark_values(usable)
        marks = Marks(
            self._container, self._wishes.trajectory, found.roles, found.arrays, found.dataset, self._named
        )
        marks.find()
        nodes = [name for name in usable if name not in found.roles]
        if time := found.dataset.get("time"):
            companions.refuse_events(self._container, found.arrays, nodes, time)
        companions.refuse_blank_amounts(self._container, found.arrays, nodes)
        free = [name for name in nodes if name not in self._named]
        judged = companions.qualities(self._container, found.arrays, free)
        found.roles.update({name: (NO_NODE, why) for name, why in judged.items()})
        nodes = [name for name in nodes if name not in judged]
        self._mark_nodes(nodes)
        found.arrays = {name: self._seen(name) for name in usable}
        nodes = [name for name in usable if found.roles[name][0] in _NODES]
        self._pin_words(nodes)
        if any(np.isnan(found.arrays[name]).any() for name in nodes):
            found.dataset["missing"] = "mask"
        return found

    def _is_usable(self, name: str) -> bool:
        """Whether `name` could be a node, or a column of one, and no transition."""
        info = self._infos[name]
        if name == "index" or state_name(name) in self._infos or not name.strip():
            return False
        nameable = self._container.is_table or name_fault(name) is None
        return nameable and info.numeric and len(info.shape) in (1, 2) and info.width > 0

    def _load(self, usable: Sequence[str]) -> dict[str, FloatArray]:
        infos, problems = self._infos, Problems()
        later = [transition_name(name) for name in usable if self._is_followed(name)]
        plan = {name: (Part(name, 0, infos[name].width),) for name in [*usable, *later]}
        arrays = load_within(self._container, plan, {}, ReadOptions(), problems).arrays
        problems.raise_if_any()
        return arrays

    def _is_followed(self, name: str) -> bool:
        """Whether the file holds the successors of `name` as well."""
        after = self._infos.get(transition_name(name))
        return after is not None and (after.numeric, after.shape) == (
            self._infos[name].numeric,
            self._infos[name].shape,
        )

    def _seen(self, name: str) -> FloatArray:
        """The values of `name` and, below them, those that it has one step later."""
        later = self._found.arrays.get(transition_name(name))
        values = self._found.arrays[name]
        return values if later is None or later.shape[1:] != values.shape[1:] else np.vstack([values, later])

    def _mark_sentinels(self, usable: Sequence[str]) -> None:
        """Takes numbers that stand for "no value" out of the arrays, and says so."""
        taken: dict[str, list[float]] = {}
        for name in usable:
            array = self._found.arrays[name]
            for number in range(array.shape[1]):
                for sentinel in sentinels(array[:, number], leaps=bool(actions_among([name]))):
                    taken.setdefault(name, []).append(sentinel.value)
                    self._found.arrays[name] = array = np.where(array == sentinel.value, np.nan, array)
                    rows = f"row {sentinel.first}" if sentinel.count == 1 else f"{sentinel.count} rows"
                    said = "%s: '%s' is %g in %s, far from all else: taken for 'no value' (dataset.missing_values)"
                    _log.warning(said, self._container.name, name, sentinel.value, rows)
        if taken:
            self._found.dataset["missing_values"] = {n: sorted({*values}) for n, values in taken.items()}

    def _pin_words(self, names: Sequence[str]) -> None:
        """Keeps the numbers that stand for words, so that another file is read with the same ones."""
        infos = self._infos
        codes = {name: [*infos[name].words] for name in names if infos[name].holds == "states"}
        if codes:
            self._found.dataset["table"] = {"codes": codes}

    def _mark_names(self) -> None:
        roles = self._found.roles
        said = {Role.REWARD: "a reward", Role.LABEL: "a label"}
        for name in self._infos:
            role = role_by_name(name)
            if role in said and name not in self._named:
                roles[name] = (NO_NODE, said[role])

    def _mark_times(self) -> None:
        """Finds the column of times: as told, else by its name, else the only one of dates."""
        found, wish = self._found, self._wishes.time
        if wish is not None:
            found.roles[wish], found.dataset["time"] = (Role.TIME, TOLD), wish
            return
        if not self._container.is_table:
            self._mark_array_of_times()
            return
        free = [name for name in self._infos if name not in self._named and name not in found.roles]
        named = [name for name in free if role_by_name(name) is Role.TIME and self._could_be_time(name)]
        dated = [name for name in free if self._infos[name].kind == "dates"]
        if named or dated:
            choice = [*dict.fromkeys([*named, *dated])]
            seen = self._different(choice) if len(choice) > 1 else {}
            # a date with its time of day before one without, and that before a time of day alone; what stands still
            # (when a query began, when a record was made) behind what moves
            name = min(choice, key=lambda name: (not seen.get(name, True), *self._doubts(name)))
            why = "its name" if name in named else "it holds dates"
            found.roles[name], found.dataset["time"] = (Role.TIME, why), name
            for part in name.split(AND):
                if part != name and self._infos[part].numeric:
                    found.roles[part] = (NO_NODE, "a part of the time")
            companions.refuse_own_times(self._container, name)
        else:
            companions.refuse_unread_times(self._container)
            if told := clock_among(free, found.arrays):
                found.roles[told[0]], found.dataset["time"] = (Role.TIME, told[1]), told[0]

    def _mark_array_of_times(self) -> None:
        """Among arrays, the one of dates, or the one that is called so, and rises."""
        found = self._found
        for name, info in self._infos.items():
            if info.kind == "dates" and info.width == 1 and name not in self._named:
                found.roles[name], found.dataset["time"] = (Role.TIME, "it holds dates"), name
                return
        for name in found.arrays:
            if role_by_name(name) is not Role.TIME or name in self._named or self._infos[name].width > 1:
                continue
            steps = np.diff(found.arrays[name][:, 0])
            if (steps >= 0).all() and (steps > 0).any() and "time" not in found.dataset:
                found.roles[name], found.dataset["time"] = (Role.TIME, "its name"), name

    def _doubts(self, name: str) -> tuple[int, bool, bool]:
        """What speaks against a column of times: parts of them, numbers among dates, a clock that is put back."""
        info = self._infos[name]
        return _PARTIAL.index(self._holds(name)), info.kind != "dates", "utc" not in tokens(name)

    def _different(self, names: Sequence[str]) -> dict[str, bool]:
        """Name -> whether there are different times in it."""
        labels = {f"{TRAJECTORY}:{name}": name for name in names}
        loaded = load_within(self._container, {}, labels, ReadOptions(), Problems()).labels
        return {name: len(np.unique(loaded[role])) > 1 for role, name in labels.items() if role in loaded}

    def _holds(self, name: str) -> str:
        holds = self._infos[name].holds
        return holds if holds in _PARTIAL else ""

    def _could_be_time(self, name: str) -> bool:
        """Dates, or numbers that rise nearly everywhere."""
        if self._infos[name].kind != "numbers":
            return self._infos[name].kind == "dates"
        if name not in self._found.arrays:
            return False
        steps = np.diff(self._found.arrays[name][:, 0])
        return not len(steps) or bool((steps >= 0).mean() >= 0.7) or bool((steps <= 0).all())

    def _mark_values(self, usable: Sequence[str]) -> None:
        """What never varies, or counts the rows, is no node."""
        found = self._found
        for name in usable:
            values = found.arrays[name]
            if name in found.roles or name in self._named or values.shape[1] != 1 or len(values) < 3:
                continue
            known = values[~np.isnan(values)]
            if not len(known):
                found.roles[name] = (NO_NODE, "no value in any row")
            elif counts_rows(values):
                found.roles[name] = (NO_NODE, "it counts the rows")
            elif (known == known[0]).all() and not self._is_followed(name):
                where = "in all rows" if len(known) == len(values) else "wherever it has a value"
                found.roles[name] = (NO_NODE, f"{known[0]:g} {where}")

    def _mark_nodes(self, names: list[str]) -> None:
        """Tells actions, states and what comes from outside, among the names that are left."""
        roles, wishes = self._found.roles, self._wishes
        told = {
            **dict.fromkeys(wishes.state or (), Role.STATE),
            **dict.fromkeys(wishes.exogenous or (), Role.OUTSIDE),
        }
        told |= dict.fromkeys(wishes.action or (), Role.ACTION)
        for name, role in told.items():
            roles[name] = (role, TOLD)
        names = [name for name in names if name not in told]
        sets = actions_among(names)
        if wishes.action is None:
            acting = dict(sets)
            if not acting and names:
                filled = [name for name in names if np.isnan(self._found.arrays[name]).mean() < 0.5]
                acting = {likely_last(filled or names): LAST}
            roles.update({name: (Role.ACTION, why) for name, why in acting.items()})
        names = [name for name in names if name not in roles]
        followed = any(self._is_followed(name) for name in self._infos if self._is_usable(name))
        for name in names:
            roles[name] = self._driven(name, name in sets, followed)
        if not any(roles[name][0] == Role.STATE for name in self._found.arrays if name in roles):
            for name in [name for name in names if roles[name][0] == Role.OUTSIDE]:
                roles[name] = (Role.STATE, "nothing else could be a state")

    def _driven(self, name: str, sets: bool, followed: bool) -> tuple[str, str]:
        """State, exogenous or neither, for what is no action."""
        wishes = self._wishes
        if sets:
            return Role.OUTSIDE, "reads like an actuator, but is not the action"
        if followed and not self._is_followed(name):
            return Role.OUTSIDE, f"others have a '{transition_name('...')}', it has none"
        if (
            not followed
            and wishes.exogenous is None
            and (role_by_name(name) is Role.OUTSIDE or is_setpoint(name))
        ):
            why = "a set point by its name" if is_setpoint(name) else BY_NAME
            return Role.OUTSIDE, why
        if wishes.state is not None:
            return NO_NODE, "not named as a state"
        return Role.STATE, LEFT


_PARTIAL: Final = ("", "days", "times of day")
_NODES: Final = (Role.STATE, Role.ACTION, Role.OUTSIDE)
