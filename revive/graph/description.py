"""Reads a description file (YAML) into a DecisionGraph; says everything that is wrong with it at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from revive.errors import Problems, UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.schema import NOT_YET, ColumnSpec, DescriptionFile, explain
from revive.graph.structure import Fault, structure_faults
from revive.graph.yaml_tree import KeyPath, YamlTree, read_yaml

_log = logging.getLogger("revive")


def read_description(path: Path | str) -> DecisionGraph:
    """The graph that the YAML file `path` describes.

    Raises UserError with every problem, each with file, line and key path. Described nodes that the graph
    does not use are left out with a warning.
    """
    path = Path(path)
    problems = Problems()
    tree = read_yaml(path, problems)
    _check_shape(path, tree, problems)
    outline = _Outline.of(tree)
    columns = _columns(path, tree, problems)
    outline.add_duplicates(path, tree, problems)
    for fault in structure_faults(outline.inputs, outline.described):
        if outline.complete or not fault.tentative:
            problems.add(fault.what, file=path, place=tree.place(outline.locate(fault)), remedy=fault.advice)
    problems.raise_if_any()
    graph = DecisionGraph.build(columns, outline.inputs)
    unused = [name for name in outline.described if name not in graph]
    if unused:
        _log.warning("%s: described, but not in the graph and so not used: %s", path, ", ".join(unused))
    return graph


def _check_shape(path: Path, tree: YamlTree, problems: Problems) -> None:
    try:
        DescriptionFile.model_validate(tree.value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            what, remedy = explain(detail)
            problems.add(what, file=path, place=tree.place(detail["loc"]), remedy=remedy)
    metadata = _map(_map(tree.value).get("metadata"))
    for key in NOT_YET:
        if metadata.get(key):
            place = tree.place(("metadata", key))
            problems.add(f"'{key}' cannot be executed yet", file=path, place=place, remedy="remove it")


def _columns(path: Path, tree: YamlTree, problems: Problems) -> list[Column]:
    """The columns that are well-formed; adds where their attributes contradict each other."""
    columns: list[Column] = []
    for name, attributes, at in _column_entries(tree):
        try:
            columns.append(ColumnSpec.model_validate(attributes).column(name))
        except ValidationError:
            continue  # reported with the shape of the whole file
        except UserError as error:
            for problem in error.problems:
                problems.add(
                    f"'{name}': {problem.what}", file=path, place=tree.place(at), remedy=problem.remedy
                )
    return columns


def _column_entries(tree: YamlTree) -> Iterator[tuple[str, Any, KeyPath]]:
    """Name, attributes and key path of each entry under `columns`, whatever they hold."""
    entries = _map(_map(tree.value).get("metadata")).get("columns")
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        for name, attributes in _map(entry).items():
            yield name, attributes, ("metadata", "columns", number, name)


@dataclass(frozen=True)
class _Outline:
    """What can be told about the graph even where parts of the file are malformed.

    `complete` is false where the graph is missing or some column does not say which node it belongs to.
    """

    inputs: Mapping[str, list[str]]
    described: Mapping[str, KeyPath]
    columns: tuple[tuple[str, str, KeyPath], ...]
    complete: bool

    @classmethod
    def of(cls, tree: YamlTree) -> _Outline:
        metadata = _map(_map(tree.value).get("metadata"))
        inputs = {node: _names(sources) for node, sources in _map(metadata.get("graph")).items()}
        columns: list[tuple[str, str, KeyPath]] = []
        complete = isinstance(metadata.get("columns"), list) and isinstance(metadata.get("graph"), Mapping)
        for name, attributes, at in _column_entries(tree):
            dim = _map(attributes).get("dim")
            if isinstance(dim, str):
                columns.append((name, dim, at))
            complete = complete and isinstance(dim, str)
        described: dict[str, KeyPath] = {}
        for _, dim, at in columns:
            described.setdefault(dim, (*at, "dim"))
        return cls(inputs, described, tuple(columns), complete)

    def add_duplicates(self, path: Path, tree: YamlTree, problems: Problems) -> None:
        first: dict[tuple[str, str], KeyPath] = {}
        for name, dim, at in self.columns:
            if (dim, name) in first:
                line = tree.lines[first[dim, name]]
                what = f"node '{dim}' has a column '{name}' already, in line {line}"
                problems.add(what, file=path, place=tree.place(at), remedy="give one of them another name")
            first.setdefault((dim, name), at)

    def locate(self, fault: Fault) -> KeyPath:
        """The key path of a fault."""
        if fault.section == "columns":
            return self.described[fault.node]
        at: KeyPath = ("metadata", "graph", fault.node) if fault.node else ("metadata", "graph")
        return at if fault.position is None else (*at, fault.position)


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _names(sources: Any) -> list[str]:
    if isinstance(sources, str):
        return [sources]
    return (
        [source for source in sources if isinstance(source, str)] if isinstance(sources, list | dict) else []
    )
