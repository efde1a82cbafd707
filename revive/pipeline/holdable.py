"""Whether a bundle will be able to hold what a description names: asked before anything is learned from it."""

from __future__ import annotations

from pathlib import Path

from revive.bundles.manifest import validated
from revive.bundles.spec import GraphSpec
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph

_REMEDY = "leave columns out, or give them shorter names"


def require_holdable(graph: DecisionGraph, file: Path | str | None) -> None:
    """Raises UserError where the graph of the description `file` is larger than a bundle may be."""
    fields = graph.to_json()
    names = [node["name"] for node in fields["nodes"]]
    try:
        validated(GraphSpec, fields, Path(file or "description"))
    except UserError as error:
        problems = [
            Problem(f"no bundle can hold this: {p.what}", file, _place(p.place or "", names), _REMEDY)
            for p in error.problems
        ]
        raise UserError(*problems) from None


def _place(place: str, names: list[str]) -> str | None:
    """`nodes.3.columns.0.name` with the name of the node for its number."""
    parts = place.split(".")
    if parts[0] == "nodes" and len(parts) > 1 and parts[1].isdigit():
        parts[1] = names[int(parts[1])][:60]
    return ".".join(parts) or None
