"""Whether a bundle can hold what a description names, and the memory what is learned: asked before anything is."""

from __future__ import annotations

from pathlib import Path

from revive.bundles.manifest import validated
from revive.bundles.spec import GraphSpec
from revive.config.settings import Settings
from revive.data.machine import machine_memory, shown
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph

_PER_WEIGHT = 20  # bytes: itself, its gradient, two moments of Adam, the best one so far
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


def require_memory(graph: DecisionGraph, settings: Settings) -> None:
    """Raises UserError where no memory holds the linear part of the venv that is to be learned: inputs x outputs."""
    if settings.venv.mode == "none":
        return
    width = {name: graph[name].width for name in graph.nodes}
    weights = sum(width[name] * sum(width[source] for source in graph[name].inputs) for name in graph.learned)
    members, limit = 2 * settings.venv.members, machine_memory()
    needed = _PER_WEIGHT * members * weights
    if needed > limit:
        what = (
            f"learning takes {shown(needed)} of memory at least ({members} members of both halves, each with "
        )
        what += f"{weights} weights from inputs to outputs), this machine has {shown(limit)}"
        raise UserError(
            Problem(what, place="venv.members", remedy="describe fewer columns, or ask for fewer members")
        )


def _place(place: str, names: list[str]) -> str | None:
    """`nodes.3.columns.0.name` with the name of the node for its number."""
    parts = place.split(".")
    if parts[0] == "nodes" and len(parts) > 1 and parts[1].isdigit():
        parts[1] = names[int(parts[1])][:60]
    return ".".join(parts) or None
