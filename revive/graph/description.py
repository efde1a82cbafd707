"""Reads a description (YAML) into a DecisionGraph; says everything that is wrong with it at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from revive.errors import Problem, Problems
from revive.graph.code import CodeError, CodeFolder, Wanted
from revive.graph.complaints import explain
from revive.graph.decision_graph import DecisionGraph
from revive.graph.names import change_source, history_name
from revive.graph.nodes import CodeRef, FirstPrinciples
from revive.graph.outline import Outline
from revive.graph.schema import DescriptionFile
from revive.graph.structure import structure_faults
from revive.graph.yaml_tree import KeyPath, Place, YamlTree, plain_tree, read_yaml

_log = logging.getLogger("revive")
_MOST_PROBLEMS: Final = 50


def read_description(path: Path | str) -> DecisionGraph:
    """The graph that the YAML file `path` describes; Python files that it names lie beside it.

    Raises UserError with every problem, each with file, line and key path. Described nodes that the graph
    does not use are left out with a warning.
    """
    path = Path(path)
    problems = Problems()
    return _Reading(path, read_yaml(path, problems), path.parent, problems).graph()


def parse_description(
    mapping: Mapping[str, Any], source: str, folder: Path | str | None = None
) -> DecisionGraph:
    """The graph that `mapping` describes, which has the content of a description file.

    source: where the mapping comes from, for messages. folder: where the Python files lie that it names.
    Raises UserError with every problem, each with its key path.
    """
    problems = Problems()
    tree = plain_tree(mapping, source, problems)
    return _Reading(source, tree, None if folder is None else Path(folder), problems).graph()


class _Reading:
    """One description on its way to a graph: its values, where they stand, and what is wrong with them."""

    def __init__(self, file: Place, tree: YamlTree, folder: Path | None, problems: Problems) -> None:
        self._file, self._tree, self._problems = file, tree, problems
        self._code = CodeFolder(folder)

    def graph(self) -> DecisionGraph:
        """The graph. Raises UserError with every problem."""
        self._check_shape()
        outline = Outline.read(self._tree, self._file, self._problems)
        said = outline.declaration
        said = replace(
            said,
            functions=self._found(said.functions, "expert_functions", "function"),
            custom=self._found(said.custom, "custom_nodes", "class"),
            principles=self._principles(said.principles),
        )
        if outline.complete:
            graph, faults = DecisionGraph.attempt(said)
        else:
            found = structure_faults(said.inputs, said.columns, said.implied)
            graph, faults = None, [fault for fault in found if not fault.tentative]
        for fault in islice(faults, _MOST_PROBLEMS + 1):
            self._add(fault.what, outline.locate(fault), fault.advice)
        self._raise_if_any()
        assert graph is not None
        self._warn(graph, outline)
        return graph

    def _check_shape(self) -> None:
        try:
            DescriptionFile.model_validate(self._tree.value)
        except ValidationError as error:
            for detail in error.errors(include_url=False)[: _MOST_PROBLEMS + 1]:
                what, remedy = explain(detail)
                self._add(what, detail["loc"], remedy)

    def _found(self, code: Mapping[str, CodeRef], section: str, wanted: Wanted) -> dict[str, CodeRef]:
        """The user's code with what its files say about it; adds what they do not define."""
        found = dict(code)
        for node, reference in code.items():
            try:
                found[node] = self._code.find(reference, wanted)
            except CodeError as error:
                below = ("node_function",) if section == "expert_functions" else ()
                self._add(error.what, ("metadata", section, node, *below), error.remedy)
        return found

    def _principles(self, said: Mapping[str, FirstPrinciples]) -> dict[str, FirstPrinciples]:
        """The same of functions whose node is learned: torch functions, of the parameters too where there are some."""
        found = dict(said)
        for node, own in said.items():
            try:
                code = self._code.find(own.code, "function", 2 if own.parameters else 1)
            except CodeError as error:
                self._add(error.what, ("metadata", "expert_functions", node, "node_function"), error.remedy)
                continue
            found[node] = replace(own, code=replace(code, library="torch"))
        return found

    def _add(self, what: str, at: KeyPath, remedy: str | None) -> None:
        self._problems.add(what, file=self._file, place=self._tree.place(at), remedy=remedy)

    def _raise_if_any(self) -> None:
        more = len(self._problems) - _MOST_PROBLEMS
        if more > 0:
            del self._problems[_MOST_PROBLEMS:]
            self._problems.append(Problem("there are more problems than these", self._file))
        self._problems.raise_if_any()

    def _warn(self, graph: DecisionGraph, outline: Outline) -> None:
        said = outline.declaration
        for sentence in outline.remarks(self._tree):
            _log.warning("%s: %s", self._file, sentence)
        for node in said.whole_stacks:
            what = "%s: of '%s' the newest frame is learned; the others are what they were a step before"
            _log.warning(what, self._file, node)
        for name in graph.changes:
            if change_source(name) is None:
                what = "%s: '%s' is taken for a part of the plant, not for a decision: it is predicted, never replayed"
                _log.warning(what, self._file, name)
        unused = [name for name in said.columns if name not in graph]
        if unused:
            names = ", ".join(unused)
            _log.warning("%s: described, but not in the graph and so not used: %s", self._file, names)
        kept = {node.history.source for node in graph.all_nodes if node.history}
        idle = [name for name, option in said.options.items() if (option.ts or 0) > 1 and name not in kept]
        if idle:
            names = ", ".join(history_name(name) for name in idle)
            _log.warning("%s: 'ts' is given, but nothing takes %s", self._file, names)
        dropped = [name for name in graph.judged or () if name not in graph.metric_nodes]
        if dropped:
            names = ", ".join(dropped)
            _log.warning("%s: not learned from data, so no model is judged by: %s", self._file, names)
