"""The graph as a drawing and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revive.graph.names import state_name
from revive.graph.nodes import Node, NodeKind

if TYPE_CHECKING:
    from revive.graph.decision_graph import DecisionGraph

_SHAPES: Final = {
    NodeKind.STATE: ("([", "])"),
    NodeKind.EXOGENOUS: ("([", "])"),
    NodeKind.TUNABLE: ("([", "])"),
    NodeKind.STEP: ("([", "])"),
    NodeKind.TRAJECTORY: ("([", "])"),
    NodeKind.HISTORY: ("[(", ")]"),
    NodeKind.DECISION: ("[", "]"),
    NodeKind.TRANSITION: ("[", "]"),
    NodeKind.CHANGE: ("[", "]"),
    NodeKind.TERMINATION: ("{{", "}}"),
    NodeKind.FUNCTION: ("[[", "]]"),
}


def mermaid(graph: DecisionGraph) -> str:
    """The graph as a Mermaid flowchart; dotted arrows lead to the next time step."""
    ids = {name: f"n{number}" for number, name in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for name, node in graph.nodes.items():
        opened, closed = _SHAPES[node.kind]
        label = f"{name} ({node.width})".replace('"', "#quot;")
        lines.append(f'    {ids[name]}{opened}"{label}"{closed}:::{node.kind.value}')
    lines += [f"    {ids[source]} --> {ids[name]}" for name in graph.order for source in graph[name].inputs]
    for name, node in graph.nodes.items():
        state = state_name(name)
        if node.is_leaf and node.kind is NodeKind.HISTORY and node.history is not None:
            lines.append(f"    {ids[node.history.source]} -. later steps .-> {ids[name]}")
        elif state is not None and state in graph and graph[state].kind in (NodeKind.STATE, NodeKind.STEP):
            lines.append(f"    {ids[name]} -. next step .-> {ids[state]}")
    return "\n".join(lines)


def text(graph: DecisionGraph) -> str:
    """One line for each node: kind, name, width, inputs, and what is special about it."""
    wide = max((len(node.kind.value) for node in graph.all_nodes), default=0)
    wide = max(wide, 10)
    lines = ["DecisionGraph("]
    for node in graph.all_nodes:
        source = f" <- {', '.join(node.inputs)}" if node.inputs else ""
        marks = "; ".join(_marks(node))
        head = f"    {node.kind.value:<{wide}} {node.name}[{node.width}]{source}"
        lines.append(f"{head}  ({marks})" if marks else head)
    return "\n".join([*lines, ")"])


def _marks(node: Node) -> list[str]:
    marks: list[str] = []
    if node.history is not None:
        spec = node.history
        until = f", {spec.delay} steps ago" if spec.delay > 1 else ", 1 step ago" if spec.delay else ""
        marks.append(f"last {spec.length} of {spec.source}{until}")
    if node.function is not None:
        code = node.function.code
        marks.append(f"{code.file}: {code.name}" if code else f"built in: {node.function.builtin}")
    if node.custom is not None:
        marks.append(f"{node.custom.file}: {node.custom.name}")
    if node.principles is not None:
        marks.append(f"{node.principles.code.file}: {node.principles.code.name}, and what a network adds")
    if node.freeze:
        marks.append("frozen")
    if node.loss_type:
        marks.append(f"loss {node.loss_type}")
    if node.effects:
        marks.append(f"{len(node.effects)} declared effects")
    if not node.logged:
        marks.append("no data")
    return marks
