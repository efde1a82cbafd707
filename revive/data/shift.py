"""Transitions that a log does not hold: the next row of their states, inside each trajectory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from revive.data.trajectories import BoolArray, FloatArray, IntArray, Trajectories
from revive.graph.decision_graph import DecisionGraph


def shifted(
    arrays: dict[str, FloatArray],
    missing: Mapping[str, BoolArray] | None,
    time: FloatArray | None,
    ends: IntArray,
    graph: DecisionGraph,
    absent: list[str],
    owns: bool,
) -> Trajectories:
    """Trajectories without their last rows, which have no successor; `absent` are built from their states.

    arrays, missing: node -> (N, d). `owns`: arrays may be overwritten and are, so that none is held twice.
    Needs two rows in each trajectory.
    """
    starts = np.concatenate([[0], ends[:-1]])
    built, masks = {}, {}
    for name in absent:
        state = graph.state_of(name)
        built[name] = _joined(arrays[state], starts + 1, ends)
        if missing and state in missing:
            masks[name] = _joined(missing[state], starts + 1, ends)
    for name in list(arrays):
        short = _compacted if owns else _joined
        built[name] = short(arrays.pop(name), starts, ends - 1)
    for name, mask in (missing or {}).items():
        masks[name] = _joined(mask, starts, ends - 1)
    short_time = None if time is None else _joined(time, starts, ends - 1)
    ordered = {name: built[name] for name in graph.nodes if name in built}
    return Trajectories(ordered, ends - np.arange(1, len(ends) + 1), masks or None, short_time)


def _joined(array: NDArray, starts: IntArray, ends: IntArray) -> NDArray:
    if len(starts) == 1:
        return array[starts[0] : ends[0]]
    return np.concatenate([array[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])


def _compacted(array: NDArray, starts: IntArray, ends: IntArray) -> NDArray:
    """As `_joined`, moved within the memory of `array`."""
    row = int(ends[0])
    for start, end in zip(starts[1:].tolist(), ends[1:].tolist(), strict=True):
        array[row : row + end - start] = array[start:end]
        row += end - start
    return array[:row]
