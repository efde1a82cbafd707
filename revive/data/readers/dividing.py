"""Rows divided into trajectories: put in order, brought together, and told where each one ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np

from revive.data.readers.container import TRAJECTORY, Container, Loaded
from revive.data.readers.ends import Ends, Found, index_ends, plain_time
from revive.data.readers.options import ReadOptions
from revive.data.readers.order import TimeOrder
from revive.data.readers.rows import grouped, ids, reorder
from revive.data.trajectories import FloatArray, IntArray
from revive.errors import Problems

_log = logging.getLogger("revive")


def divided(
    container: Container, loaded: Loaded, rows: int | None, options: ReadOptions, problems: Problems
) -> tuple[Found | None, IntArray | None]:
    """Where trajectories end, and the order (N,) that rows have now where they were brought together.

    rows: their number; None where the arrays disagree about it. Where the ends cannot be told a problem is added.
    """
    _put_forward(container, loaded, rows, options)
    order = _gather(container, loaded, rows, options)
    return _ends(container, loaded, rows, options, problems), order


def _put_forward(container: Container, loaded: Loaded, rows: int | None, options: ReadOptions) -> None:
    """Reverses rows that lie newest first before anything is told from the order of rows."""
    time = plain_time(loaded.labels.get("time"))
    if time is None or len(time) != rows or options.trajectories or "index" in loaded.labels:
        return
    pieces = np.array([rows], np.int64) if container.ends is None else container.ends
    _order(container, options).put_forward(loaded, time, pieces)


def _gather(container: Container, loaded: Loaded, rows: int | None, options: ReadOptions) -> IntArray | None:
    """Brings the rows of each trajectory together where they lie apart; the order (N,) that they have then."""
    names = ids(loaded.labels)
    if names is None or rows != len(names):
        return None
    order = grouped(loaded, names, plain_time(loaded.labels.get("time")), container.ends)
    if order is not None:
        reorder(loaded, order)
        shown = ", ".join(options.trajectories)
        _log.info("%s: rows of one '%s' lay apart; they were put together", container.name, shown)
    return order


def _ends(
    container: Container,
    loaded: Loaded,
    rows: int | None,
    options: ReadOptions,
    problems: Problems,
) -> Found | None:
    labels = loaded.labels
    if rows is None:
        if container.is_table or "index" not in labels:
            return None
        ends = index_ends(labels["index"], None, options.index, container.name, problems)
        return None if ends is None else Found(ends, "by 'index'")
    finder = Ends(rows, options, container.name, problems, container.ends, container.is_table)
    times: Callable[[IntArray], FloatArray] | None = None
    if "time" in labels:

        def times(ends: IntArray) -> FloatArray:
            time = plain_time(labels["time"])
            assert time is not None
            if len(time) == rows:
                labels["time"] = time = _order(container, options).mended(loaded, time, ends)
            return time

    return finder.find(labels, _named(labels, options, container.name, problems), times)


def _order(container: Container, options: ReadOptions) -> TimeOrder:
    assert options.time is not None
    info = container.infos[options.time]
    return TimeOrder(options.time, info, options.layout.zone, container.name)


def _named(
    labels: Mapping[str, np.ndarray], options: ReadOptions, source: str, problems: Problems
) -> IntArray | None:
    """(N,) a number for each trajectory that columns name; adds a problem where a row has none."""
    for role, values in labels.items():
        if role.partition(":")[0] == TRAJECTORY and values.dtype.kind == "f" and np.isnan(values).any():
            row = int(np.argmax(np.isnan(values.reshape(-1))))
            what = f"'{', '.join(options.trajectories)}' is missing in row {row}"
            problems.add(what, file=source, place="trajectory", remedy="every row needs its trajectory")
            return None
    return ids(labels)
