"""Function nodes of the logs: worked out where they are not logged, compared with the log where they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from revive.data.trajectories import Trajectories
from revive.errors import Problems
from revive.graph.decision_graph import DecisionGraph

log = logging.getLogger("revive")

Array = NDArray[np.float64]
Function = Callable[[Mapping[str, Array]], Array]

LARGEST_DIFFERENCE = 1e-4  # between logged and computed values of a function node, relative to its spread


def with_functions(
    logs: Trajectories, graph: DecisionGraph, functions: Mapping[str, Function], ignore_check: bool = False
) -> Trajectories:
    """The same logs with the nodes that functions of the user compute, in physical units.

    functions: function node -> its code on arrays (N, d). ignore_check: a logged function node that differs from
    its function is kept as it was logged, and said. Raises UserError where a logged function node is not
    what its function says.
    """
    arrays = dict(logs.arrays)
    problems = Problems()
    for name in graph.order:
        if name not in functions or not all(source in arrays for source in graph[name].inputs):
            continue
        computed = functions[name]({source: arrays[source] for source in graph[name].inputs})
        if name in arrays:
            _compare(name, arrays[name], computed, logs, problems, ignore_check)
        else:
            arrays[name] = computed
    problems.raise_if_any()
    return replace(logs, arrays=arrays)


def _compare(
    name: str, logged: Array, computed: Array, logs: Trajectories, problems: Problems, ignored: bool
) -> None:
    known = ~(logs.missing or {}).get(name, np.zeros(logged.shape, dtype=bool))
    difference = np.abs(logged - computed) * known
    worst = float(difference.max(initial=0.0))
    if worst <= 1e-8:
        return
    allowed = LARGEST_DIFFERENCE * max(1.0, float(logged.std()))
    row = int(difference.max(axis=1).argmax())
    if worst > allowed and not ignored:
        problems.add(
            f"the logged values of '{name}' differ from its function by up to {worst:.3g}",
            place=f"row {row}: logged {logged[row].tolist()}, computed {computed[row].tolist()}",
            remedy="mend the function or the data, or leave the array out: it is then computed; or write "
            "dataset.ignore_check=true",
        )
    else:
        log.warning("the logged values of '%s' differ from its function by up to %.3g", name, worst)


def known_values(logs: Trajectories) -> dict[str, Array]:
    """node -> (N, d) in physical units, NaN where a value is missing; for statistics."""
    found = dict(logs.arrays)
    for name, mask in (logs.missing or {}).items():
        found[name] = np.where(mask, np.nan, logs.arrays[name])
    return found
