"""Where declared effects lie in model space: which input dimension of a node moves which of its dimensions, and how.

Every codec of an ordered column rises with the column, so that a sign in physical units is one in model space.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from revive.data.layout import Layout
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph

SIGNS = {"increasing": 1.0, "decreasing": -1.0, None: 0.0}
Pattern = tuple[float, ...]
"""Of one output the sign that it has in each input: 1, -1, or 0 where nothing is declared."""


@dataclass(frozen=True)
class DeclaredEffect:
    """An effect as the network of `node` meets it.

    column: of the concatenated inputs. output: dimension of the node. sign: 1, -1, or 0 for either. largest:
    absolute slope in physical units, None for any. source, source_dimension: the input, and the dimension of one frame.
    present: whether the input is the present value of that very dimension, to which a transition's change is added.
    """

    node: str
    column: int
    output: int
    sign: float
    largest: float | None
    source: str
    source_dimension: int
    present: bool


def frame_layout(graph: DecisionGraph, node: str) -> Layout:
    """Of one frame of a node."""
    return Layout.of(graph.columns(graph.source_of(node)))


def frame_count(graph: DecisionGraph, node: str) -> int:
    """How many values of its source a node holds side by side."""
    return len(graph.columns(node)) // max(1, len(graph.columns(graph.source_of(node))))


def width_of(graph: DecisionGraph, node: str) -> int:
    """The model-space dimensions of a node."""
    return frame_layout(graph, node).width * frame_count(graph, node)


def declared_effects(graph: DecisionGraph, node: str) -> Iterator[DeclaredEffect]:
    """The effects that the description declares of a node. Raises UserError for a column that has no order."""
    inputs = graph[node].inputs
    for effect in graph[node].effects:
        start = sum(width_of(graph, other) for other in inputs[: inputs.index(effect.input)])
        within, frame = _place(graph, effect.input, effect.input_column)
        output, of_frame = _place(graph, node, effect.output_column)
        output += of_frame * frame_layout(graph, node).width
        yield DeclaredEffect(
            node,
            start + frame * frame_layout(graph, effect.input).width + within,
            output,
            SIGNS[effect.direction],
            effect.max_slope,
            effect.input,
            within,
            within == output and _is_present(graph, node, effect.input, frame),
        )


def _is_present(graph: DecisionGraph, node: str, source: str, frame: int) -> bool:
    """Whether a frame of an input is the state that the node is the next value of."""
    if node not in graph.transitions or graph.source_of(source) != graph.state_of(node):
        return False
    history = graph[source].history
    newest = frame == frame_count(graph, source) - 1
    return history is None or (newest and history.delay == 0)


def _place(graph: DecisionGraph, node: str, column: str) -> tuple[int, int]:
    """The dimension of a column within its frame, and the number of the frame."""
    columns = graph.columns(node)
    index = next(i for i, c in enumerate(columns) if c.name == column)
    per_frame = len(graph.columns(graph.source_of(node)))
    found, before = columns[index], columns[index - index % per_frame : index]
    if found.type == "category" or found.scale == "cyclic":
        raise UserError(Problem(f"'{column}' has no order, so no effect of it can be declared", place=node))
    layout = Layout.of([c for c in before if c.type == found.type])
    if found.type == "continuous":
        return layout.continuous, index // per_frame
    return frame_layout(graph, node).continuous + len(layout.levels), index // per_frame


def patterns(effects: Iterable[DeclaredEffect], inputs: int, outputs: int) -> tuple[Pattern, ...]:
    """The declared signs of each output of a node's network, those that are no dimension of the node among them."""
    signs = [[0.0] * inputs for _ in range(outputs)]
    for effect in effects:
        signs[effect.output][effect.column] = effect.sign
    return tuple(map(tuple, signs))


def is_signed(graph: DecisionGraph, node: str) -> bool:
    """Whether the direction of some effect is declared of a node."""
    return any(effect.direction for effect in graph[node].effects)


def distinct(found: Sequence[Pattern]) -> tuple[Pattern, ...]:
    """Each pattern once, in the order of the outputs."""
    return tuple(dict.fromkeys(found))
