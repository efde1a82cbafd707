"""Declared effects: which input column makes which output column rise or fall, and how steeply at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from revive.graph.columns import Column
from revive.graph.declaration import EffectRule
from revive.graph.names import state_name, transition_name
from revive.graph.nodes import Effect, Node
from revive.graph.structure import Fault, choices

Target = tuple[str, Column]
"""A node and one of its columns."""

Named = tuple[str, bool, list[Target]]
"""A name, whether it names a node, and the columns that it stands for."""


def resolve_effects(
    node: Node, rules: Sequence[EffectRule], nodes: Mapping[str, Node]
) -> tuple[tuple[Effect, ...], list[Fault]]:
    """The effects that `rules` declare for `node`, one for each pair of columns, and what is wrong with them.

    A name whose node is no input itself, but whose history is, means the present frame of the history.
    """
    faults: list[Fault] = []
    effects: dict[tuple[str, str, str], Effect] = {}
    of_inputs = _Names(chain.from_iterable(_input_names(nodes[name]) for name in node.inputs))
    of_inputs.extend(chain.from_iterable(_newest_names(nodes[name]) for name in node.inputs))
    of_outputs = _Names(_output_names(node))
    for rule in rules:
        sources = of_inputs.find(rule.input, "no input, nor a column of one,", node.name, faults)
        targets = of_outputs.find(rule.output or node.name, "no column", node.name, faults)
        for name, source in sources:
            for _, target in targets:
                effect = Effect(name, source.name, target.name, rule.direction, rule.max_slope)
                other = effects.setdefault((name, source.name, target.name), effect)
                if other != effect:
                    what = f"the effect of '{source.name}' on '{target.name}' is declared twice, differently"
                    faults.append(_fault(what, node.name))
    return tuple(effects.values()), faults


class _Names:
    """The columns that each name may stand for: a node for all of its columns, a column for itself."""

    def __init__(self, named: Iterable[Named]) -> None:
        self.nodes: dict[str, list[Target]] = {}
        self.columns: dict[str, list[Target]] = {}
        for name, is_node, targets in named:
            known = (self.nodes if is_node else self.columns).setdefault(name, [])
            known += [target for target in targets if target not in known]

    def extend(self, named: Iterable[Named]) -> None:
        """Adds the names that stand for nothing yet."""
        others = _Names(named)
        taken = {*self.nodes, *self.columns}
        self.nodes |= {name: targets for name, targets in others.nodes.items() if name not in taken}
        self.columns |= {name: targets for name, targets in others.columns.items() if name not in taken}

    def find(self, name: str, nothing: str, about: str, faults: list[Fault]) -> list[Target]:
        """The columns that `name` stands for; none, and a fault, where that is wrong or not clear."""
        found = self.nodes.get(name) or self.columns.get(name, [])
        if not found:
            near = choices(name, {*self.nodes, *(column for column in self.columns if "." not in column)})
            fault = Fault(f"'{name}' is {nothing} of '{about}'", about, "nodes", remedy=near, key="effects")
            faults.append(fault)
            return []
        if name not in self.nodes and len(found) > 1:
            owners = [f"{node}.{column.name}" for node, column in found]
            what = f"'{name}' is a column of several inputs of '{about}'"
            faults.append(_fault(what, about, f"write one of {', '.join(owners)}"))
            return []
        ordered = [target for target in found if target[1].type != "category"]
        if not ordered:
            faults.append(_fault(f"'{name}' is a category, so it neither rises nor falls", about))
        return ordered


def _fault(what: str, about: str, remedy: str | None = None) -> Fault:
    return Fault(what, about, "nodes", remedy=remedy, key="effects")


def _input_names(node: Node) -> Iterator[Named]:
    targets = [(node.name, column) for column in node.columns]
    yield node.name, True, targets
    for column in node.columns:
        yield column.name, False, [(node.name, column)]
        yield f"{node.name}.{column.name}", False, [(node.name, column)]


def _newest_names(node: Node) -> Iterator[Named]:
    if node.history is not None and node.history.delay == 0:
        targets = [(node.name, column) for column in node.columns]
        newest = targets[-(node.width // node.history.length) :]
        yield node.history.source, True, newest
        for target in newest:
            base = target[1].name.removeprefix("ts-0_")
            yield base, False, [target]
            yield f"{node.history.source}.{base}", False, [target]


def _output_names(node: Node) -> Iterator[Named]:
    yield from _input_names(node)
    state = state_name(node.name)
    if state is not None:
        yield state, True, [(node.name, column) for column in node.columns]
        for column in node.columns:
            yield transition_name(column.name), False, [(node.name, column)]
