"""A first description of a data file that nobody has described: guesses, all marked as such."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from revive.data.episode_arrays import refuse_layout
from revive.data.long_format import refuse_long_format
from revive.data.proposal import quoted
from revive.data.readers.container import Container, Info
from revive.data.readers.frames import FRAME, is_frame
from revive.data.readers.opening import open_container
from revive.data.readers.options import ReadOptions
from revive.data.readers.words import unit_in_name
from revive.data.roles import PERCENT, Role, is_amount, is_code
from revive.data.run_marks import NO_NODE, TOLD
from revive.data.survey import BY_NAME, LAST, LEFT, Survey, Wishes, survey
from revive.data.trajectories import FloatArray
from revive.errors import Problem, UserError, first_few
from revive.graph.names import state_name, transition_name

_LEVELS: Final = 10  # whole values up to which a column is taken for a category
_STEPS: Final = 30  # equally spaced values up to which it is taken for a discrete one
_MARGIN: Final = 0.25  # of the range seen, added on both sides of what a state may reach
_LONGEST_UNIT: Final = 20  # characters
_ROWS: Final = 200_000  # rows in which different values are counted first


@dataclass(frozen=True)
class Guess:
    """What a data file seems to be.

    description: YAML text of columns and graph. dataset: the options that the file has to be read with,
    by the names of `ReadOptions`. taken: role, names and why, for all that the file holds.
    """

    description: str
    dataset: Mapping[str, Any] = field(default_factory=dict)
    taken: Sequence[tuple[str, Sequence[str], str]] = ()

    def doubts(self) -> Iterator[str]:
        """How the user can say it better, where a column was taken for something by a weak reason alone."""
        if any(why in _WEAK for role, _, why in self.taken if role == Role.ACTION):
            yield "if something else is what the operator or a controller sets: --action COLUMN,COLUMN"
        told = any(why == TOLD for role, _, why in self.taken if role in (Role.OUTSIDE, Role.STATE))
        if not told and any(why in (LEFT, BY_NAME) for role, _, why in self.taken if role in _NODES):
            yield "what comes from outside (weather, load, who is on duty) is no state: --exogenous COLUMN,COLUMN"


@dataclass(frozen=True)
class _Node:
    name: str
    role: str
    columns: tuple[str, ...]
    values: FloatArray
    why: tuple[str, ...]
    units: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]


def guess(data: Any, wishes: Wishes | None = None, table: Mapping[str, Any] | None = None) -> Guess:
    """The YAML text of a description of `data` (a file, a folder, a frame), its guesses marked, and how it is read.

    Raises UserError where the file cannot be read or holds nothing that could be described.
    wishes: what the user said that columns are. table: what the user said about how a text table is written, by the
    names of `TableOptions`.
    """
    path = FRAME if is_frame(data) else Path(data)
    with open_container(data, ReadOptions(table=table).layout) as container:
        refuse_layout(container, path)
        refuse_long_format(container, path)
        found = survey(container, wishes or Wishes())
        if table:
            found.dataset["table"] = {**table, **found.dataset.get("table", {})}
        nodes = _nodes(container, found)
        given = {name for name in container.infos if state_name(name) is not None}
        rest = [
            name
            for name in container.infos
            if name not in found.roles and name not in given and name != "index"
        ]
        why = {name: _unused(container.infos[name], container.is_table) for name in rest}
    if any(node.role == Role.STATE for node in nodes) and any(node.name == "outside" for node in nodes):
        given.add(transition_name("state"))
    if not nodes:
        what = f"holds no numbers that could be a state or an action{_seen(why)}"
        raise UserError(Problem(what, path, remedy="an array for each node, or a column for each quantity"))
    left_out = {name: why for name, (role, why) in found.roles.items() if role not in _NODES} | why
    graph = _graph(nodes, path, _seen(why))
    return Guess(_text(path, nodes, graph, left_out), found.dataset, _taken(found, why))


_NODES: Final = (Role.ACTION, Role.STATE, Role.OUTSIDE)
_WEAK: Final = (LAST, PERCENT)  # reasons to take a column for an action that are hardly any


def _unused(info: Info, column: bool) -> str:
    if not info.numeric:
        return f"it holds {info.holds}"
    if not column:
        return f"its shape is {info.shape}"
    return "it is blank, or of another shape than the others"


def _seen(rest: Mapping[str, str]) -> str:
    """What is of no use and why, for a message that nothing is left."""
    shown = [f"{name!r}: {why}" for name, why in rest.items()][:3]
    return f" ({'; '.join(shown)})" if shown else ""


def _taken(found: Survey, rest: Mapping[str, str]) -> list[tuple[str, list[str], str]]:
    """What was taken for what, in the order of importance; names with the same reason together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, role in found.roles.items():
        groups.setdefault(role, []).append(name)
    for name, why in rest.items():
        groups.setdefault((NO_NODE, why), []).append(name)
    order = [*_NODES, Role.TIME, Role.TRAJECTORY, Role.DONE, NO_NODE]
    listed = sorted(groups, key=lambda group: order.index(group[0]) if group[0] in order else len(order))
    return [(role, groups[role, why], why) for role, why in listed]


def _nodes(container: Container, found: Survey) -> list[_Node]:
    """The nodes of the description: one for each array, or one for each role of the columns of a table."""
    roles, arrays = found.roles, found.arrays
    if not container.is_table:
        return [
            _Node(
                name,
                roles[name][0],
                _names(name, arrays[name].shape[1]),
                arrays[name],
                (roles[name][1],) * arrays[name].shape[1],
                (_unit(name, container),) * arrays[name].shape[1],
                (container.infos[name].words,) * arrays[name].shape[1],
            )
            for name in arrays
            if roles[name][0] in _NODES
        ]
    groups = {"outside": Role.OUTSIDE, "state": Role.STATE, "action": Role.ACTION}
    nodes = []
    for node, role in groups.items():
        if columns := found.of(role):
            values = np.hstack([arrays[name] for name in columns])
            why = tuple(roles[name][1] for name in columns)
            units = tuple(_unit(name, container) for name in columns)
            words = tuple(container.infos[name].words for name in columns)
            nodes.append(_Node(node, role, tuple(columns), values, why, units, words))
    return nodes


def _unit(name: str, container: Container) -> str:
    """The unit that the file or the name tells, without brackets; empty where there is none."""
    info = container.infos[name]
    told = "" if info.words else (info.unit or unit_in_name(name))
    told = " ".join(told.strip().strip("[](){}").split())
    return told if len(told) <= _LONGEST_UNIT and any(c.isalpha() or c in "%°€$℃℉Ω" for c in told) else ""


def _names(node: str, width: int) -> tuple[str, ...]:
    return (node,) if width == 1 else tuple(f"{node}_{number}" for number in range(width))


def _graph(nodes: Sequence[_Node], path: Path, rest: str) -> dict[str, list[str]]:
    """Every action is decided from all others; every state follows from all."""
    actions = [node.name for node in nodes if node.role == Role.ACTION]
    others = [node.name for node in nodes if node.role != Role.ACTION]
    if not others:
        what = f"holds nothing beside {', '.join(actions)} to decide from{rest}"
        remedy = "add an array or a column of what the controller sees: numbers, a row for each time step"
        raise UserError(Problem(what, path, remedy=remedy))
    states = [node.name for node in nodes if node.role == Role.STATE]
    graph = dict.fromkeys(actions, others)
    return graph | {transition_name(name): [*others, *actions] for name in states}


def _text(
    path: Path, nodes: Sequence[_Node], graph: Mapping[str, Sequence[str]], left_out: Mapping[str, str]
) -> str:
    lines = [
        f"# Guessed from {path.name}: read every line, correct it, then delete the word GUESS.",
        "# Types and bounds come from the values that occur; actions keep the range seen, states get",
        f"# {_MARGIN:.0%} of theirs added on both sides, because rollouts are kept inside the bounds.",
    ]
    if left_out:
        told = first_few([f"{name.strip() or repr(name)} ({why})" for name, why in left_out.items()], 20)
        lines.append(f"# Not described, because it seems to be no node: {' '.join(told.split())}")
    taken = [node for node in nodes if node.role == Role.ACTION and LAST in node.why]
    if taken:
        lines.append(f"# GUESS: {LAST}: {taken[0].columns[-1]}")
    lines += ["metadata:", "  columns:"]
    for node in nodes:
        lines += [
            _column_line(node, number, transition_name(node.name) not in graph)
            for number in range(len(node.columns))
        ]
    lines += ["  graph:  # GUESS: who decides from what, and what follows from what"]
    lines += [f"    {quoted(name)}: [{', '.join(map(quoted, inputs))}]" for name, inputs in graph.items()]
    return "\n".join(lines) + "\n"


def _column_line(node: _Node, number: int, exact: bool) -> str:
    """The line of a column. What the user said of it is no guess, but limits that were read off the logs still are."""
    unit, why = node.units[number], node.why[number]
    values, name = node.values[:, number], node.columns[number]
    attributes, occurs = _attributes(
        values, exact, node.role != Role.OUTSIDE, is_code(name), is_amount(name, unit)
    )
    if words := node.words[number]:
        occurs = ", ".join(f"{value} is {word}" for value, word in enumerate(words))
    attributes += f", units: {quoted(unit)}" if unit else ""
    line = f"    - {quoted(node.columns[number])}: {{dim: {quoted(node.name)}, {attributes}}}"
    limited = " GUESS: the limits;" if "min:" in attributes else ""
    said = (
        f"{node.role}, as you said;{limited} {occurs}"
        if why == TOLD
        else f"GUESS: {node.role} ({why}), {occurs}"
    )
    return f"{line}  # {' '.join(said.split())}"


def _attributes(
    values: FloatArray, exact: bool, bounded: bool, code: bool = False, amount: bool = False
) -> tuple[str, str]:
    """Type and bounds of a column as YAML, and what they were guessed from.

    bounded: whether it has legal limits; the weather has none, and a limit is hard where the policy acts.
    code: whether its numbers stand for states. amount: whether there is less than nothing of it.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return "type: continuous", "no value at all"
    levels = np.unique(known[:_ROWS])
    if len(levels) <= _STEPS or len(known) <= _ROWS:
        levels = np.unique(known)
    coded = (
        len(levels) == 2 or np.ptp(levels) == len(levels) - 1 or code
    )  # 0, 1, 2, ... and not 0, 25, 50, 100
    if len(levels) <= min(_LEVELS, len(known) // 4) and np.all(levels == np.round(levels)) and coded:
        shown = ", ".join(_number(value) for value in levels)
        return f"type: category, values: [{shown}]", f"{len(levels)} whole values occur"
    steps = np.diff(levels)
    low, high = float(known.min()), float(known.max())
    if 2 < len(levels) <= min(_STEPS, len(known) // 4) and np.ptp(steps) <= 1e-6 * steps.mean():
        bounds = f"min: {_number(low)}, max: {_number(high)}, num: {len(levels)}"
        return f"type: discrete, {bounds}", f"{len(levels)} equally spaced values occur"
    if low == high:
        return "type: continuous", f"{low:g} in all rows"
    margin = 0.0 if exact else _MARGIN * (high - low)
    if not bounded or not np.isfinite([low - margin, high + margin, high - low]).all():
        return "type: continuous", f"{low:.4g} to {high:.4g} occur"
    least = low - margin
    if amount and low >= 0:  # a venv that leads below nothing is wrong
        least = max(least, 0.0)
    bounds = f"min: {_short(least, margin)}, max: {_short(high + margin, margin)}"
    return f"type: continuous, {bounds}", f"{low:.4g} to {high:.4g} occur"


def _short(bound: float, margin: float) -> str:
    """A bound with few digits where there is a margin to round in, else exactly."""
    return _number(round(bound, -math.floor(math.log10(margin))) if margin > 0 else bound)


def _number(value: float) -> str:
    """YAML reads this back as exactly the same number."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    text = repr(float(value))
    mantissa, mark, exponent = text.partition("e")
    return text if not mark else f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+d}"
