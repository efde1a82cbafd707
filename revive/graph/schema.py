"""The shape of a description file, and pydantic's complaints about it put into the user's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat
from pydantic_core import PydanticCustomError

from revive.errors import suggestion
from revive.graph.columns import Column, ColumnType, Scale
from revive.graph.declaration import EffectRule, NodeOptions
from revive.graph.nodes import LONGEST_HISTORY, CodeRef, FirstPrinciples, FreeParameter

_LOSSES: Final = ("log_prob", "nll", "mae", "mse")
_MAX_SLOPE: Final = "max_slope"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _said(what: str, remedy: str) -> PydanticCustomError:
    """An error whose words are ours."""
    return PydanticCustomError("said", "{what}", {"what": what, "remedy": remedy})


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise _said(f"{value!r} stands where a number should be", "write a number")
    return value


def _nothing_is_empty(value: Any) -> Any:
    return {} if value is None else value


Number = Annotated[FiniteFloat, BeforeValidator(_number)]
Count = Annotated[int, BeforeValidator(_number), Field(le=LONGEST_HISTORY)]


class ColumnSpec(_Strict):
    """The attributes of one column, as written under its name."""

    dim: str
    type: ColumnType
    min: Number | None = None
    max: Number | None = None
    num: Annotated[int, BeforeValidator(_number)] | None = None
    values: list[FiniteFloat] | None = None
    fit: bool = True
    units: str | None = None
    description: str | None = None
    scale: Scale | None = None
    period: Number | None = None
    clamp: bool | None = None

    def column(self, name: str) -> Column:
        """The column called `name`. Raises UserError where the attributes contradict each other."""
        fields = self.model_dump(exclude={"dim", "values"})
        return Column(
            name=name, node=self.dim, values=None if self.values is None else tuple(self.values), **fields
        )


def _single_column(item: Any) -> Any:
    """Each entry under `columns` is a map from one column name to its attributes."""
    if isinstance(item, Mapping) and len(item) == 1:
        return item
    remedy = "write '- name: {dim: node, type: continuous}' for each column"
    if isinstance(item, Mapping) and {*item} & {*ColumnSpec.model_fields}:
        what = "the attributes of the column stand beside its name"
        remedy = "indent them below the name, or write " + remedy.removeprefix("write ")
    elif isinstance(item, Mapping) and len(item) > 1:
        names = [*map(str, item)]
        several = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        what = f"one entry holds several columns: {several}"
    else:
        what = f"{shown(item)} is no column"
    raise _said(what, remedy)


def _pairs(value: Any) -> Any:
    """A pair of column names, or a list of pairs."""
    pairs = [value] if isinstance(value, list) and all(isinstance(x, str) for x in value) else value
    if pairs is None or pairs == [[]]:
        return ()
    wanted = isinstance(pairs, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)
        for pair in pairs
    )
    if not wanted:
        raise _said(f"{shown(value)} is no pair of columns", "write [cosine, sine], or a list of such pairs")
    return tuple(tuple(pair) for pair in pairs)


def _effect(value: Any) -> Any:
    """What is declared about one input: a direction, or a map from output columns to directions."""
    directions = value if isinstance(value, Mapping) else {None: value}
    slope = directions.get(_MAX_SLOPE)
    steep = isinstance(slope, int | float) and not isinstance(slope, bool) and 0 < slope < float("inf")
    if _MAX_SLOPE in directions and not steep:
        raise _said(f"'{_MAX_SLOPE}' cannot be {shown(slope)}", "write a number above 0, output per input")
    rules: list[tuple[str | None, Any]] = [(k, v) for k, v in directions.items() if k != _MAX_SLOPE]
    for _, direction in rules:
        if direction not in ("increasing", "decreasing"):
            what = f"an effect is 'increasing' or 'decreasing', not {shown(direction)}"
            raise _said(what, "write e.g. action: {next_temperature: decreasing, max_slope: 2}")
    if not directions:
        raise _said("nothing is declared here", "write e.g. action: {next_temperature: decreasing}")
    return tuple((output, direction, slope) for output, direction in rules or [(None, None)])


def _loss(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    file, _, function = value.partition(".")
    if value in _LOSSES or (file == "user_module" and function.isidentifier()):
        return "log_prob" if value == "nll" else value
    raise _said(f"'loss_type' cannot be '{value}'", suggestion(value, (*_LOSSES, "user_module.<function>")))


def _code(value: Any) -> Any:
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != 2 or not all(part.isidentifier() for part in parts):
        raise _said(f"{shown(value)} names no code", "write 'file.name', for 'name' in 'file.py' beside this")
    return CodeRef(f"{parts[0]}.py", parts[1])


Circles = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)]
Effects = dict[str, Annotated[Any, BeforeValidator(_effect)]]
Code = Annotated[CodeRef, BeforeValidator(_code)]


class OptionsSpec(_Strict):
    """The options of one node, as written under `nodes`."""

    ts: Annotated[Count, Field(ge=0)] | None = None
    ts_length: Annotated[Count, Field(ge=1)] | None = None
    history: Annotated[Count, Field(ge=1)] | None = None
    step_input: bool = False
    traj_id: Any = None
    freeze: bool = False
    loss_type: Annotated[str, BeforeValidator(_loss)] | None = None
    effects: Annotated[Effects, BeforeValidator(_nothing_is_empty)] = {}
    circle: Circles = ()
    data: bool = True

    def options(self) -> NodeOptions:
        """The same as plain values. `traj_id` is on whatever it is, save for nothing and false."""
        plain = {name: getattr(self, name) for name in type(self).model_fields}
        plain["traj_id"] = self.traj_id is not None and self.traj_id is not False
        plain["effects"] = tuple(
            EffectRule(source, output, direction, slope)
            for source, rules in self.effects.items()
            for output, direction, slope in rules
        )
        given = tuple(name for name in type(self).model_fields if name in self.model_fields_set)
        return NodeOptions(**plain, given=given)


def _parameter(value: Any) -> Any:
    """Where a free parameter starts lies between its bounds; all three are said."""
    if not isinstance(value, Mapping) or not {"start", "min", "max"} <= {*value}:
        raise _said(f"{shown(value)} says no start and bounds", "write e.g. k: {start: 0.1, min: 0, max: 1}")
    start, low, high = (value[key] for key in ("start", "min", "max"))
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in (start, low, high))
    if numbers and not low < high:
        raise _said(f"its bounds are {low} and {high}", "'min' must be below 'max'")
    if numbers and not low <= start <= high:
        raise _said(f"it starts at {start}, outside its bounds {low} and {high}", "start between them")
    return value


class ParameterSpec(_Strict):
    """A number that is fitted, as written under its name."""

    start: Number
    min: Number
    max: Number
    units: str | None = None


def _inputs_of_residual(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        return value
    raise _said(f"'residual' cannot be {shown(value)}", "write true, false, or a list of inputs of the node")


class FunctionEntry(_Strict):
    """What stands under the name of a node in `expert_functions`.

    With `parameters` or `residual` the node is learned: what the function says, and what a network adds.
    """

    node_function: Code
    parameters: dict[str, Annotated[ParameterSpec, BeforeValidator(_parameter)]] = {}
    residual: Annotated[bool | list[str] | None, BeforeValidator(_inputs_of_residual)] = None

    @property
    def is_learned(self) -> bool:
        return bool(self.parameters) or self.residual not in (None, False)

    def principles(self) -> FirstPrinciples:
        """The same as plain values. Of a function with parameters a network adds something unless it is told not to."""
        parameters = tuple(FreeParameter(name, **p.model_dump()) for name, p in self.parameters.items())
        seen = None
        if self.residual is False or isinstance(self.residual, list):
            seen = tuple(self.residual or ())
        return FirstPrinciples(self.node_function, parameters, seen)


NodeInputs = Annotated[list[str], BeforeValidator(lambda value: [] if value is None else value)]
"""The inputs of a node; nothing at all is an empty list, which the graph refuses in its own words."""

Options = Annotated[OptionsSpec, BeforeValidator(_nothing_is_empty)]


class Metadata(_Strict):
    """Everything under the key `metadata`."""

    graph: dict[str, NodeInputs]
    columns: list[Annotated[dict[str, ColumnSpec], BeforeValidator(_single_column)]]
    expert_functions: Annotated[dict[str, FunctionEntry], BeforeValidator(_nothing_is_empty)] = {}
    custom_nodes: Annotated[dict[str, Code], BeforeValidator(_nothing_is_empty)] = {}
    nodes: Annotated[dict[str, Options], BeforeValidator(_nothing_is_empty)] = {}
    metric_nodes: list[str] | None = None
    tunable: list[str] | None = None
    circle: Circles = ()
    version: Any = None


class DescriptionFile(_Strict):
    """A whole description file."""

    metadata: Metadata


def shown(value: Any) -> str:
    """`value` as a message may show it."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
