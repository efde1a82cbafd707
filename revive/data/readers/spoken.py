"""Columns that options speak of and that are not there, so that the option would do nothing."""

from __future__ import annotations

from collections.abc import Mapping

from revive.data.readers.container import Container
from revive.data.readers.options import ReadOptions
from revive.errors import Problems, suggestion
from revive.graph.decision_graph import DecisionGraph

_LISTED = 40  # columns up to which a message lists them all


def check_spoken(
    container: Container, graph: DecisionGraph, options: ReadOptions, problems: Problems
) -> None:
    """Adds a problem for each name in `missing_values`, `table.codes` and `resample_how` that is not there."""
    values = options.missing_values
    described = {column.name for node in graph.nodes.values() for column in node.columns}
    known = {
        "missing_values": (values if isinstance(values, Mapping) else (), container.infos),
        "table.codes": ((options.layout.codes or ()) if container.is_table else (), container.infos),
        "resample_how": (options.resample_how or (), described),
    }
    for key, (names, there) in known.items():
        for name in names:
            if name not in there:
                said = suggestion(name, sorted(there))
                remedy = said.split("?")[0] + "?" if len(there) > _LISTED and "?" in said else said
                what = f"'{key}' speaks of '{name}', which is not there"
                problems.add(what, file=container.name, place=f"dataset.{key}", remedy=remedy)
