"""The decision flow graph: what is known, who decides from what, and what follows from what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from revive.errors import Problems, UserError, suggestion
from revive.graph.columns import Column
from revive.graph.names import state_name, transition_name
from revive.graph.structure import Inputs, computation_order, structure_faults

_JSON_VERSION: Final = 1


class NodeKind(StrEnum):
    """The part a node plays in a time step."""

    STATE = "state"  # a leaf that its transition replaces at the next step
    EXOGENOUS = "exogenous"  # a leaf that is replayed from data
    DECISION = "decision"  # learned, no transition; the policy to be improved is one
    TRANSITION = "transition"  # learned, becomes its state at the next step
    FUNCTION = "function"  # computed by a function of the user


_LEAVES: Final = frozenset({NodeKind.STATE, NodeKind.EXOGENOUS})
_LEARNED: Final = frozenset({NodeKind.DECISION, NodeKind.TRANSITION})


@dataclass(frozen=True)
class Node:
    """A named vector of columns; `inputs` in the order the user wrote, empty for a leaf."""

    name: str
    kind: NodeKind
    columns: tuple[Column, ...]
    inputs: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The number of columns, d of an array (N, d)."""
        return len(self.columns)

    @property
    def is_leaf(self) -> bool:
        """Whether the node is given at the start of a time step rather than computed in it."""
        return self.kind in _LEAVES


@dataclass(frozen=True, repr=False)
class DecisionGraph:
    """An immutable graph, evaluated once per time step; then each `next_X` becomes `X`.

    `all_nodes` holds the leaves, then the computed nodes in the order of computation. Use `build` to make one
    from columns and inputs. Equal graphs compare and hash equal; graphs can be pickled.
    Raises UserError with every structural problem.
    """

    all_nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        inputs = {node.name: node.inputs for node in self.all_nodes if not node.is_leaf}
        described = [node.name for node in self.all_nodes if state_name(node.name) is None]
        _raise_faults(inputs, described)
        if tuple(inputs) != computation_order(inputs):
            raise UserError(f"the nodes {', '.join(inputs)} do not stand in the order of computation")

    @classmethod
    def build(cls, columns: Iterable[Column], inputs: Inputs) -> DecisionGraph:
        """The graph in which each key of `inputs` is computed from its values; `columns` describe all others.

        Columns of nodes that the graph does not use are left out. Raises UserError with every problem.
        """
        of: dict[str, tuple[Column, ...]] = {}
        for column in columns:
            of[column.node] = (*of.get(column.node, ()), column)
        _raise_faults(inputs, list(of))
        used = {source for sources in inputs.values() for source in sources}
        nodes: list[Node] = []
        for name in of:
            if transition_name(name) in inputs:
                nodes.append(Node(name, NodeKind.STATE, of[name]))
            elif name in used and name not in inputs:
                nodes.append(Node(name, NodeKind.EXOGENOUS, of[name]))
        for name in computation_order(inputs):
            state = state_name(name)
            kind = NodeKind.DECISION if state is None else NodeKind.TRANSITION
            nodes.append(Node(name, kind, of[state or name], tuple(inputs[name])))
        return cls(tuple(nodes))

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes by name: the leaves, then the computed nodes in order."""
        return MappingProxyType({node.name: node for node in self.all_nodes})

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The computed nodes, inputs before what follows from them, ties in written order."""
        return tuple(node.name for node in self.all_nodes if not node.is_leaf)

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """The nodes given at the start of a time step: states and exogenous nodes, in written order."""
        return tuple(node.name for node in self.all_nodes if node.is_leaf)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The leaves that a transition replaces at the next step."""
        return self._of_kind(NodeKind.STATE)

    @cached_property
    def exogenous(self) -> tuple[str, ...]:
        """The leaves that are replayed from data."""
        return self._of_kind(NodeKind.EXOGENOUS)

    @cached_property
    def decisions(self) -> tuple[str, ...]:
        """The learned nodes that are no transitions, in order."""
        return self._of_kind(NodeKind.DECISION)

    @cached_property
    def transitions(self) -> tuple[str, ...]:
        """The nodes that become a state at the next step, learned or not, in order."""
        return tuple(transition for transition in self.order if state_name(transition) in self.states)

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """The nodes that are networks, in order."""
        return tuple(name for name in self.order if self.nodes[name].kind in _LEARNED)

    @property
    def default_target(self) -> str:
        """The first decision node. Raises UserError where the graph has none."""
        if not self.decisions:
            raise UserError("the graph has no decision node, so there is no policy to learn")
        return self.decisions[0]

    def next_of(self, state: str) -> str:
        """The transition that becomes `state` at the next step. Raises UserError for any other node."""
        if state not in self.states:
            raise UserError(f"'{state}' is no state of the graph; {suggestion(state, self.states)}")
        return transition_name(state)

    def state_of(self, transition: str) -> str:
        """The state that `transition` becomes at the next step. Raises UserError for any other node."""
        state = state_name(transition)
        if state is None or transition not in self.transitions:
            raise UserError(f"'{transition}' is no transition; {suggestion(transition, self.transitions)}")
        return state

    def source_of(self, node: str) -> str:
        """The node whose columns, units and codec `node` uses: for a transition its state, else itself."""
        state = state_name(self[node].name)
        return node if state is None else state

    def with_inputs(self, node: str, inputs: Sequence[str]) -> DecisionGraph:
        """The same graph, in which the decision node `node` is computed from `inputs`.

        Raises UserError where `node` is no decision node, and for unknown or repeated inputs and loops.
        """
        if node not in self.decisions:
            raise UserError(f"'{node}' is no decision node; {suggestion(node, self.decisions)}")
        changed = {name: self[name].inputs for name in self.order} | {node: tuple(inputs)}
        described = [name for name in self.nodes if state_name(name) is None]
        _raise_faults(changed, described)
        leaves = [self[name] for name in self.leaves]
        computed = [replace(self[name], inputs=changed[name]) for name in computation_order(changed)]
        return DecisionGraph((*leaves, *computed))

    def columns(self, node: str) -> tuple[Column, ...]:
        """The columns of `node`; those of a transition are the columns of its state."""
        return self[node].columns

    def __getitem__(self, node: str) -> Node:
        try:
            return self.nodes[node]
        except KeyError:
            raise UserError(f"the graph has no node '{node}'; {suggestion(node, self.nodes)}") from None

    def __contains__(self, node: object) -> bool:
        return node in self.nodes

    def __reduce__(self) -> tuple[Any, ...]:
        return DecisionGraph, (self.all_nodes,)

    def _of_kind(self, kind: NodeKind) -> tuple[str, ...]:
        return tuple(node.name for node in self.all_nodes if node.kind is kind)

    def to_json(self) -> dict[str, Any]:
        """The graph as plain JSON values, for `from_json`."""
        return {"version": _JSON_VERSION, "nodes": [_node_to_json(node) for node in self.all_nodes]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> DecisionGraph:
        """The graph that `to_json` wrote."""
        if fields.get("version") != _JSON_VERSION:
            raise UserError(f"graph of version {fields.get('version')!r}, this release reads {_JSON_VERSION}")
        nodes: dict[str, Node] = {}
        for entry in fields["nodes"]:
            name, kind = entry["name"], NodeKind(entry["kind"])
            state = state_name(name)
            columns = (
                tuple(map(Column.from_json, entry["columns"])) if state is None else nodes[state].columns
            )
            nodes[name] = Node(name, kind, columns, tuple(entry["inputs"]))
        return cls(tuple(nodes.values()))

    def mermaid(self) -> str:
        """The graph as a Mermaid flowchart; dotted arrows lead to the next time step."""
        ids = {name: f"n{number}" for number, name in enumerate(self.nodes)}
        lines = ["flowchart LR"]
        for name, node in self.nodes.items():
            opened, closed = ("([", "])") if node.is_leaf else ("[", "]")
            lines.append(f'    {ids[name]}{opened}"{name} ({node.width})"{closed}:::{node.kind.value}')
        lines += [f"    {ids[source]} --> {ids[name]}" for name in self.order for source in self[name].inputs]
        lines += [f"    {ids[self.next_of(state)]} -. next step .-> {ids[state]}" for state in self.states]
        return "\n".join(lines)

    def __repr__(self) -> str:
        lines = ["DecisionGraph("]
        for node in self.all_nodes:
            source = f" <- {', '.join(node.inputs)}" if node.inputs else ""
            lines.append(f"    {node.kind.value:<10} {node.name}[{node.width}]{source}")
        return "\n".join([*lines, ")"])


def _node_to_json(node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": node.name, "kind": node.kind.value, "inputs": list(node.inputs)}
    if state_name(node.name) is None:
        entry["columns"] = [column.to_json() for column in node.columns]
    return entry


def _raise_faults(inputs: Inputs, described: Iterable[str]) -> None:
    problems = Problems()
    for fault in structure_faults(inputs, list(described)):
        problems.add(fault.what, place=f"{fault.section}.{fault.node}".rstrip("."), remedy=fault.advice)
    problems.raise_if_any()
