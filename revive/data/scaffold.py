"""A first description of a data file that nobody has described: guesses, all marked as such."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from revive.data.proposal import quoted
from revive.data.readers.container import Container, Info, Part
from revive.data.readers.loading import load_within
from revive.data.readers.opening import open_container
from revive.data.readers.options import ReadOptions
from revive.data.trajectories import FloatArray
from revive.errors import Problem, Problems, UserError, suggestion
from revive.graph.names import name_fault, state_name, transition_name

_ACTIONS: Final = re.compile(
    r"(^|_|\b)(act|action|actions|control|controls|u|cmd|command|input|torque|power)(_?\d+)?($|_|\b)", re.I
)
_NO_NODES: Final = re.compile(
    r"(rew|reward|rewards|done|terminal|terminals|terminations|truncations|timeouts)$", re.I
)
_TIMES: Final = re.compile(r"(time|timestamp|date|datetime|t)$", re.I)
_NAMES: Final = re.compile(r"(traj|trajectory|episode|run|trial)(_?(id|number|no))?$", re.I)
_LEVELS: Final = 10  # whole values up to which a column is taken for a category
_STEPS: Final = 30  # equally spaced values up to which it is taken for a discrete one
_MARGIN: Final = 0.25  # of the range seen, added on both sides of what a state may reach
_ROWS: Final = 200_000  # rows in which different values are counted first


@dataclass(frozen=True)
class Guess:
    """What a data file seems to be.

    description: YAML text of columns and graph. dataset: the options that the file has to be read with,
    by the names of `ReadOptions`.
    """

    description: str
    dataset: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Node:
    name: str
    columns: tuple[str, ...]
    values: FloatArray


def guess_description(path: Path | str) -> str:
    """The YAML text of a description of the data in `path`, its guesses marked in comments.

    Raises UserError where the file cannot be read or holds nothing that could be described.
    """
    return guess(path).description


def guess(path: Path | str, trajectory: str | None = None) -> Guess:
    """The description, and how the file has to be read. Raises UserError as `guess_description` does.

    trajectory: the column of a table that tells trajectories, where its name does not say so.
    """
    path = Path(path)
    with open_container(path) as container:
        dataset = _dataset(container)
        if trajectory is not None:
            if trajectory not in container.infos:
                near = suggestion(trajectory, container.infos)
                raise UserError(Problem(f"there is no column '{trajectory}'", path, "--trajectory", near))
            dataset["trajectory"] = trajectory
        nodes, left_out = _nodes(container, dataset)
        given = {name for name in container.infos if state_name(name) is not None}
        dataset |= _stated(container, nodes)
    if any(node.name == "state" for node in nodes) and any(node.name == "outside" for node in nodes):
        given.add(transition_name("state"))
    if not nodes:
        what = "holds no numbers that could be a state or an action"
        raise UserError(Problem(what, path, remedy="an array for each node, or a column for each quantity"))
    return Guess(_text(path, nodes, _graph(nodes, given, path), left_out), dataset)


def _dataset(container: Container) -> dict[str, Any]:
    if not container.is_table:
        return {}
    found = {}
    for role, pattern in (("trajectory", _NAMES), ("time", _TIMES)):
        names = [name for name in container.infos if pattern.match(name)]
        if role == "time":
            names = [name for name in names if container.infos[name].kind in ("numbers", "dates")]
        if names:
            found[role] = names[0]
    return found


def _stated(container: Container, nodes: Sequence[_Node]) -> dict[str, Any]:
    """What the values themselves say about how they have to be read."""
    found: dict[str, Any] = {}
    if "index" in container.infos and not container.is_table:
        index = load_within(container, {}, {"index": "index"}, ReadOptions(), Problems()).labels.get("index")
        if (
            index is not None
            and index.dtype.kind in "iuf"
            and index.ndim == 1
            and len(index)
            and index[0] == 0
        ):
            found["index"] = "starts"
    if any(np.isnan(node.values).any() for node in nodes):
        found["missing"] = "mask"
    return found


def _nodes(container: Container, dataset: Mapping[str, Any]) -> tuple[list[_Node], list[str]]:
    """The nodes that the file seems to hold, without transitions, and the names of what is none."""
    infos = container.infos
    usable = [name for name in infos if name not in dataset.values() and _is_node(container, name)]
    rows = [infos[name].shape[0] for name in usable]
    usable = [name for name in usable if infos[name].shape[0] == max({*rows}, key=rows.count)]
    later = {name: infos.get(transition_name(name)) for name in usable}
    alike = [name for name, info in later.items() if info is not None and _same_form(info, infos[name])]
    wanted = usable + [transition_name(name) for name in alike]
    problems = Problems()
    plan = {name: (Part(name, 0, infos[name].width),) for name in wanted}
    arrays = load_within(container, plan, {}, ReadOptions(), problems).arrays
    problems.raise_if_any()
    if container.is_table:
        usable = [name for name in usable if not _counts_rows(arrays[name])]
        nodes = _grouped(arrays, usable, {*alike})
    else:
        nodes = [_Node(name, _names(name, infos[name].width), _seen(arrays, name)) for name in usable]
    used = {*usable, *map(transition_name, usable), *dataset.values(), "index"}
    return nodes, [name for name in infos if name not in used]


def _is_node(container: Container, name: str) -> bool:
    """Whether `name` could be a node, or a column of one, and no transition."""
    info = container.infos[name]
    if name == "index" or state_name(name) in container.infos or _NO_NODES.match(name) or not name.strip():
        return False
    nameable = container.is_table or name_fault(name) is None
    return nameable and info.numeric and len(info.shape) in (1, 2) and info.width > 0


def _same_form(one: Info, other: Info) -> bool:
    return (one.numeric, one.shape) == (other.numeric, other.shape)


def _names(node: str, width: int) -> tuple[str, ...]:
    return (node,) if width == 1 else tuple(f"{node}_{number}" for number in range(width))


def _seen(arrays: Mapping[str, FloatArray], name: str) -> FloatArray:
    """The values of `name` and, below them, those that it has one step later."""
    later = arrays.get(transition_name(name))
    values = arrays[name]
    return values if later is None or later.shape[1:] != values.shape[1:] else np.vstack([values, later])


def _counts_rows(values: FloatArray) -> bool:
    return len(values) > 2 and bool(np.all(np.diff(values[:_ROWS, 0]) == 1))


def _grouped(arrays: Mapping[str, FloatArray], names: Sequence[str], followed: set[str]) -> list[_Node]:
    """The columns of a table as nodes: what reads like actions, and states.

    Where some columns have their successors in the table (`followed`), those without come from outside.
    """
    actions = [name for name in names if _ACTIONS.search(name)] or [*names][-1:]
    others = [name for name in names if name not in actions]
    outside = [name for name in others if followed and name not in followed]
    states = [name for name in others if name not in outside]
    groups = {"outside": outside, "state": states, "action": actions}
    return [
        _Node(node, tuple(columns), np.hstack([_seen(arrays, name) for name in columns]))
        for node, columns in groups.items()
        if columns
    ]


def _graph(nodes: Sequence[_Node], given: set[str], path: Path) -> dict[str, list[str]]:
    """Every node that reads like an action decides from all others; all others are states."""
    names = [node.name for node in nodes]
    actions = [name for name in names if _ACTIONS.search(name)] or names[-1:]
    followed = [name for name in names if transition_name(name) in given]
    others = [name for name in names if name not in actions]
    if not others:
        what = f"holds nothing beside {', '.join(actions)}, so there is nothing to decide from"
        raise UserError(Problem(what, path, remedy="add an array or a column of what the controller sees"))
    states = [name for name in others if not followed or name in followed] or others
    graph = dict.fromkeys(actions, others)
    return graph | {transition_name(name): [*others, *actions] for name in states}


def _text(
    path: Path, nodes: Sequence[_Node], graph: Mapping[str, Sequence[str]], left_out: Sequence[str]
) -> str:
    lines = [
        f"# Guessed from {path.name}: read every line, correct it, then delete the word GUESS.",
        "# Types and bounds come from the values that occur; actions keep the range seen, states get",
        f"# {_MARGIN:.0%} of theirs added on both sides, because rollouts are kept inside the bounds.",
    ]
    if left_out:
        shown = ", ".join(name.strip() or "''" for name in left_out[:20]) + (
            f" and {len(left_out) - 20} more" if len(left_out) > 20 else ""
        )
        lines.append(f"# Not described, because it seems to be no node: {' '.join(shown.split())}")
    taken = [node.columns[-1] for node in nodes if node.name == "action" and not _reads_like_action(node)]
    if taken:
        lines.append(f"# GUESS: nothing reads like an action, so the last column is taken for it: {taken[0]}")
    lines += ["metadata:", "  columns:"]
    for node in nodes:
        exact = transition_name(node.name) not in graph
        for number, column in enumerate(node.columns):
            attributes, why = _attributes(node.values[:, number], exact)
            lines.append(
                f"    - {quoted(column)}: {{dim: {quoted(node.name)}, {attributes}}}  # GUESS: {why}"
            )
    lines += ["  graph:  # GUESS: who decides from what, and what follows from what"]
    lines += [f"    {quoted(name)}: [{', '.join(map(quoted, inputs))}]" for name, inputs in graph.items()]
    return "\n".join(lines) + "\n"


def _reads_like_action(node: _Node) -> bool:
    return any(_ACTIONS.search(name) for name in node.columns)


def _attributes(values: FloatArray, exact: bool) -> tuple[str, str]:
    """Type and bounds of a column as YAML, and what they were guessed from."""
    known = values[np.isfinite(values)]
    if not len(known):
        return "type: continuous", "no value at all"
    levels = np.unique(known[:_ROWS])
    if len(levels) <= _STEPS or len(known) <= _ROWS:
        levels = np.unique(known)
    if len(levels) <= min(_LEVELS, len(known) // 4) and np.all(levels == np.round(levels)):
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
    if not np.isfinite([low - margin, high + margin, high - low]).all():
        return "type: continuous", f"{low:.4g} to {high:.4g} occur"
    bounds = f"min: {_short(low - margin, margin)}, max: {_short(high + margin, margin)}"
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
