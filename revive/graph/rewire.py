"""Another view for a decision node: the same graph with other inputs of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from revive.errors import Problem, UserError, suggestion
from revive.graph.names import history_name, state_name
from revive.graph.nodes import HistorySpec, Node, NodeKind, history_circles, history_columns
from revive.graph.structure import Fault, choices, computation_order, loop_faults

if TYPE_CHECKING:
    from revive.graph.decision_graph import DecisionGraph

_CONSTANT: Final = frozenset({NodeKind.STEP, NodeKind.TRAJECTORY, NodeKind.TUNABLE})


def rewired(graph: DecisionGraph, node: str, inputs: Sequence[str], history: int) -> tuple[Node, ...]:
    """The nodes of `graph` in which the decision node `node` is computed from `inputs`.

    With a `history` of k above 1 it sees the last k values of each input that changes in time.
    Raises UserError where `node` is no decision node, and for unknown or repeated inputs and loops.
    """
    if node not in graph.decisions:
        raise UserError(Problem(f"'{node}' is no decision node", remedy=suggestion(node, graph.decisions)))
    if isinstance(inputs, str) or history < 1:
        wrong = f"inputs {inputs!r}, not a list" if isinstance(inputs, str) else f"a history of {history}"
        raise UserError(f"'{node}' cannot have {wrong}")
    faults = list(_input_faults(graph, node, inputs))
    if faults:
        raise UserError(*(fault.problem() for fault in faults))
    made = {
        source: history_of(graph, source, history)
        for source in inputs
        if history > 1 and varies(graph, source)
    }
    seen = tuple(made[source].name if source in made else source for source in inputs)
    effects = tuple(effect for effect in graph[node].effects if effect.input in seen)
    nodes: dict[str, Node] = {item.name: item for item in made.values()}
    unseen = tuple(pair for pair in graph[node].unseen if pair[0] in seen)
    nodes |= {**graph.nodes, node: replace(graph[node], inputs=seen, effects=effects, unseen=unseen)}
    order = computation_order({name: item.inputs for name, item in nodes.items() if item.inputs})
    return (*(graph[name] for name in graph.leaves), *(nodes[name] for name in order))


def _input_faults(graph: DecisionGraph, node: str, inputs: Sequence[str]) -> Iterator[Fault]:
    if not inputs:
        yield Fault(f"'{node}' has no inputs", node, remedy="name at least one")
    for position, source in enumerate(inputs):
        if source not in graph:
            near = choices(source, [name for name in graph.nodes if name != node])
            yield Fault(f"'{node}' takes '{source}', but there is no such node", node, remedy=near)
        if source in inputs[:position]:
            yield Fault(f"'{node}' names its input '{source}' twice", node)
    wiring: Mapping[str, Sequence[str]] = {name: graph[name].inputs for name in graph.order}
    yield from loop_faults({**wiring, node: tuple(inputs)})


def varies(graph: DecisionGraph, node: str) -> bool:
    """Whether a history of `node` says more than `node` does."""
    base = graph[state_name(node) or node] if (state_name(node) or node) in graph else graph[node]
    return base.kind not in _CONSTANT and base.history is None


def history_of(graph: DecisionGraph, source: str, length: int) -> Node:
    """A node with the last `length` values of `source`. Raises UserError where its name is taken by another."""
    name, spec = history_name(source, length), HistorySpec(source, length)
    columns = history_columns(name, spec, graph.columns(source))
    circles = history_circles(spec, graph[source].circles, graph[source].width)
    made = Node(name, NodeKind.HISTORY, columns, (source,), history=spec, circles=circles)
    if graph.nodes.get(name, made) != made:
        raise UserError(f"the history of '{source}' is called '{name}', but there is such a node already")
    return made
