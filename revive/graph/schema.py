"""The shape of a description file, and pydantic's complaints about it put into the user's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, FiniteFloat
from pydantic_core import ErrorDetails, PydanticCustomError

from revive.errors import suggestion
from revive.graph.columns import Column, ColumnType
from revive.graph.yaml_tree import KeyPath


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnSpec(_Strict):
    """The attributes of one column, as written under its name."""

    dim: str
    type: ColumnType
    min: FiniteFloat | None = None
    max: FiniteFloat | None = None
    num: int | None = None
    values: list[FiniteFloat] | None = None
    fit: bool = True
    units: str | None = None
    description: str | None = None

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
        what = f"one entry holds several columns: {', '.join(map(str, item))}"
    else:
        what = f"{item!r} is no column"
    raise PydanticCustomError("column_entry", "{what}", {"what": what, "remedy": remedy})


NodeInputs = Annotated[list[str], BeforeValidator(lambda value: [] if value is None else value)]
"""The inputs of a node; nothing at all is an empty list, which the graph refuses in its own words."""


class Metadata(_Strict):
    """Everything under the key `metadata`."""

    graph: dict[str, NodeInputs]
    columns: list[Annotated[dict[str, ColumnSpec], BeforeValidator(_single_column)]]
    expert_functions: Any = None
    custom_nodes: Any = None
    nodes: Any = None
    metric_nodes: Any = None
    tunable: Any = None
    version: Any = None


NOT_YET = ("expert_functions", "custom_nodes", "nodes", "metric_nodes", "tunable")
"""Keys of the format that nothing executes yet; refused rather than overlooked."""


class DescriptionFile(_Strict):
    """A whole description file."""

    metadata: Metadata


def explain(error: ErrorDetails) -> tuple[str, str | None]:
    """What is wrong, as a clause, and its remedy."""
    path: KeyPath = error["loc"]
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "the file")
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"'{key}' is not known here", suggestion(key, _model_at(path[:-1]).model_fields)
        case "missing":
            return f"'{key}' is missing", _missing_remedy(path)
        case "literal_error":
            choices = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
            return f"'{key}' cannot be {value!r}", suggestion(str(value), choices)
        case "column_entry":
            return str(context["what"]), str(context["remedy"])
        case "string_type" if isinstance(value, bool | int | float):
            return f"a name is wanted, YAML reads {value!r} here", f"put it into quotes: '{value}'"
        case "list_type" if len(path) == 3:
            return f"the inputs of '{key}' must be a list", f"write '{key}: [{value or 'input'}]'"
        case "list_type" if path[-1:] == ("columns",):
            return "'columns' must be a list", "write '- ' in front of every column name"
        case "dict_type" | "model_type":
            return f"{_shown(value)} stands where the keys of '{key}' should be", _missing_remedy((*path, ""))
    return f"'{key}' cannot be {_shown(value)}: {error['msg'][0].lower()}{error['msg'][1:]}", None


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _model_at(path: KeyPath) -> type[BaseModel]:
    if not path:
        return DescriptionFile
    return ColumnSpec if len(path) > 1 else Metadata


def _missing_remedy(path: KeyPath) -> str | None:
    model = _model_at(path[:-1])
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    return f"required: {', '.join(required)}"
