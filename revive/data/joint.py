"""The values of a joint decision (see `revive.graph.joint`) beside those of its parts. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from revive.data.trajectories import FloatArray, Trajectories
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

_KINDS = {"continuous": 0, "discrete": 1, "category": 2}


def places(parts: Sequence[Sequence[Column]]) -> list[list[int]]:
    """Of each part's model-space dimensions, where they stand in the node that has the columns of all parts.

    A node groups its columns by type, so that the parts do not simply stand side by side.
    """
    owner = [(p, i) for p, columns in enumerate(parts) for i in range(len(columns))]
    grouped = sorted(owner, key=lambda at: _KINDS[parts[at[0]][at[1]].type])
    widths = [_width(parts[p][i]) for p, i in grouped]
    found: list[list[int]] = [[] for _ in parts]
    for (p, _), stop, width in zip(grouped, accumulate(widths), widths, strict=True):
        found[p] += range(stop - width, stop)
    return found


def _width(column: Column) -> int:
    if column.type == "category":
        return len(column.values or ())
    return 2 if column.type == "continuous" and column.scale == "cyclic" else 1


def places_of(graph: DecisionGraph, joint: str) -> dict[str, list[int]]:
    """Part of a joint decision -> where its model-space dimensions stand in it."""
    names = [part for part, _ in graph[joint].parts]
    return dict(zip(names, places([graph.columns(name) for name in names]), strict=True))


def joint_arrays(graph: DecisionGraph, arrays: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """`arrays`, node -> (N, d), with those of joint decisions of which all parts are there."""
    found = dict(arrays)
    for name, parts in _parts(graph).items():
        if all(part in arrays for part in parts):
            found[name] = np.concatenate([arrays[part] for part in parts], axis=1)
    return found


def with_joint(logs: Trajectories, graph: DecisionGraph) -> Trajectories:
    """Logs with the values of joint decisions, and where they are missing."""
    if not _parts(graph):
        return logs
    missing = dict(logs.missing or {})
    for name, parts in _parts(graph).items():
        if any(part in missing for part in parts):
            masks = [missing.get(part, np.zeros(logs.arrays[part].shape, dtype=bool)) for part in parts]
            missing[name] = np.concatenate(masks, axis=1)
    return replace(logs, arrays=joint_arrays(graph, logs.arrays), missing=missing or None)


def _parts(graph: DecisionGraph) -> dict[str, list[str]]:
    return {node.name: [part for part, _ in node.parts] for node in graph.all_nodes if node.parts}
