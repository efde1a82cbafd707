"""HDF5: flat files of arrays, and datasets in the layout of Minari (a group for each episode)."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from revive.data.readers.container import ArrayContainer, Info, Unreadable
from revive.data.readers.packing import packing_of, unit_of
from revive.data.readers.said import say_once
from revive.data.trajectories import FloatArray, IntArray
from revive.errors import Problem, UserError
from revive.graph.names import transition_name

_BLOCK: Final = 1 << 16  # rows read at a time
_BROKEN: Final = (OSError, RuntimeError, ValueError, TypeError, KeyError)
_EPISODE: Final = re.compile(r"episode_(\d+)$")
_MOST: Final = 20_000  # arrays and groups of one file
_OBSERVATIONS: Final = "observations"  # has one row more than the actions of its episode


class H5File(ArrayContainer):
    """A flat HDF5 file; arrays in groups are called `group/name`. Raises UserError where it is none."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = _opened(path)
        found = _datasets(self._file, path)
        self.infos = {name: _info(data) for name, data in found}
        self._packed = {name: packed for name, data in found if (packed := packing_of(data)) is not None}
        for name in (name for name, packed in self._packed.items() if packed.scaled):
            say_once(f"{path}: '{name}' is unpacked, by its scale_factor and add_offset")

    def copy_into(self, target: FloatArray, source: str, start: int) -> None:
        try:
            _copy(self._file[source], target, start, slice(0, len(target)))
        except _BROKEN as error:
            raise Unreadable(f"the array '{source}' cannot be read: {error}") from None
        if packed := self._packed.get(source):
            packed.unpack(target)

    def whole(self, source: str) -> np.ndarray:
        try:
            stored = np.asarray(self._file[source][()])
            if packed := self._packed.get(source):
                stored = stored.astype(np.float64)
                packed.unpack(stored)
            return stored
        except _BROKEN as error:
            raise Unreadable(f"the array '{source}' cannot be read: {error}") from None

    def close(self) -> None:
        self._file.close()


class MinariFile(ArrayContainer):
    """Episodes as Minari writes them: T+1 rows of observations, T rows of everything else.

    Offers each array of an episode by its name, the observations without their last row, their successors as
    the transition of that name, and `terminations` a second time as `done`: a truncated episode goes on in
    the world that it came from, so a time-out is no end.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = _opened(path)
        numbered = sorted((int(found[1]), key) for key in self._file if (found := _EPISODE.match(key)))
        groups = [self._group(key) for _, key in numbered]
        self._episodes: list[dict[str, Any]] = [
            dict(_datasets(group, path)) for group in groups if group is not None
        ]
        self._names: dict[str, tuple[str, int]] = {}
        self._lengths: list[int] = []
        try:
            self._survey()
        except UserError:
            self.close()
            raise

    def _group(self, key: str) -> Any | None:
        item = _item(self._file, key, key, Path(self.name))
        return item if hasattr(item, "keys") else None

    def _survey(self) -> None:
        """Finds lengths and names; refuses episodes that disagree."""
        for number, episode in enumerate(self._episodes):
            if "actions" not in {name.split("/")[0] for name in episode}:
                raise self._error(f"episode {number} has no actions")
            self._lengths.append(next(len(d) for n, d in episode.items() if n.split("/")[0] == "actions"))
            for name, data in episode.items():
                wanted = self._lengths[-1] + (name.split("/")[0] == _OBSERVATIONS)
                if not name.startswith("infos/") and (not data.shape or len(data) != wanted):
                    what = f"'{name}' of episode {number} has the shape {data.shape}, wanted {wanted} rows"
                    raise self._error(what)
        rows = sum(self._lengths)
        for name, data in self._episodes[0].items():
            shapes = {e[name].shape[1:] if name in e and e[name].shape else None for e in self._episodes}
            if name.startswith("infos/"):
                continue
            if len(shapes) > 1:
                raise self._error(f"'{name}' differs in shape between episodes")
            info = Info.of((rows, *data.shape[1:]), data.dtype)
            self._offer(name, name, 0, info)
            if name.split("/")[0] == _OBSERVATIONS:
                self._offer(transition_name(name), name, 1, info)
        if "terminations" in self.infos:
            self._offer("done", "terminations", 0, self.infos["terminations"])

    def _offer(self, name: str, source: str, shift: int, info: Info) -> None:
        self._names[name] = (source, shift)
        self.infos[name] = info

    def _error(self, what: str) -> UserError:
        return UserError(Problem(what, self.name, remedy="write the dataset with minari again"))

    @property
    def ends(self) -> IntArray:
        lengths = [length for length in self._lengths if length]
        return np.cumsum(lengths, dtype=np.int64)

    def copy_into(self, target: FloatArray, source: str, start: int) -> None:
        name, shift = self._names[source]
        row = 0
        try:
            for episode, length in zip(self._episodes, self._lengths, strict=True):
                _copy(episode[name], target[row : row + length], start, slice(shift, shift + length))
                row += length
        except _BROKEN as error:
            raise Unreadable(f"the array '{source}' cannot be read: {error}") from None

    def whole(self, source: str) -> np.ndarray:
        target = np.empty((sum(self._lengths), self.infos[source].width))
        self.copy_into(target, source, 0)
        return target[:, 0]

    def close(self) -> None:
        self._file.close()


def open_h5(path: Path) -> ArrayContainer:
    """The reader for the layout that the file has. Raises UserError where it is no HDF5 file."""
    with _opened(path) as file:
        episodes = [key for key in file if _EPISODE.match(key)]
        minari = bool(episodes) and not all(_is_short(file, key) for key in episodes)
    return MinariFile(path) if minari else H5File(path)


def _is_short(file: Any, key: str) -> bool:
    """Whether an episode has as many observations as actions; those of Minari have one more."""
    try:
        return len(file[key][_OBSERVATIONS]) == len(file[key]["actions"])
    except _BROKEN:
        return False


def _opened(path: Path) -> Any:
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError:
        raise UserError(Problem("HDF5 files need h5py", path, remedy="pip install h5py")) from None
    try:
        return h5py.File(path, "r")
    except OSError as error:
        what = f"cannot be read as HDF5: {' '.join(str(error).split())}"
        raise UserError(Problem(what, path, remedy="write it again, or copy it again")) from None


def _datasets(group: Any, path: Path) -> list[tuple[str, Any]]:
    """Name and dataset of everything below `group`. Raises UserError for what is not in this file, or not written."""
    found: list[tuple[str, Any]] = []
    _collect(group, path, "", found, {group})
    return found


def _collect(group: Any, path: Path, prefix: str, found: list[tuple[str, Any]], groups: set[Any]) -> None:
    """Adds to `found`; `groups` are those that were looked into."""
    import h5py

    for key in group:
        name = f"{prefix}{key}"
        item = _item(group, key, name, path)
        if isinstance(item, h5py.Group):
            if item in groups:  # a hard link: its names would go on without end, or grow without bound
                what = f"the group '{name}' holds itself, or is there under two names"
                raise UserError(Problem(what, path, remedy="remove one of its links"))
            groups.add(item)
            if prefix.count("/") < 8:
                _collect(item, path, f"{name}/", found, groups)
        elif isinstance(item, h5py.Dataset) and item.shape is not None:
            _require_own(item, name, path)
            found.append((name, item))
        if len(found) + len(groups) > _MOST:
            raise UserError(Problem(f"holds more than {_MOST} arrays and groups", path, remedy="write fewer"))


def _item(group: Any, key: str, name: str, path: Path) -> Any:
    """What a link of a group leads to. Raises UserError where it leads out of the file, or nowhere."""
    import h5py

    try:
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise UserError(Problem(f"'{name}' is a link into another file", path, remedy="copy the array"))
        return group[key]
    except _BROKEN as error:
        raise UserError(Problem(f"'{name}' cannot be read: {error}", path, remedy="remove it")) from None


def _require_own(data: Any, name: str, path: Path) -> None:
    """Raises UserError for a dataset that shows values of elsewhere, or values that nobody wrote."""
    if data.external or data.is_virtual:
        kept = "keeps its values in another file" if data.external else "is a view of other arrays"
        raise UserError(Problem(f"'{name}' {kept}", path, remedy="copy the array"))
    rows, size = data.shape[0] if data.shape else 1, data.size
    if not size:
        return
    if data.chunks is None:
        unwritten = data.id.get_storage_size() == 0
        missing = rows if unwritten else 0
    else:
        blocks = math.prod(-(-n // chunk) for n, chunk in zip(data.shape, data.chunks, strict=True))
        unwritten = data.id.get_num_chunks() < blocks
        missing = rows * (blocks - data.id.get_num_chunks()) // blocks
    if unwritten:
        what = f"about {missing or 1} of the {rows} rows of '{name}' were never written"
        raise UserError(
            Problem(what, path, remedy="write them, or make the array as short as what was written")
        )


def _info(data: Any) -> Info:
    import h5py

    if h5py.check_string_dtype(data.dtype) is not None:
        return Info(tuple(data.shape), "text", "text")
    return replace(Info.of(data.shape, data.dtype), unit=unit_of(data))


def _copy(data: Any, target: FloatArray, start: int, rows: slice) -> None:
    if data.dtype == np.float64 and target.flags.c_contiguous and data.shape[1:] == target.shape[1:]:
        if len(target):
            data.read_direct(target, np.s_[rows], np.s_[:])
        return
    for first in range(rows.start, rows.stop, _BLOCK):
        stop = min(first + _BLOCK, rows.stop)
        block = data[first:stop]
        at = first - rows.start
        columns = block.reshape(stop - first, -1)
        target[at : at + stop - first] = columns[:, start : start + target.shape[1]]
