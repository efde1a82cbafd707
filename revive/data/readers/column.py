"""A single column of a data file that the description does not name, one value for each row of what was read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from revive.data.readers.container import Container, MemoryArrays
from revive.data.readers.opening import open_container
from revive.data.readers.options import ReadOptions
from revive.data.trajectories import FloatArray, Trajectories
from revive.errors import Problem, Problems, UserError, suggestion


def label_of_rows(
    source: Path | Mapping[str, np.ndarray], column: str, logs: Trajectories, options: ReadOptions
) -> FloatArray:
    """(N,) what `column` says of each row of `logs`, which were read from `source`; text as the number of its kind.

    In npz and h5 it may hold one value for each row or each trajectory. Raises UserError where there is no such
    column or its values cannot be matched to the rows.
    """
    if isinstance(source, Mapping):
        return _matched(MemoryArrays(source, "make_data"), column, logs, options)
    with open_container(source, options.layout) as container:
        return _matched(container, column, logs, options)


def _matched(container: Container, column: str, logs: Trajectories, options: ReadOptions) -> FloatArray:
    if column not in container.infos:
        kind = "column" if container.is_table else "array"
        what = f"there is no {kind} '{column}'"
        raise UserError(Problem(what, container.name, remedy=suggestion(column, container.infos)))
    problems = Problems()
    loaded = container.load({}, {"trajectory": column}, problems, options.size_limit)
    problems.raise_if_any()
    values = np.asarray(loaded.labels["trajectory"])
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind in "USO":
        values = np.unique(values, return_inverse=True)[1]
    values = values.astype(np.float64)
    if values.shape == (logs.rows,):
        return values
    if values.shape == (logs.count,):
        return np.repeat(values, logs.lengths)
    if (
        len(values) == logs.rows + logs.count
    ):  # the last row of a trajectory is only the next state of the one before
        last = logs.ends + np.arange(logs.count)
        return np.delete(values, last)
    what = f"'{column}' has the shape {values.shape}, but there are {logs.rows} rows in {logs.count} trajectories"
    raise UserError(Problem(what, container.name, remedy="one value for each row or each trajectory"))
