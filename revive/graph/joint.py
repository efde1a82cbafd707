"""Several decision nodes that are decided together: a graph in which one node decides all of them.

`together` puts a joint decision into the graph; the nodes that it decides become parts of it, so that all that follows
from them stays as it was. Each part keeps what it sees: a part that is decided later may see an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.nodes import FunctionSpec, Node, NodeKind
from revive.graph.structure import computation_order
from revive.graph.target import follows

BETWEEN = " + "  # the names of the parts


class _Sliced(Protocol):
    def __getitem__(self, index: Any, /) -> Any: ...


A = TypeVar("A", bound=_Sliced)


def together(graph: DecisionGraph, targets: Sequence[str]) -> DecisionGraph:
    """The graph in which `targets`, two or more decision nodes, are decided by one node, in the order of the graph.

    Raises UserError where one of them sees what follows within the step from another one that is no input of it.
    """
    parts = [name for name in graph.order if name in targets]
    name, apart = joint_name(graph, targets), graph
    inputs = tuple(
        dict.fromkeys(source for part in parts for source in apart[part].inputs if source not in parts)
    )
    for source in inputs:
        for cause in parts:
            if follows(graph, source, cause):
                part = next(p for p in parts if source in graph[p].inputs)
                what = f"'{part}' sees '{source}', which follows from '{cause}' within the step"
                remedy = f"let '{part}' see '{cause}' itself, or decide one of the two"
                raise UserError(Problem(what, place="policy.target", remedy=remedy))
    nodes: dict[str, Node] = {}
    for node in graph.all_nodes:
        if node.name == parts[0]:
            nodes[name] = _joint(graph, name, parts, inputs)
        own = node.name in parts
        nodes[node.name] = (
            replace(node, kind=NodeKind.FUNCTION, inputs=(name,), function=FunctionSpec("part"))
            if own
            else node
        )
    return _ordered(graph, nodes)


def deciding(graph: DecisionGraph, targets: Sequence[str]) -> tuple[str, DecisionGraph]:
    """The node that decides `targets`, one or several different ones, and the graph in which it does.

    Raises UserError as `together` does.
    """
    if len(targets) == 1:
        return targets[0], graph
    return joint_name(graph, targets), together(graph, targets)


def seen_by(
    graph: DecisionGraph, targets: Sequence[str], inputs: Sequence[str] | None, history: int = 1
) -> DecisionGraph:
    """The graph in which each of the decisions `targets` sees `inputs`; of each other those that are decided before.

    inputs: None for what each of them sees in `graph`. history: how many of their last values.
    Raises UserError as `DecisionGraph.with_inputs` does.
    """
    place = {name: number for number, name in enumerate(graph.order)}
    for name in sorted(targets, key=lambda target: place.get(target, 0)):
        wanted = inputs or graph[name].inputs
        before = [other for other in wanted if other in targets and place[other] < place[name]]
        others = [other for other in wanted if other not in targets or len(targets) == 1]
        if others or not before:
            graph = graph.with_inputs(name, others, history)
        if before:
            graph = graph.with_inputs(name, (*(graph[name].inputs if others else ()), *before))
    return graph


def joint_name(graph: DecisionGraph, targets: Sequence[str]) -> str:
    """What the node is called that decides `targets`."""
    return BETWEEN.join(name for name in graph.order if name in targets)


def _joint(graph: DecisionGraph, name: str, parts: Sequence[str], inputs: tuple[str, ...]) -> Node:
    starts = [0, *accumulate(graph[part].width for part in parts)]
    return Node(
        name,
        NodeKind.DECISION,
        tuple(column for part in parts for column in graph.columns(part)),
        inputs,
        circles=tuple(
            (x + at, y + at) for part, at in zip(parts, starts, strict=False) for x, y in graph[part].circles
        ),
        logged=all(graph[part].logged for part in parts),
        parts=tuple((part, graph[part].inputs) for part in parts),
    )


def apart(graph: DecisionGraph) -> DecisionGraph:
    """The reverse of `together`: the graph in which each part of a joint decision is one of its own."""
    seen = {part: inputs for node in graph.all_nodes for part, inputs in node.parts}
    nodes = {
        node.name: replace(node, kind=NodeKind.DECISION, inputs=seen[node.name], function=None)
        if node.name in seen
        else node
        for node in graph.all_nodes
        if not node.parts
    }
    return _ordered(graph, nodes)


def acting_graph(spec: Mapping[str, Any]) -> tuple[DecisionGraph, str]:
    """The graph in which a policy acts and the node that it decides, out of the JSON of its bundle; of a venv `target`
    is empty.

    Raises UserError where nodes do not fit, or the graph does not decide what the policy does.
    """
    graph, target = DecisionGraph.from_json(spec["graph"]), spec.get("target") or ""
    asked = [target] if isinstance(target, str) else target
    for name in asked if target else ():
        if name not in graph or not graph[name].is_learned:
            raise UserError(f"the graph does not decide '{name}'")
    if len({*asked}) < 2:
        return graph, asked[0]
    joint = together(graph, asked)
    return joint, joint_name(graph, asked)


def _ordered(graph: DecisionGraph, nodes: Mapping[str, Node]) -> DecisionGraph:
    leaves = [node for node in nodes.values() if node.is_leaf]
    order = computation_order({name: node.inputs for name, node in nodes.items() if node.inputs})
    return replace(graph, all_nodes=(*leaves, *(nodes[name] for name in order)))


def decided_by(graph: DecisionGraph, target: str) -> tuple[str, ...]:
    """The nodes that the decision `target` decides: its parts, or itself."""
    return tuple(part for part, _ in graph[target].parts) or (target,)


def is_part(graph: DecisionGraph, node: str) -> bool:
    """Whether a joint decision decides `node`."""
    function = graph[node].function
    return function is not None and function.builtin == "part"


def side_by_side(graph: DecisionGraph, target: str, nodes: Mapping[str, Any]) -> NDArray[Any]:
    """The reverse of `split`, of arrays."""
    return np.concatenate([np.asarray(nodes[name]) for name in decided_by(graph, target)], axis=-1)


def split(graph: DecisionGraph, target: str, value: A) -> dict[str, A]:
    """Columns of the decision `target`, (..., d) physical, array or tensor, as node -> (..., its own columns)."""
    if not graph[target].parts:
        return {target: value}
    parts = decided_by(graph, target)
    stops = list(accumulate(graph[part].width for part in parts))
    return {
        part: value[..., stop - graph[part].width : stop] for part, stop in zip(parts, stops, strict=True)
    }
