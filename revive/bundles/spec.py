"""What the JSON of a bundle may say, and within which limits. A spec that passes is safe to build from.

The values stay as they were parsed; these models only say yes or no.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from revive.bundles.manifest import Kind, Strict
from revive.graph.columns import ColumnType, Scale
from revive.graph.names import name_fault, state_name
from revive.graph.nodes import LONGEST_HISTORY, Builtin, Direction, NodeKind

MOST_COLUMNS: Final = 20_000  # of all nodes together
WIDEST: Final = 100_000  # columns of one node, the frames of a history side by side
MOST_ROWS: Final = 4_000_000  # of a scenario
_MOST_NODES: Final = 5_000
_LONGEST_CHAIN: Final = 8  # a history of a transition of a history of ...

Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2000)]
Index = Annotated[int, Field(ge=0, lt=WIDEST)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Ends = Annotated[  # the least and the largest of each column
    list[Annotated[list[Number], Field(max_length=WIDEST)]], Field(min_length=2, max_length=2)
]
Targets = Name | Annotated[list[Name], Field(min_length=2, max_length=_MOST_NODES)]
Names = Annotated[list[Name], Field(max_length=_MOST_NODES)]
Pairs = Annotated[list[Annotated[list[Name], Field(min_length=2, max_length=2)]], Field(max_length=WIDEST)]


class ColumnSpec(Strict):
    """`Column` as JSON; what contradicts itself is refused by `Column`."""

    name: Name
    node: Name
    type: ColumnType
    min: Number | None = None
    max: Number | None = None
    num: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    values: Annotated[list[Number], Field(max_length=4096)] | None = None
    fit: bool = True
    units: Text | None = None
    description: Text | None = None
    scale: Scale | None = None
    period: Number | None = None
    clamp: bool | None = None


class HistoryFields(Strict):
    """`HistorySpec` as JSON."""

    source: Name
    length: Annotated[int, Field(ge=1, le=LONGEST_HISTORY)]
    delay: Annotated[int, Field(ge=0, le=LONGEST_HISTORY)] = 0


class Reference(Strict):
    """`CodeRef` as JSON: a Python file with no folder in its name."""

    file: Annotated[str, Field(pattern=r"^[\w]+\.py$", max_length=200)]
    name: Annotated[str, Field(pattern=r"^[\w]+$", max_length=200)]
    library: Literal["numpy", "torch"] | None = None


class FunctionFields(Strict):
    """`FunctionSpec` as JSON."""

    builtin: Builtin | None = None
    code: Reference | None = None


class ParameterFields(Strict):
    """`FreeParameter` as JSON."""

    name: Name
    start: Number
    min: Number
    max: Number
    units: Text | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if not self.min <= self.start <= self.max or self.min == self.max:
            raise ValueError(f"'{self.name}' does not start between its bounds")
        return self


class PrinciplesFields(Strict):
    """`FirstPrinciples` as JSON."""

    code: Reference
    parameters: Annotated[list[ParameterFields], Field(max_length=1000)] = Field(default_factory=list)
    residual: Names | None = None


class EffectFields(Strict):
    """`Effect` as JSON."""

    input: Name
    input_column: Name
    output_column: Name
    direction: Direction | None = None
    max_slope: Number | None = None


class CopyFields(Strict):
    """`Copy` as JSON."""

    column: Name
    source: Name
    source_column: Name


class NodeSpec(Strict):
    """`Node` as JSON."""

    name: Name
    kind: Literal[tuple(kind.value for kind in NodeKind)]  # type: ignore[valid-type]
    inputs: Names
    columns: Annotated[list[ColumnSpec], Field(max_length=MOST_COLUMNS)] | None = None
    history: HistoryFields | None = None
    function: FunctionFields | None = None
    custom: Reference | None = None
    principles: PrinciplesFields | None = None
    effects: Annotated[list[EffectFields], Field(max_length=WIDEST)] = Field(default_factory=list)
    circles: Annotated[
        list[Annotated[list[Index], Field(min_length=2, max_length=2)]], Field(max_length=WIDEST)
    ] = Field(default_factory=list)
    unseen: Pairs = Field(default_factory=list)
    copies: Annotated[list[CopyFields], Field(max_length=WIDEST)] = Field(default_factory=list)
    freeze: bool = False
    loss_type: Name | None = None
    logged: bool = True


class Found(Strict):
    """An `Amendment` as JSON, whichever it is."""

    kind: Literal["circle", "bound", "copied", "unseen", "stand_in", "late"]
    node: Name
    column: Name | None = None
    x: Name | None = None
    y: Name | None = None
    min: Number | None = None
    max: Number | None = None
    source: Name | None = None
    source_column: Name | None = None
    models: Names | None = None
    frames: Annotated[int, Field(ge=2, le=MOST_COLUMNS)] | None = None


class GraphSpec(Strict):
    """`DecisionGraph` as JSON."""

    version: Literal[1]
    nodes: Annotated[list[NodeSpec], Field(min_length=1, max_length=_MOST_NODES)]
    metric_nodes: Names | None = None
    found: Annotated[list[Found], Field(max_length=WIDEST)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_finite(self) -> Self:
        """No node is described by itself, and the columns of all of them fit into memory."""
        by_name = {node.name: node for node in self.nodes}
        if len(by_name) < len(self.nodes):
            raise ValueError("a node is named twice")
        total = 0
        for node in self.nodes:
            if fault := name_fault(node.name):
                raise ValueError(fault)
            total += len(node.columns or ())
            if _width(node, by_name) > WIDEST:
                raise ValueError(f"'{node.name}' has more than {WIDEST} columns")
        if total > MOST_COLUMNS:
            raise ValueError(f"more than {MOST_COLUMNS} columns")
        return self


def _width(node: NodeSpec, by_name: dict[str, NodeSpec]) -> int:
    """The number of columns of a node, as `serial` will find it."""
    frames = 1
    for _ in range(_LONGEST_CHAIN):
        if node.columns is not None:
            return frames * len(node.columns)
        if node.history is not None:
            frames *= node.history.length
            source = node.history.source
        else:
            source = state_name(node.name) or node.name
        if source not in by_name or by_name[source] is node:
            raise ValueError(f"nothing describes the columns of '{node.name}'")
        node = by_name[source]
    raise ValueError(f"the columns of '{node.name}' are described by too many other nodes in turn")


class NetworkFields(Strict):
    """`NetworkSpec` as JSON."""

    hidden: Annotated[list[Annotated[int, Field(ge=1, le=65_536)]], Field(max_length=64)] | None
    activation: Literal["silu", "tanh", "relu", "gelu", "elu", "leaky_relu", "sigmoid"]
    std: Literal["constant", "conditioned"]
    head: Literal["normal", "student_t", "mixture", "zero_inflated"] = "normal"
    components: Annotated[int, Field(ge=1, le=1000)] = 5
    backbone: Literal["mlp", "residual", "gru", "lstm", "transformer", "any_step", "monotone"] = "mlp"
    norm: Literal["layer"] | None = None
    transition: Literal["residual", "absolute"] = "residual"


_EVERYWHERE: Final = ("silu", "tanh", "relu", "gelu")


class _Spec(Strict):
    kind: Kind
    graph: GraphSpec
    network: NetworkFields
    provenance: dict[str, Any]


class ScenarioFields(Strict):
    """`Scenario` as JSON; its rows lie in a file of their own."""

    nodes: Annotated[list[Name], Field(min_length=1, max_length=_MOST_NODES)]
    lengths: Annotated[
        list[Annotated[int, Field(ge=1, le=MOST_ROWS)]], Field(min_length=1, max_length=MOST_ROWS)
    ]
    begins: Annotated[list[bool], Field(max_length=MOST_ROWS)]
    longest: Annotated[int, Field(ge=1)]
    trusted: Annotated[int, Field(ge=1)] | None
    target: Targets | None
    seen: Names | None
    history: Annotated[int, Field(ge=1, le=LONGEST_HISTORY)]
    ranges: dict[Name, Ends]
    reward: Annotated[str, Field(pattern=r"^[\w][\w-]*\.py$", max_length=200)] | None
    worst: Number | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.begins) != len(self.lengths):
            raise ValueError("'begins' and 'lengths' speak of different pieces")
        if len({*self.nodes}) < len(self.nodes) or sum(self.lengths) > MOST_ROWS:
            raise ValueError(f"a node is named twice, or there are more than {MOST_ROWS} rows")
        if any(a > b for low, high in self.ranges.values() for a, b in zip(low, high, strict=False)):
            raise ValueError("'ranges' has an end below its begin")
        return self


class VenvSpec(_Spec):
    """venv.json."""

    kind: Literal["venv"]
    members: Annotated[int, Field(ge=1, le=4096)]
    scales: dict[Name, Annotated[list[Number], Field(max_length=WIDEST)]]
    observed: Names = Field(default_factory=list)
    scenario: ScenarioFields | None = None
    nodes: dict[Name, NetworkFields] = Field(default_factory=dict)


class EnvelopeFields(Strict):
    """`Envelope` as JSON: what was logged of the columns that a policy sees."""

    columns: Pairs
    low: Annotated[list[Number | None], Field(max_length=MOST_COLUMNS)]
    high: Annotated[list[Number | None], Field(max_length=MOST_COLUMNS)]
    levels: dict[
        Annotated[str, Field(pattern=r"^[0-9]{1,6}$")], Annotated[list[Number], Field(max_length=4096)]
    ]
    sample: Annotated[list[Annotated[list[Number], Field(max_length=MOST_COLUMNS)]], Field(max_length=4096)]
    reach: Annotated[float, Field(ge=0.0)] | None

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        if any(len(row) != len(self.columns) for row in self.sample):
            raise ValueError("the rows of the sample differ in their number of columns")
        return self


class PolicySpec(_Spec):
    """policy.json."""

    kind: Literal["policy"]
    target: Targets
    repeat: Annotated[int, Field(ge=1, le=LONGEST_HISTORY)] = 1
    envelope: EnvelopeFields | None = None

    @model_validator(mode="after")
    def _runs_everywhere(self) -> Self:
        """Policies are run by numpy, C and ONNX as well, which know two networks and their likeliest value."""
        network = self.network
        odd = [network.head != "normal", network.backbone not in ("mlp", "gru"), network.norm is not None]
        if any(odd) or network.activation not in _EVERYWHERE:
            raise ValueError(
                "a policy is a perceptron or a gru with a normal head and one of: " + ", ".join(_EVERYWHERE)
            )
        return self


SPECS: Final[dict[str, type[_Spec]]] = {"venv": VenvSpec, "policy": PolicySpec}
