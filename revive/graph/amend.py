"""Writes properties of single columns that were found in the data into a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from revive.errors import Problem, UserError, suggestion
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.found import Amendment, Bound, Circle, Copied, Late, StandIn, Unseen
from revive.graph.nodes import Copy, Node, NodeKind, history_circles, history_columns
from revive.graph.rewire import history_of
from revive.graph.structure import computation_order

Nodes = dict[str, Node]


def amended(graph: DecisionGraph, amendments: Iterable[Amendment]) -> DecisionGraph:
    """The graph with `amendments` written into its nodes and listed as `found`; itself where there are none.

    Raises UserError for nodes and columns that it does not have.
    """
    found, nodes = tuple(amendments), dict(graph.nodes)
    for amendment in found:
        if isinstance(amendment, Circle):
            _add_circle(graph, nodes, amendment)
        elif isinstance(amendment, Bound):
            _add_bound(graph, nodes, amendment)
        elif isinstance(amendment, Copied):
            _add_copy(graph, nodes, amendment)
        elif isinstance(amendment, StandIn):
            nodes = _with_stand_in(graph, nodes, amendment)
        elif isinstance(amendment, Late):
            nodes = _with_history(graph, nodes, amendment)
        else:
            _add_unseen(graph, nodes, amendment)
    if not found:
        return graph
    return replace(graph, all_nodes=tuple(nodes.values()), found=(*graph.found, *found))


def _add_circle(graph: DecisionGraph, nodes: Nodes, said: Circle) -> None:
    pair = (_position(graph, said.node, said.x), _position(graph, said.node, said.y))
    state = (*nodes[said.node].circles, pair)
    width = graph[said.node].width
    for name in _sharing(graph, said.node):
        history = nodes[name].history
        circles = history_circles(history, state, width) if history else state
        nodes[name] = replace(nodes[name], circles=circles)


def _add_bound(graph: DecisionGraph, nodes: Nodes, said: Bound) -> None:
    at = _position(graph, said.node, said.column)
    columns = list(nodes[said.node].columns)
    limits = {key: value for key, value in (("min", said.min), ("max", said.max)) if value is not None}
    columns[at] = replace(columns[at], **limits)  # type: ignore[arg-type]
    for name in _sharing(graph, said.node):
        history = nodes[name].history
        made = history_columns(name, history, columns) if history else tuple(columns)
        nodes[name] = replace(nodes[name], columns=made)


def _add_copy(graph: DecisionGraph, nodes: Nodes, said: Copied) -> None:
    transition = graph.next_of(said.node)
    _position(graph, said.node, said.column)
    _position(graph, said.source, said.source_column)
    if said.source not in graph[transition].inputs:
        raise UserError(f"'{said.source}' is no input of '{transition}', so it cannot be copied from there")
    copy = Copy(said.column, said.source, said.source_column)
    nodes[transition] = replace(nodes[transition], copies=(*nodes[transition].copies, copy))


def _add_unseen(graph: DecisionGraph, nodes: Nodes, said: Unseen) -> None:
    at, width = _position(graph, said.node, said.column), graph[said.node].width
    for name in said.models:
        hidden = [
            (source, column.name)
            for source in graph[name].inputs
            if graph.source_of(source) == said.node
            for number, column in enumerate(graph.columns(source))
            if number % width == at
        ]
        nodes[name] = replace(nodes[name], unseen=(*nodes[name].unseen, *hidden))


def _with_stand_in(graph: DecisionGraph, nodes: Nodes, said: StandIn) -> Nodes:
    """The nodes with one more leaf, which the transitions see."""
    at = _position(graph, said.source, said.source_column)
    if said.node in nodes:
        raise UserError(f"the graph has a node '{said.node}' already")
    units = graph.columns(said.source)[at].units
    column = Column(
        said.node, said.node, "continuous", units=units, description="stands in for a hidden cause"
    )
    more = {said.node: Node(said.node, NodeKind.EXOGENOUS, columns=(column,)), **nodes}
    for name in said.models:
        more[name] = replace(more[name], inputs=(*graph[name].inputs, said.node))
    return more


def _with_history(graph: DecisionGraph, nodes: Nodes, said: Late) -> Nodes:
    """The nodes with a history of the late one, which takes its place among the inputs of the transitions."""
    made = history_of(graph, said.node, said.frames)
    more = {**nodes, made.name: made}
    for name in said.models:
        others = [source for source in more[name].inputs if _shown(graph, more, source) != said.node]
        more[name] = replace(more[name], inputs=(*others, made.name))
    order = computation_order({name: node.inputs for name, node in more.items() if node.inputs})
    return {name: more[name] for name in (*(n for n in more if n not in order), *order)}


def _shown(graph: DecisionGraph, nodes: Nodes, name: str) -> str:
    """The node whose values an input holds, where it may be a history that was added just now."""
    history = nodes[name].history
    return graph.source_of(history.source if history else name)


def _sharing(graph: DecisionGraph, node: str) -> Iterator[str]:
    """The nodes that have the columns of `node`: itself, its transition and its histories."""
    return (name for name in graph.nodes if graph.source_of(name) == node)


def _position(graph: DecisionGraph, node: str, column: str) -> int:
    names = [found.name for found in graph.columns(node)]
    if column not in names:
        raise UserError(Problem(f"'{node}' has no column '{column}'", remedy=suggestion(column, names)))
    return names.index(column)
