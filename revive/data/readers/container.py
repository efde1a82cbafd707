"""What every data file offers, whatever its format: named things of known shape, loaded as float64."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np

from revive.data.parallel import each
from revive.data.trajectories import FloatArray, IntArray
from revive.errors import Problems

TRAJECTORY = "trajectory"  # labels by role: what they are for, and behind a colon which one
DONE = "done"
RESETS = "resets"
NUMBER = "number:"
WORD = "word:"
AND = " + "  # between the names of a column of dates and one of times of day, read as one
UNUSED = "unused"  # `about` of a log record that names what is not used
WRITE_NUMBERS = "write numbers, and numbers for categories too"
PLAIN_ARRAYS = "write plain numeric arrays"


@dataclass(frozen=True)
class Info:
    """What is known of a thing before it is read: its shape (a row count of -1: not known), what it holds.

    `holds` is for messages, `kind` for what can be done with it. `unit` is what its file tells of it. `words`: those
    that are read as the numbers 0, 1, 2, ... `day_first`: whether dates begin with the day.
    """

    shape: tuple[int, ...]
    kind: Literal["numbers", "text", "dates", "other"] = "numbers"
    holds: str = "numbers"
    unit: str = ""
    words: tuple[str, ...] = ()
    day_first: bool = False

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: np.dtype) -> Info:
        holds = f"Python objects ({dtype})" if dtype.hasobject else str(dtype)
        kinds = dict.fromkeys("fiub", "numbers") | {"U": "text", "S": "text", "M": "dates"}
        return cls(tuple(int(n) for n in shape), kinds.get(dtype.kind, "other"), holds)  # type: ignore[arg-type]

    @property
    def numeric(self) -> bool:
        return self.kind == "numbers"

    @property
    def width(self) -> int:
        """The number of columns; a single row of numbers is one column."""
        return self.shape[1] if len(self.shape) == 2 else 1


@dataclass(frozen=True)
class Part:
    """Columns `start` to `stop` of the source called `source`."""

    source: str
    start: int
    stop: int

    @property
    def width(self) -> int:
        return self.stop - self.start


Plan = Mapping[str, tuple[Part, ...]]
"""Node -> what its columns are made of, from left to right."""


@dataclass
class Loaded:
    """Arrays node -> (N, d); labels: `index`, `trajectory` (whole codes), `time`, as far as asked for.

    words: what the whole codes of a label of words stand for, word -> code.
    """

    arrays: dict[str, FloatArray] = field(default_factory=dict)
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    words: Mapping[Any, int] = field(default_factory=dict)


class Container(Protocol):
    """An opened data file. `infos` holds what can be read; `is_table` says that its sources are columns.

    `ends` (K,) is where the container itself separates trajectories, known once it is loaded; None where it
    does not. `owns` says that loaded arrays belong to the caller, who may write to them.
    """

    name: str
    is_table: bool
    owns: bool

    @property
    def infos(self) -> Mapping[str, Info]: ...

    @property
    def ends(self) -> IntArray | None: ...

    def load(self, plan: Plan, labels: Mapping[str, str], problems: Problems, limit: int) -> Loaded:
        """Reads what `plan` and `labels` (role -> source) name; adds to `problems` what cannot be read."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Unreadable(Exception):
    """A source that breaks while it is read; says why, as a clause."""


class ArrayContainer(ABC):
    """A container of arrays whose shapes are known beforehand. `threaded`: several can be read at a time."""

    is_table = False
    owns = True
    threaded = False

    def __init__(self, path: Path | str) -> None:
        self.name = str(path)
        self.infos: dict[str, Info] = {}

    @property
    def ends(self) -> IntArray | None:
        return None

    @abstractmethod
    def copy_into(self, target: FloatArray, source: str, start: int) -> None:
        """Fills `target` (N, k) with the columns from `start` on. Raises Unreadable."""

    @abstractmethod
    def whole(self, source: str) -> np.ndarray:
        """The array `source` as it is. Raises Unreadable."""

    def load(self, plan: Plan, labels: Mapping[str, str], problems: Problems, limit: int) -> Loaded:
        loaded = Loaded()
        read = each(self._attempt, [*plan.values()]) if self.threaded else map(self._attempt, plan.values())
        for node, array in zip(plan, read, strict=True):
            if isinstance(array, Unreadable):
                problems.add(str(array), file=self.name, place=node, remedy="write the file again")
            else:
                loaded.arrays[node] = array
        for role, source in labels.items():
            try:
                loaded.labels[role] = self.whole(source)
            except Unreadable as error:
                problems.add(str(error), file=self.name, place=source, remedy="write the file again")
        return loaded

    def _attempt(self, parts: tuple[Part, ...]) -> FloatArray | Unreadable:
        try:
            return self._array(parts)
        except Unreadable as error:
            return error

    def _array(self, parts: tuple[Part, ...]) -> FloatArray:
        rows = self.infos[parts[0].source].shape[0]
        target = np.empty((rows, sum(part.width for part in parts)))
        column = 0
        for part in parts:
            self.copy_into(target[:, column : column + part.width], part.source, part.start)
            column += part.width
        return target

    def close(self) -> None:  # noqa: B027 - arrays in memory have no file to release
        """Releases the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryArrays(ArrayContainer):
    """Arrays that are in memory already; taken without a copy where they are float64."""

    owns = False

    def __init__(self, arrays: Mapping[str, np.ndarray], name: str) -> None:
        super().__init__(name)
        self._arrays = {str(key): np.asarray(array) for key, array in arrays.items()}
        self.infos = {key: Info.of(array.shape, array.dtype) for key, array in self._arrays.items()}

    def copy_into(self, target: FloatArray, source: str, start: int) -> None:
        array = self._arrays[source]
        with np.errstate(over="ignore"):  # what is too large for float64 becomes infinite, which is reported
            target[:] = (array[:, np.newaxis] if array.ndim == 1 else array)[
                :, start : start + target.shape[1]
            ]

    def whole(self, source: str) -> np.ndarray:
        return self._arrays[source]

    def _array(self, parts: tuple[Part, ...]) -> FloatArray:
        array = self._arrays[parts[0].source]
        if len(parts) == 1 and array.ndim == 2 and array.dtype == np.float64:
            return array[:, parts[0].start : parts[0].stop]
        return super()._array(parts)
