"""Pydantic's complaints about a description, put into the user's words."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from revive.errors import suggestion
from revive.graph.schema import (
    ColumnSpec,
    DescriptionFile,
    FunctionEntry,
    Metadata,
    OptionsSpec,
    ParameterSpec,
    shown,
)
from revive.graph.yaml_tree import KeyPath

_BELOW: Final[dict[KeyPath, tuple[int, type[BaseModel]]]] = {
    ("columns",): (4, ColumnSpec),
    ("nodes",): (3, OptionsSpec),
    ("expert_functions",): (3, FunctionEntry),
}
"""Section of `metadata` -> how deep the key path of one of its entries is, and the shape of the entry."""

_EXAMPLES: Final[dict[KeyPath, str]] = {
    ("graph",): "write 'node: [inputs]' for each node that is computed",
    ("nodes",): "write 'node: {option: value}'",
    ("expert_functions",): "write 'node: {node_function: file.function}'",
    ("custom_nodes",): "write 'node: file.Class'",
}


def explain(error: ErrorDetails) -> tuple[str, str | None]:
    """What is wrong, as a clause, and its remedy."""
    path: KeyPath = error["loc"]
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "the file")
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            model = _model_at(path[:-1])
            return f"'{key}' is not known here", suggestion(key, model.model_fields if model else ())
        case "missing":
            return f"'{key}' is missing", _required(path[:-1])
        case "literal_error":
            choices = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
            return f"'{key}' cannot be {shown(value)}", suggestion(str(value)[:60], choices)
        case "said":
            return str(context["what"]), str(context["remedy"])
        case "string_type" if isinstance(value, bool | int | float):
            return f"a name is wanted, YAML reads {value!r} here", f"put it into quotes: '{value}'"
        case "list_type" if path[:2] == ("metadata", "graph"):
            return f"the inputs of '{key}' must be a list", f"write '{key}: [{_word(value)}]'"
        case "list_type" if path[-1:] == ("columns",):
            return "'columns' must be a list", "write '- ' in front of every column name"
        case "list_type":
            return f"'{key}' must be a list", f"write '{key}: [{_word(value)}]'"
        case "dict_type" | "model_type":
            return f"{shown(value)} stands where the keys of '{key}' should be", _required(path)
    return f"'{key}' cannot be {shown(value)}: {error['msg'][0].lower()}{error['msg'][1:]}", None


def _word(value: Any) -> str:
    return value[:60] if isinstance(value, str) else "node"


def _model_at(path: KeyPath) -> type[BaseModel] | None:
    """The shape that stands at a key path, None where any keys are allowed."""
    if len(path) < 2:
        return Metadata if path else DescriptionFile
    if path[1:2] == ("expert_functions",) and path[3:4] == ("parameters",):
        return ParameterSpec if len(path) == 5 else None
    depth, model = _BELOW.get(path[1:2], (0, None))
    return model if len(path) == depth else None


def _required(path: KeyPath) -> str | None:
    model = _model_at(path)
    if model is None:
        return _EXAMPLES.get(path[1:2])
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    names = required or model.model_fields
    return f"{'required' if required else 'possible'}: {', '.join(names)}"
