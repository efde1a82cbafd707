"""From an opened container to Trajectories: plan, load, check, fill, build what only has to be shifted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from revive.data.checks import ValueChecks
from revive.data.derive import is_read, with_derived
from revive.data.duration import seconds_per_step
from revive.data.machine import shown
from revive.data.missing import Filler
from revive.data.readers.container import UNUSED, Container, Loaded, MemoryArrays, Plan
from revive.data.readers.dividing import divided
from revive.data.readers.ends import plain_time
from revive.data.readers.masks import hide_missing
from revive.data.readers.opening import open_container
from revive.data.readers.options import ReadOptions
from revive.data.readers.order import time_scale
from revive.data.readers.planning import Planner
from revive.data.readers.rows import chosen, kept
from revive.data.resample import Grid, period_of, resampled
from revive.data.roles import Role, role_by_name
from revive.data.shift import shifted
from revive.data.trajectories import BoolArray, FloatArray, IntArray, Trajectories
from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph, NodeKind

_log = logging.getLogger("revive")
_INVENTED = 2  # times as many rows from which a finer grid is worth a word


def read_trajectories(data: Any, graph: DecisionGraph, options: ReadOptions | None = None) -> Trajectories:
    """The trajectories in `data`, for the nodes of `graph`: a file, a folder, or a frame of pandas, polars or pyarrow.

    npz and h5 hold an array (N, d) per node and `index`; tables (csv, txt, tsv, xlsx, parquet) hold a column per
    column of the description; a folder holds such tables, a trajectory in each, or a Minari dataset. `options` say
    what the file does not. Raises UserError with every problem that was found, in the file and in its values.
    """
    options = options or ReadOptions()
    with open_container(data, options.layout) as container:
        return _trajectories(container, graph, options)


def from_arrays(
    arrays: Mapping[str, np.ndarray], graph: DecisionGraph, source: str, options: ReadOptions | None = None
) -> Trajectories:
    """The trajectories in `arrays`: node -> (N, d) or, for one column, (N,); `index` -> (K,) ends.

    Transitions without an array are built from their states; the last row of each trajectory has none then
    and is dropped. Arrays that the graph does not know are dropped with a warning. `source` names the origin
    in messages. Raises UserError with every problem that was found.
    """
    return _trajectories(MemoryArrays(arrays, source), graph, options or ReadOptions())


def _trajectories(container: Container, graph: DecisionGraph, options: ReadOptions) -> Trajectories:
    source, problems = container.name, Problems()
    planner = Planner(container, graph, options, problems)
    plan, labels = planner.plan(), planner.labels()
    loaded = load_within(container, plan, labels, options, problems)
    hide_missing(loaded, container.owns, source, problems)
    rows = _rows(loaded, graph, source, problems)
    _blank_out(loaded, plan, container, options)
    found, order = None, None
    if rows != 0 and not (rows is None and problems and "index" not in labels and not container.is_table):
        found, order = divided(container, loaded, rows, options, problems)
    ends = None if found is None else found.ends
    absent = [name for name in graph.transitions if name not in plan and is_read(graph, name)]
    if ends is not None and rows is not None:
        _spread_tunable(loaded, graph, ends, source, problems)
        if options.where is not None and not problems:
            ends = _wanted(
                loaded, ends, chosen(loaded, options, order, rows, source), absent, options, source
            )
    _check_values(loaded, graph, None if rows is None else ends, options, source, problems)
    if absent and ends is not None and not problems:
        _check_lengths(ends, absent, source, problems)
    if problems or ends is None or found is None:
        raise UserError(*problems)
    used = [part.source for parts in plan.values() for part in parts] + [*labels.values()]
    if extras := planner.extras(used):
        kind = "columns" if container.is_table else "arrays"
        said = "%s: %s that the description does not name are not used: %s"
        _log.warning(said, source, kind, extras, extra={"about": UNUSED})
    read = _built(container, loaded, graph, options, ends, absent)
    return replace(
        with_derived(read, graph),
        told_by=found.by,
        unused_times=_times(container, options, used),
        step_seconds=_step_seconds(container, options, read),
    )


def _wanted(
    loaded: Loaded, ends: IntArray, keep: BoolArray, absent: list[str], options: ReadOptions, source: str
) -> IntArray:
    """Keeps the rows that fulfil `where`; their ends."""
    ends = kept(loaded, keep, ends, 2 if absent else 1)
    if not len(ends):
        what = f"no two rows in succession fulfil 'where': {options.where}"
        raise UserError(Problem(what, source, "dataset.where"))
    return ends


def _check_values(
    loaded: Loaded,
    graph: DecisionGraph,
    ends: IntArray | None,
    options: ReadOptions,
    source: str,
    problems: Problems,
) -> None:
    breaks = Problems() if options.ignore_check else None
    ValueChecks(graph, loaded.arrays, ends, source, problems, options.masks, breaks=breaks).run()
    for ignored in breaks or ():
        _log.warning("%s (ignored)", ignored)


def _built(
    container: Container,
    loaded: Loaded,
    graph: DecisionGraph,
    options: ReadOptions,
    ends: IntArray,
    absent: list[str],
) -> Trajectories:
    """Of rows that were checked: resampled, filled, and with the transitions that follow from the states."""
    time, masked = plain_time(loaded.labels.get("time")), options.masks
    if options.resample is not None:
        time, ends, absent = _resampled(loaded, graph, options, time, ends, container)
        masked = True
    missing = Filler(graph, ends, container.name, container.owns).fill(loaded.arrays) if masked else None
    if absent:
        return shifted(loaded.arrays, missing, time, ends, graph, absent, container.owns)
    return Trajectories(_ordered(loaded.arrays, graph), ends, missing, time)


def _step_seconds(container: Container, options: ReadOptions, read: Trajectories) -> float | None:
    if read.time is None or options.time is None:
        return None
    scale = time_scale(options.time, container.infos[options.time], read.time)
    return seconds_per_step(read.time, read.ends, scale)


def _times(container: Container, options: ReadOptions, used: Sequence[str]) -> tuple[str, ...]:
    """What looks like the times of the rows, where none are read."""
    if options.time is not None:
        return ()
    taken = {*used}
    free = {name: info for name, info in container.infos.items() if name not in taken and info.width == 1}
    dated = [name for name, info in free.items() if info.kind == "dates"]
    named = [n for n, i in free.items() if i.kind in ("numbers", "text") and role_by_name(n) is Role.TIME]
    return tuple(sorted(dated, key=lambda name: free[name].holds != "dates") + named)


def load_within(
    container: Container, plan: Plan, labels: Mapping[str, str], options: ReadOptions, problems: Problems
) -> Loaded:
    """What `plan` and `labels` name. Raises UserError where it takes more memory than `options` allow."""
    width = sum(part.width for parts in plan.values() for part in parts)
    rows = max((container.infos[parts[0].source].shape[0] for parts in plan.values()), default=0)
    largest = max((int(np.prod(container.infos[s].shape, dtype=float)) for s in labels.values()), default=0)
    size, limit = 8 * max(rows * width, largest), options.size_limit
    try:
        if container.owns and size > limit:
            raise MemoryError
        return container.load(plan, labels, problems, limit)
    except MemoryError:
        needed = shown(size) if size > 0 else "more than there is"
        what = f"its arrays would take {needed} of memory ({rows} rows of {width} columns), "
        what += f"the limit is {shown(limit)}: what is done with them takes three times as much"
        remedy = "describe fewer columns, or read a file of fewer rows"
        raise UserError(Problem(what, container.name, remedy=remedy)) from None


def _rows(loaded: Loaded, graph: DecisionGraph, source: str, problems: Problems) -> int | None:
    """The number of rows, 0 and a problem where there are none, None where the arrays disagree."""
    counts = {len(array) for name, array in loaded.arrays.items() if not _is_tunable(graph, name)}
    rows = counts.pop() if len(counts) == 1 else None
    if rows == 0:
        problems.add("the arrays have no rows", file=source, remedy="check how the file was written")
    return rows


def _blank_out(loaded: Loaded, plan: Plan, container: Container, options: ReadOptions) -> None:
    """Writes NaN where a number stands for "no value"."""
    if options.missing_values is None:
        return
    for node, parts in plan.items():
        if node not in loaded.arrays:
            continue
        array, begin = loaded.arrays[node], 0
        if not container.owns:
            loaded.arrays[node] = array = array.copy()
        for part in parts:
            columns = array[:, begin : begin + part.width]
            begin += part.width
            for value in options.missing_in(part.source):
                columns[np.isclose(columns, value, rtol=1e-6, atol=0)] = np.nan


def _resampled(
    loaded: Loaded,
    graph: DecisionGraph,
    options: ReadOptions,
    time: FloatArray | None,
    ends: IntArray,
    container: Container,
) -> tuple[FloatArray, IntArray, list[str]]:
    """Puts the rows on an even grid; its times, ends, and the transitions, which follow from the states."""
    assert options.resample is not None
    assert options.time is not None
    assert time is not None
    period, in_seconds = period_of(options.resample)
    if in_seconds:
        scale = time_scale(options.time, container.infos[options.time], time)
        if scale is None:
            what = f"the unit of '{options.time}' is not known"
            remedy = "write resample in that unit, as a bare number"
            raise UserError(Problem(what, container.name, "dataset.resample", remedy))
        period /= scale
    absent = [name for name in graph.transitions if is_read(graph, name)]
    states = {name: array for name, array in loaded.arrays.items() if name not in absent}
    grid = Grid(time, ends, period, container.name)
    loaded.arrays = resampled(graph, states, grid, options.resample_how or {})
    problems = Problems()
    _check_lengths(grid.ends, absent, container.name, problems)
    problems.raise_if_any()
    said = f"{len(time)} rows resampled to {len(grid.times)}, one in {options.resample}"
    if len(grid.times) > _INVENTED * len(time):
        said += ": a shorter period than that of the log, so most of them repeat or join what was measured"
    _log.warning("%s: %s", container.name, said)
    return grid.times, grid.ends, absent


def _is_tunable(graph: DecisionGraph, name: str) -> bool:
    return graph[name].kind is NodeKind.TUNABLE


def _spread_tunable(
    loaded: Loaded, graph: DecisionGraph, ends: IntArray, source: str, problems: Problems
) -> None:
    """Gives tunable nodes, (K, d) with a row for each trajectory, a row for each time step."""
    for name in [name for name in loaded.arrays if _is_tunable(graph, name)]:
        array, rows = loaded.arrays[name], int(ends[-1])
        if len(array) == len(ends):
            loaded.arrays[name] = np.repeat(array, np.diff(ends, prepend=0), axis=0)
        elif len(array) != rows:
            what = f"'{name}' has {len(array)} rows, but there are {len(ends)} trajectories of {rows} rows"
            problems.add(what, file=source, place=name, remedy="a row for each trajectory, or each time step")
            del loaded.arrays[name]


def _check_lengths(ends: IntArray, absent: list[str], source: str, problems: Problems) -> None:
    short = np.flatnonzero(np.diff(ends, prepend=0) < 2)
    if len(short):
        shown = ", ".join(map(str, short[:3])) + (", ..." if len(short) > 3 else "")
        what = f"trajectories of a single row ({shown}) cannot give the missing {', '.join(absent)}"
        problems.add(what, file=source, place="index", remedy="drop these trajectories or add the arrays")


def _ordered(arrays: Mapping[str, FloatArray], graph: DecisionGraph) -> dict[str, FloatArray]:
    return {name: arrays[name] for name in graph.nodes if name in arrays}
