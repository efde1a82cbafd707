"""What can be told about a description even where parts of it are malformed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from revive.errors import Problems, UserError
from revive.graph.columns import Column
from revive.graph.declaration import Declaration, NodeOptions
from revive.graph.nodes import CodeRef
from revive.graph.schema import Circles, Code, ColumnSpec, FunctionEntry, OptionsSpec
from revive.graph.structure import Fault
from revive.graph.yaml_tree import KeyPath, Place, YamlTree

_Spec = TypeVar("_Spec", bound=BaseModel)


@dataclass(frozen=True)
class Outline:
    """A description's declaration as far as it can be read, and where its parts stand.

    `complete` is false where part of it is missing or malformed, so that what seems to be missing elsewhere
    may only have been overlooked. A column whose attributes are wrong takes part as a continuous one.
    """

    declaration: Declaration
    described: Mapping[str, KeyPath]
    columns: tuple[tuple[str, str, KeyPath], ...]
    complete: bool

    @classmethod
    def read(cls, tree: YamlTree, file: Place, problems: Problems) -> Outline:
        """The outline of `tree`. Adds columns whose attributes contradict each other to `problems`."""
        metadata = as_map(as_map(tree.value).get("metadata"))
        parts = _Parts(metadata)
        columns: list[Column] = []
        places: list[tuple[str, str, KeyPath]] = []
        described: dict[str, KeyPath] = {}
        for name, attributes, at in parts.column_entries():
            dim = as_map(attributes).get("dim")
            if not isinstance(dim, str):
                parts.complete = False
                continue
            column = _column(name, attributes, at, tree, file, problems)
            columns.append(column or Column(name, dim, "continuous"))
            places.append((name, dim, at))
            described.setdefault(dim, (*at, "dim"))
        declaration = Declaration.of(
            columns,
            {node: parts.names(sources) for node, sources in parts.section("graph").items()},
            options=parts.options(),
            functions=parts.functions(),
            custom=parts.custom(),
            tunable=tuple(parts.names(metadata.get("tunable"))),
            metric_nodes=None
            if metadata.get("metric_nodes") is None
            else tuple(parts.names(metadata["metric_nodes"])),
            circle=parts.circle(),
        )
        return cls(declaration, described, tuple(places), parts.complete)

    def add_duplicates(self, tree: YamlTree, file: Place, problems: Problems) -> None:
        """Adds the columns that stand in their node a second time."""
        first: dict[tuple[str, str], KeyPath] = {}
        for name, dim, at in self.columns:
            if (dim, name) in first:
                line = tree.lines.get(first[dim, name])
                what = f"node '{dim}' has a column '{name}' already" + (f", in line {line}" if line else "")
                problems.add(what, file=file, place=tree.place(at), remedy="give one of them another name")
            first.setdefault((dim, name), at)

    def locate(self, fault: Fault) -> KeyPath:
        """The key path of a fault."""
        if fault.section == "columns":
            return self.described[fault.node]
        parts: list[str | int] = ["metadata", fault.section]
        if fault.section not in ("tunable", "metric_nodes", "circle"):
            parts += [part for part in (fault.node, fault.key) if part]
        return (*parts, *(() if fault.position is None else (fault.position,)))


class _Parts:
    """Reads the sections one by one; `complete` turns false where something could not be read."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self.metadata = metadata
        self.complete = isinstance(metadata.get("columns"), list) and isinstance(
            metadata.get("graph"), Mapping
        )

    def column_entries(self) -> Iterator[tuple[str, Any, KeyPath]]:
        """Name, attributes and key path of each entry under `columns`, whatever they hold."""
        entries = self.metadata.get("columns")
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            self.complete = self.complete and isinstance(entry, Mapping) and len(entry) == 1
            for name, attributes in as_map(entry).items():
                yield name, attributes, ("metadata", "columns", number, name)

    def section(self, name: str) -> Mapping[str, Any]:
        """A section that is a map; empty where it is nothing or something else."""
        value = self.metadata.get(name)
        self.complete = self.complete and (value is None or isinstance(value, Mapping))
        return as_map(value)

    def names(self, value: Any) -> list[str]:
        """The names in a list of names."""
        if value is None:
            return []
        items = [value] if isinstance(value, str) else [*value] if isinstance(value, list | dict) else []
        found = [item for item in items if isinstance(item, str)]
        self.complete = self.complete and isinstance(value, list) and len(found) == len(items)
        return found

    def options(self) -> dict[str, NodeOptions]:
        """The options that are well-formed."""
        specs = {node: self._valid(OptionsSpec, value) for node, value in self.section("nodes").items()}
        return {node: spec.options() for node, spec in specs.items() if spec is not None}

    def functions(self) -> dict[str, CodeRef]:
        """The expert functions that are well-formed."""
        entries = self.section("expert_functions").items()
        specs = {node: self._valid(FunctionEntry, value) for node, value in entries}
        return {node: spec.node_function for node, spec in specs.items() if spec is not None}

    def custom(self) -> dict[str, CodeRef]:
        """The custom nodes that are well-formed."""
        entries = self.section("custom_nodes").items()
        codes = {node: self._adapted(_CODE, value) for node, value in entries}
        return {node: code for node, code in codes.items() if code is not None}

    def circle(self) -> tuple[tuple[str, str], ...]:
        """The pairs of columns on a circle that stand beside the graph."""
        return self._adapted(_CIRCLES, self.metadata.get("circle")) or ()

    def _valid(self, spec: type[_Spec], value: Any) -> _Spec | None:
        return self._adapted(TypeAdapter(spec), {} if value is None else value)

    def _adapted(self, adapter: TypeAdapter[Any], value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError:
            self.complete = False
            return None


_CODE: TypeAdapter[CodeRef] = TypeAdapter(Code)
_CIRCLES: TypeAdapter[tuple[tuple[str, str], ...]] = TypeAdapter(Circles)


def _column(
    name: str, attributes: Any, at: KeyPath, tree: YamlTree, file: Place, problems: Problems
) -> Column | None:
    """The column, or None where it is malformed; adds where its attributes contradict each other."""
    try:
        return ColumnSpec.model_validate(attributes).column(name)
    except ValidationError:
        return None  # reported with the shape of the whole file
    except UserError as error:
        for problem in error.problems:
            place = tree.place(at)
            problems.add(f"'{name}': {problem.what}", file=file, place=place, remedy=problem.remedy)
        return None


def as_map(value: Any) -> Mapping[str, Any]:
    """`value` where it is a map, else an empty one."""
    return value if isinstance(value, Mapping) else {}
