"""What can be told about a description even where parts of it are malformed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from revive.errors import Problems, UserError
from revive.graph.columns import Column
from revive.graph.declaration import Declaration, NodeOptions
from revive.graph.names import state_name
from revive.graph.nodes import CodeRef
from revive.graph.schema import Circles, Code, ColumnSpec, FunctionEntry, OptionsSpec
from revive.graph.structure import Fault
from revive.graph.yaml_tree import KeyPath, Place, YamlTree

_Spec = TypeVar("_Spec", bound=BaseModel)


@dataclass(frozen=True)
class Outline:
    """A description's declaration as far as it can be read, and where its parts stand.

    `complete` is false where part of it is missing or malformed, so that what seems to be missing elsewhere
    may only have been overlooked. A column whose attributes are wrong takes part as a continuous one. `shared` are
    the transitions that have columns of their own in the description, which repeat those of their states.
    """

    declaration: Declaration
    described: Mapping[str, KeyPath]
    columns: tuple[tuple[str, str, KeyPath], ...]
    complete: bool
    shared: tuple[str, ...] = ()

    @classmethod
    def read(cls, tree: YamlTree, file: Place, problems: Problems) -> Outline:
        """The outline of `tree`. Adds columns whose attributes contradict each other to `problems`."""
        metadata = as_map(as_map(tree.value).get("metadata"))
        parts = _Parts(metadata)
        columns: list[Column] = []
        places: list[tuple[str, str, KeyPath]] = []
        described: dict[str, KeyPath] = {}
        taken: set[tuple[str, str]] = set()
        for written, attributes, at in parts.column_entries():
            dim = as_map(attributes).get("dim")
            if not isinstance(dim, str):
                parts.complete = False
                continue
            name = _free_name(written, dim, taken)
            taken.add((dim, name))
            column = _column(name, attributes, at, tree, file, problems)
            columns.append(column or Column(name, dim, "continuous"))
            places.append((name, dim, at))
            described.setdefault(dim, (*at, "dim"))
        inputs = {node: parts.names(sources) for node, sources in parts.section("graph").items()}
        shared = tuple(node for node in inputs if _is_shared(node, columns))
        entries = parts.functions()
        declaration = Declaration.of(
            [column for column in columns if column.node not in shared],
            inputs,
            options=parts.options(),
            functions={node: entry.node_function for node, entry in entries.items() if not entry.is_learned},
            principles={node: entry.principles() for node, entry in entries.items() if entry.is_learned},
            custom=parts.custom(),
            tunable=tuple(parts.names(metadata.get("tunable"))),
            metric_nodes=None
            if metadata.get("metric_nodes") is None
            else tuple(parts.names(metadata["metric_nodes"])),
            circle=parts.circle(),
        )
        return cls(declaration, described, tuple(places), parts.complete, shared)

    def remarks(self, tree: YamlTree) -> Iterator[str]:
        """A sentence for each column whose name its node has already, and for columns that say nothing."""
        for name, dim, at in self.columns:
            if name != at[-1]:
                yield f"{tree.place(at)}: node '{dim}' has a column '{at[-1]}' already: this one is '{name}'"
        for node in self.shared:
            yield f"the columns of '{node}' are not read: it has those of '{state_name(node)}'"

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

    def functions(self) -> dict[str, FunctionEntry]:
        """The expert functions that are well-formed."""
        entries = self.section("expert_functions").items()
        specs = {node: self._valid(FunctionEntry, value) for node, value in entries}
        return {node: spec for node, spec in specs.items() if spec is not None}

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


def _is_shared(node: str, columns: Sequence[Column]) -> bool:
    """Whether a transition's own columns are of the kinds that those of its state are, one by one."""
    own, of_state = (
        [column.type for column in columns if column.node == name] for name in (node, state_name(node))
    )
    return bool(own) and own == of_state


def _free_name(written: str, node: str, taken: Collection[tuple[str, str]]) -> str:
    """The name of a column, with a number behind it where its node has one of that name."""
    name, number = written, 1
    while (node, name) in taken:
        number += 1
        name = f"{written}_{number}"
    return name


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
