"""Rows in the order of their trajectories, and only those that are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from revive.data.readers.container import DONE, NUMBER, TRAJECTORY, WORD, Loaded
from revive.data.readers.options import ReadOptions
from revive.data.readers.where import Where
from revive.data.trajectories import BoolArray, FloatArray, IntArray
from revive.errors import Problem, Problems, UserError

_TOGETHER: Final = 5  # rows of one id in a row, on average, below which ids lie interleaved


def ids(labels: Mapping[str, np.ndarray]) -> IntArray | None:
    """(N,) a number for each trajectory that the labels name, or None where they name none."""
    found = [array.reshape(-1) for role, array in labels.items() if role.partition(":")[0] == TRAJECTORY]
    if not found:
        return None
    codes = np.zeros(len(found[0]), dtype=np.int64)
    for values in found:
        own = _numbered(values)
        codes = _numbered(codes * (int(own.max(initial=0)) + 1) + own) if len(found) > 1 else own
    return codes


def _numbered(values: np.ndarray) -> IntArray:
    """(N,) the place of each value among the different ones; sorts only where rows follow another value."""
    fresh = np.append(True, values[1:] != values[:-1])[: len(values)]
    heads = np.unique(values[fresh], return_inverse=True)[1].reshape(-1)
    return heads[np.cumsum(fresh) - 1]


def grouped(
    loaded: Loaded, names: IntArray | None, time: FloatArray | None, pieces: IntArray | None
) -> IntArray | None:
    """The order (N,) in which the rows of an id stand together; None where they do, or must not.

    Ids that lie interleaved are gathered. One that comes back after a long while is gathered where times say
    that it went on, and else begins a new trajectory.
    """
    if names is None or len(names) < 2 or any(len(array) != len(names) for array in loaded.arrays.values()):
        return None
    fresh = np.append(True, names[1:] != names[:-1])
    piece = np.zeros(len(names), dtype=np.int64)
    if pieces is not None and pieces[-1] == len(names):
        piece = np.searchsorted(pieces, np.arange(len(names)), side="right")
        fresh[pieces[:-1]] = True
    blocks, owners = int(fresh.sum()), len(np.unique(np.column_stack([piece[fresh], names[fresh]]), axis=0))
    if blocks == owners:
        return None
    first = np.full(int(names.max()) + 1, len(names))
    np.minimum.at(first, names, np.arange(len(names)))
    order = np.lexsort((np.arange(len(names)), first[names], piece))
    if len(names) / blocks < _TOGETHER or (
        time is not None and _goes_on(names[order], piece[order], time, order)
    ):
        return order
    return None


def _goes_on(names: IntArray, piece: IntArray, time: FloatArray, order: IntArray) -> bool:
    """Whether times rise inside each id once its rows stand together."""
    if len(time) != len(order):
        return False
    same = (names[1:] == names[:-1]) & (piece[1:] == piece[:-1])
    return bool((np.diff(time[order])[same] >= 0).all())


def reorder(loaded: Loaded, order: IntArray) -> None:
    """Puts the rows of everything that was loaded in another order."""
    for store in (loaded.arrays, loaded.labels):
        for name in [name for name, array in store.items() if len(array) == len(order)]:
            store[name] = store[name][order]


def chosen(loaded: Loaded, options: ReadOptions, order: IntArray | None, rows: int, source: str) -> BoolArray:
    """(N,) which rows the condition of `options` keeps, in the order that they have by now.

    Raises UserError where it keeps none.
    """
    assert options.where is not None
    columns: dict[str, np.ndarray] = {}
    for role, array in loaded.labels.items():
        if role.startswith(NUMBER):
            columns[role.removeprefix(NUMBER)] = array.reshape(-1)
        elif role.startswith(WORD):
            columns[role.removeprefix(WORD)] = _words(array.reshape(-1), loaded)
    if "row" not in columns:
        columns["row"] = np.arange(rows) if order is None else order
    keep = Where(options.where).rows(columns, rows)
    if not keep.any():
        what = f"no row fulfils 'where': {options.where}"
        seen = ", ".join(f"{name} holds {_seen(values)}" for name, values in columns.items() if name != "row")
        raise UserError(Problem(what, source, "dataset.where", seen or None))
    return keep


def _words(codes: np.ndarray, loaded: Loaded) -> np.ndarray:
    if codes.dtype.kind in "OUS":
        return codes.astype(str).astype(object)
    table = np.empty(len(loaded.words) + 1, dtype=object)
    for word, code in loaded.words.items():
        table[code] = word
    return table[codes]


def _seen(values: np.ndarray) -> str:
    if values.dtype.kind == "O":
        kinds = sorted({str(value) for value in values.tolist()})
        return ", ".join(kinds[:8]) + (", ..." if len(kinds) > 8 else "")
    known = values[np.isfinite(values)]
    return f"{known.min():g} to {known.max():g}" if len(known) else "no number"


def kept(loaded: Loaded, keep: BoolArray, ends: IntArray, shortest: int) -> IntArray:
    """Leaves out of `loaded` the rows that are not kept; the ends (K,) of the pieces that remain.

    Pieces of fewer than `shortest` rows are left out too, because nothing can be built from them.
    """
    rows = np.flatnonzero(keep)
    owner = np.searchsorted(ends, rows, side="right")
    fresh = np.append(True, (np.diff(rows) > 1) | (np.diff(owner) > 0))
    piece = np.cumsum(fresh) - 1
    long = np.bincount(piece) >= shortest
    rows, piece = rows[long[piece]], piece[long[piece]]
    for store in (loaded.arrays, loaded.labels):
        for name in [name for name, array in store.items() if len(array) == len(keep)]:
            store[name] = store[name][rows]
    return np.append(np.flatnonzero(np.diff(piece)) + 1, len(rows)).astype(np.int64)


def finished(
    labels: Mapping[str, np.ndarray], rows: int, problems: Problems, source: str
) -> BoolArray | None:
    """(N,) the rows in which something says that a trajectory is done; None where nothing does.

    A mark that stays up counts once, at its last row. Adds a problem where most rows are marked.
    """
    marks = {role: array for role, array in labels.items() if role.partition(":")[0] == DONE}
    if not marks:
        return None
    up = np.zeros(rows, dtype=bool)
    for role, array in marks.items():
        name = role.partition(":")[2]
        values = np.asarray(array, dtype=np.float64).reshape(-1)
        if len(values) != rows:
            what = f"'{name}' has {len(values)} rows, the others {rows}"
            problems.add(what, file=source, place=f"done, {name}", remedy="it needs a value for each row")
            return None
        mine = np.nan_to_num(values) > 0.5
        if mine.sum() * 2 > rows and rows > 2:
            what = f"'{name}' is 1 in {int(mine.sum())} of {rows} rows, so it does not tell where trajectories end"
            remedy = "name what does: dataset.trajectory=NAME, dataset.done=[NAME]; for one trajectory: dataset.done=[]"
            problems.add(what, file=source, place=name, remedy=remedy)
            return None
        up |= mine
    if not up.any():
        return None
    return up & ~np.append(up[1:], False)
