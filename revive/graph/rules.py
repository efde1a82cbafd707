"""What can be wrong with a description beside its graph: options, functions and lists that contradict it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from revive.graph.columns import Column
from revive.graph.declaration import Declaration, NodeOptions
from revive.graph.names import (
    DONE,
    STEP,
    TRAJECTORY,
    change_name,
    history_name,
    state_name,
    transition_name,
)
from revive.graph.nodes import CodeRef
from revive.graph.structure import Fault, Section, choices

_WIDEST: Final = 100_000
_OF_COMPUTED: Final = ("step_input", "traj_id", "history", "freeze", "loss_type", "effects")
_OF_DESCRIBED: Final = ("ts", "ts_length", "circle")
_OF_LEARNED: Final = ("freeze", "loss_type", "effects")
_OF_INPUTS: Final = ("step_input", "traj_id", "history")


def declaration_faults(said: Declaration) -> Iterator[Fault]:
    """Everything wrong with `said` beside the structure of its graph."""
    for node, option in said.options.items():
        yield from _option_faults(said, node, option)
    yield from _code_faults(said, "expert_functions", said.functions)
    yield from _code_faults(said, "custom_nodes", said.custom)
    yield from _principles_faults(said)
    yield from _automatic_faults(said)
    yield from _history_faults(said)
    yield from _list_faults(said)
    yield from _circle_faults(said)


def _option_faults(said: Declaration, node: str, option: NodeOptions) -> Iterator[Fault]:
    known = said.names
    if node not in known:
        what = f"options are given for '{node}', but there is no such node"
        yield Fault(what, node, "nodes", remedy=choices(node, known), tentative=True)
        return
    for key in option.given:
        fault = _misplaced(said, node, key)
        if fault is not None:
            yield Fault(fault[0], node, "nodes", key=key, remedy=fault[1])
    if option.traj_id and TRAJECTORY in said.columns:
        what = f"'traj_id' makes the node '{TRAJECTORY}', but columns describe one of this name"
        yield Fault(what, node, "nodes", key="traj_id", remedy="keep one of the two")
    if option.ts_length is not None and option.ts_length > (option.ts or 0):
        what = f"'ts_length' {option.ts_length} is more than the {option.ts or 0} steps of 'ts'"
        remedy = "ts counts the steps back, ts_length takes that many of them, the oldest"
        yield Fault(what, node, "nodes", key="ts_length", remedy=remedy)
    yield from _size_faults(said, node, option)
    if not option.data and node not in said.inputs and "data" in option.given:
        what = f"'{node}' has no data, but nothing computes it either"
        yield Fault(what, node, "nodes", key="data", remedy=f"log it, or add '{node}: [inputs]' to graph")


def _size_faults(said: Declaration, node: str, option: NodeOptions) -> Iterator[Fault]:
    widest = max((len(said.columns_of(source)) for source in said.inputs.get(node, ())), default=0)
    for key, length, width in (
        ("ts", option.ts or 0, len(said.columns.get(node, ()))),
        ("history", option.history or 0, widest),
    ):
        if length * width > _WIDEST:
            what = f"'{key}' {length} of {width} columns makes a history of {length * width} columns"
            yield Fault(what, node, "nodes", key=key, remedy=f"at most {_WIDEST} columns: shorten it")


def _misplaced(said: Declaration, node: str, key: str) -> tuple[str, str] | None:
    """Why the option `key` says nothing about `node`, and what to do; None where it does."""
    if key in _OF_DESCRIBED and node not in said.columns:
        base = said.history_like(state_name(node) or node) or state_name(node)
        home = base if base in said.columns else None
        remedy = f"write it under '{home}'" if home else "write it under a node that columns describe"
        return f"'{key}' belongs to the node that columns describe, not to '{node}'", remedy
    if key in _OF_COMPUTED and node not in said.inputs:
        remedy = "remove it"
        if transition_name(node) in said.inputs:
            remedy = f"write it under '{transition_name(node)}'"
        return f"nothing computes '{node}', so '{key}' says nothing about it", remedy
    automatic = said.is_push(node) or said.is_sum(node) or said.is_count(node)
    if automatic and key in (*_OF_LEARNED, *_OF_INPUTS):
        return f"'{node}' follows from its inputs by itself, so '{key}' says nothing about it", "remove it"
    if node in said.functions and key in _OF_LEARNED:
        return f"the function of '{node}' is given, so '{key}' says nothing about it", "remove it"
    return None


def _code_faults(said: Declaration, section: Section, code: Mapping[str, CodeRef]) -> Iterator[Fault]:
    for node in code:
        if node not in said.inputs:
            what = f"'{node}' stands under {section}, but not in graph, so it has no inputs"
            yield Fault(what, node, section, remedy=choices(node, said.inputs), tentative=True)
        if section == "custom_nodes" and (node in said.functions or node in said.principles):
            yield Fault(
                f"'{node}' has a function as well as a custom network", node, section, remedy="keep one"
            )


def _principles_faults(said: Declaration) -> Iterator[Fault]:
    """Faults of functions whose node is learned, beside those of all code."""
    section: Section = "expert_functions"
    yield from _code_faults(said, section, {node: own.code for node, own in said.principles.items()})
    for node, own in said.principles.items():
        inputs = said.inputs.get(node, ())
        for name in own.residual or ():
            if name not in inputs and node in said.inputs:
                what = f"the residual of '{node}' sees '{name}', which is no input of it"
                yield Fault(what, node, section, remedy=choices(name, inputs), key="residual")
        for column in said.columns_of(node):
            if column.type != "continuous" or column.scale == "cyclic":
                kind = "cyclic" if column.scale == "cyclic" else column.type
                what = f"'{column.name}' is {kind}: to what a function says of it nothing can be added"
                yield Fault(what, node, section, remedy="leave out 'parameters' and 'residual'")


def _automatic_faults(said: Declaration) -> Iterator[Fault]:
    """Faults of the nodes that are made automatically."""
    for node in said.inputs:
        stacked = said.history_like(node)
        if stacked is not None or (node in (STEP, TRAJECTORY) and node in said.implied):
            what = f"'{node}' is kept up by itself, so the graph cannot compute it"
            remedy = f"'{transition_name(node)}' can be learned" if stacked else "drop it from graph"
            yield Fault(what, node, remedy=remedy)
        if state_name(node) == STEP and not said.is_count(node):
            remedy = f"write '{node}: [{STEP}]', or drop it"
            yield Fault(f"'{node}' is '{STEP}' plus one and takes nothing else", node, remedy=remedy)
        if state_name(node) == TRAJECTORY and TRAJECTORY in said.implied:
            yield Fault(f"'{TRAJECTORY}' never changes, so '{node}' says nothing", node, remedy="drop it")
        if said.plain(node) in {*said.inputs} - {node} and not said.is_push(node):
            what = f"'{node}' is '{said.plain(node)}' where 'ts' is 1 or less; the graph computes both"
            yield Fault(what, node, remedy="drop one of them")
        if said.is_sum(node):
            yield from _sum_faults(said, node)
    for node in (STEP, DONE):
        if len(said.columns.get(node, ())) > 1:
            what = f"'{node}' has {len(said.columns[node])} columns, it can have one"
            yield Fault(what, node, "columns", remedy="keep one of them")


def _sum_faults(said: Declaration, node: str) -> Iterator[Fault]:
    state = state_name(node) or node
    change = change_name(state)
    whole, part = said.columns_of(state), said.columns_of(change)
    if change in said.columns and len(whole) != len(part):
        what = f"'{node}' adds '{change}' of {len(part)} columns to '{state}' of {len(whole)}"
        yield Fault(what, node, remedy="describe as many, in the same order")
    for column in whole:
        if column.type == "category":
            what = f"'{node}' adds '{change}' to '{state}', whose column '{column.name}' is a category"
            yield Fault(what, node, remedy=f"learn '{node}' itself, or split the node")


def _history_faults(said: Declaration) -> Iterator[Fault]:
    for node, option in said.options.items():
        history = history_name(node)
        if option.ts is None or node not in said.columns:
            continue
        if history in said.columns:
            what = f"'ts' makes the node '{history}', but columns describe one of this name"
            yield Fault(what, node, "nodes", key="ts", remedy="keep one of the two")
        length = option.ts if option.ts_length is None else option.ts_length
        yield from _push_faults(said, node, option.ts - length)


def _push_faults(said: Declaration, node: str, delay: int) -> Iterator[Fault]:
    """Faults of next_ts_X for the node X, whose history ends `delay` steps before now."""
    history = history_name(node)
    push = transition_name(history)
    if delay == 0 or push not in said.inputs or history in said.columns:
        return
    takes_next = transition_name(node) in said.inputs[push]
    if not said.is_push(push):
        what = f"'{push}' is learned, but 'ts_length' lets '{history}' end {delay} steps before now"
        yield Fault(
            what, push, remedy=f"drop 'ts_length' of '{node}', or drop '{push}': it is kept by itself"
        )
    elif takes_next or delay > 1:
        given = transition_name(node) if takes_next else node
        what = f"'{push}' pushes '{given}', but 'ts_length' lets '{history}' end {delay} steps before now"
        yield Fault(what, push, remedy=f"drop '{push}' from graph: the history is kept by itself")


def _list_faults(said: Declaration) -> Iterator[Fault]:
    used = said.mentioned | {source for name in said.mentioned if (source := said.history_like(name))}
    for position, node in enumerate(said.tunable):
        remedy = "a tunable node is a leaf that nothing computes, within the step or at the next"
        if node not in said.columns:
            leaves = {name for name in said.columns if name not in said.inputs}
            yield Fault(
                f"no column describes the tunable '{node}'",
                node,
                "tunable",
                position,
                choices(node, leaves),
                tentative=True,
            )
        elif {node, transition_name(node), transition_name(history_name(node))} & set(said.inputs):
            what = f"'{node}' cannot be tunable, since the graph computes it"
            yield Fault(what, node, "tunable", position, remedy)
        elif node not in used:
            what = f"nothing in the graph takes the tunable '{node}'"
            yield Fault(what, node, "tunable", position, f"add '{node}' to the inputs of a node")
        if node in said.tunable[:position]:
            yield Fault(f"'{node}' stands under tunable twice", node, "tunable", position)
    known = said.names
    for position, node in enumerate(said.metric_nodes or ()):
        if node not in known:
            what = f"'{node}' cannot be judged: there is no such node"
            yield Fault(what, node, "metric_nodes", position, choices(node, known), tentative=True)


def _circle_faults(said: Declaration) -> Iterator[Fault]:
    taken: set[tuple[str, str]] = set()
    for position, pair in enumerate(said.circle):
        yield from _pair_faults(said, list(said.columns), pair, taken, "", "circle", position)
    for node, option in said.options.items():
        for position, pair in enumerate(option.circle if node in said.columns else ()):
            yield from _pair_faults(said, [node], pair, taken, node, "nodes", position)


def _pair_faults(
    said: Declaration,
    nodes: Collection[str],
    pair: tuple[str, str],
    taken: set[tuple[str, str]],
    about: str,
    section: Section,
    position: int,
) -> Iterator[Fault]:
    def fault(what: str, remedy: str = "name two columns of one node, its cosine and its sine") -> Fault:
        return Fault(what, about, section, position, remedy, key="circle" if about else None)

    found = find_pair(said, nodes, pair)
    if isinstance(found, str):
        yield fault(found)
        return
    for column in found:
        if column.type != "continuous" or column.scale in ("log", "quantile", "cyclic"):
            kind = column.type if column.type != "continuous" else column.scale
            yield fault(f"'{column.name}' is {kind}, so it is no coordinate on a circle", "remove the pair")
        if (column.node, column.name) in taken:
            yield fault(f"'{column.name}' is on a circle already", "name each column once")
        taken.add((column.node, column.name))


def find_pair(
    said: Declaration, nodes: Collection[str], pair: tuple[str, str]
) -> tuple[Column, Column] | str:
    """The columns of one of `nodes` that `pair` names, each `column` or `node.column`; else what is wrong."""
    matches: list[list[Column]] = []
    for name in pair:
        found = [column for node in nodes for column in said.columns[node] if names_column(name, column)]
        if not found:
            return f"'{name}' is no column" + (f" of '{next(iter(nodes))}'" if len(nodes) == 1 else "")
        matches.append(found)
    both = [(x, y) for x in matches[0] for y in matches[1] if x.node == y.node]
    if not both:
        return f"'{pair[0]}' and '{pair[1]}' belong to different nodes"
    if len(both) > 1:
        owners = ", ".join(dict.fromkeys(x.node for x, _ in both))
        return f"'{pair[0]}' and '{pair[1]}' are columns of several nodes ({owners}); write node.column"
    if both[0][0] == both[0][1]:
        return f"'{pair[0]}' and '{pair[1]}' are one column"
    return both[0]


def names_column(name: str, column: Column) -> bool:
    """Whether `name` is the column, as `column` or `node.column`."""
    return name in (column.name, f"{column.node}.{column.name}")
