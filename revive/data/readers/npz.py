"""npz archives, streamed: the sizes come from the zip directory, and no array is unpickled."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Final, cast

import numpy as np

from revive.data.readers.container import ArrayContainer, Info, Unreadable
from revive.data.readers.stored import StoredMember
from revive.data.trajectories import FloatArray
from revive.errors import Problem, UserError

_BLOCK: Final = 1 << 18  # bytes read at a time
_BROKEN: Final = (  # what zip and npy readers end in where a file is damaged, or made to do harm
    ValueError,
    EOFError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    OverflowError,
    KeyError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)


class NpzFile(ArrayContainer):
    """A zip archive of npy members. Raises UserError where it is none."""

    threaded = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._zip = _opened(path)
        self._members: dict[str, tuple[zipfile.ZipInfo, np.dtype, bool]] = {}
        problems = []
        for member in self._zip.infolist():
            if member.is_dir():
                continue
            name = member.filename.removesuffix(".npy")
            if name in self._members:
                problems.append(Problem(f"holds the array '{name}' twice", path, remedy="write it again"))
                continue
            try:
                self.infos[name] = self._look(name, member)
            except _BROKEN as error:
                what = f"the array '{name}' cannot be read: {_said(error)}"
                problems.append(Problem(what, path, name, "write the file again, with numpy.savez"))
        if problems:
            self.close()
            raise UserError(*problems)

    def _look(self, name: str, member: zipfile.ZipInfo) -> Info:
        with self._zip.open(member) as file:
            shape, fortran, dtype = _header(file)
            header = file.tell()
        size = int(dtype.itemsize)
        for n in shape:
            size *= int(n)
        if not dtype.hasobject and size != member.file_size - header:
            raise ValueError(
                f"its header promises {size} bytes, the archive holds {member.file_size - header}"
            )
        self._members[name] = (member, dtype, fortran)
        return Info.of(shape, dtype)

    def copy_into(self, target: FloatArray, source: str, start: int) -> None:
        member, dtype, fortran = self._members[source]
        width = self.infos[source].width
        try:
            with self._open(member) as file, np.errstate(over="ignore", invalid="ignore"):
                _header(file)
                if dtype == np.float64 and target.flags.c_contiguous and not (fortran and width > 1):
                    _fill(file, target.reshape(-1).view(np.uint8))
                elif fortran and width > 1:
                    _copy_columns(file, dtype, target, start, width)
                else:
                    _copy_rows(file, dtype, target, start, width)
                if file.read(1):
                    raise ValueError("it goes on behind its end")
        except _BROKEN as error:
            raise Unreadable(f"the array '{source}' cannot be read: {_said(error)}") from None

    def whole(self, source: str) -> np.ndarray:
        try:
            with self._zip.open(self._members[source][0]) as file:
                return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
        except (*_BROKEN, MemoryError) as error:
            raise Unreadable(f"the array '{source}' cannot be read: {_said(error)}") from None

    def _open(self, member: zipfile.ZipInfo) -> IO[bytes]:
        encrypted, size = member.flag_bits & 1, member.compress_size
        if member.compress_type != zipfile.ZIP_STORED or encrypted or size != member.file_size:
            return self._zip.open(member)
        return cast(IO[bytes], StoredMember(self.name, member))

    def close(self) -> None:
        self._zip.close()


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _BROKEN:
        with path.open("rb") as file:
            begun = file.read(2) == b"PK"
    what = "is truncated: its end is missing" if begun else "is no npz archive, whatever its name says"
    raise UserError(Problem(what, path, remedy="copy it again" if begun else "write it with numpy.savez"))


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns lie together, dtype; the file then stands at the first value."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran, dtype


def _copy_rows(file: IO[bytes], dtype: np.dtype, target: FloatArray, start: int, width: int) -> None:
    step = max(1, _BLOCK // (dtype.itemsize * width))
    for row in range(0, len(target), step):
        rows = min(step, len(target) - row)
        block = _values(file, dtype, rows * width).reshape(rows, width)
        target[row : row + rows] = block[:, start : start + target.shape[1]]


def _copy_columns(file: IO[bytes], dtype: np.dtype, target: FloatArray, start: int, width: int) -> None:
    step = max(1, _BLOCK // dtype.itemsize)
    for column in range(width):
        for row in range(0, len(target), step):
            block = _values(file, dtype, min(step, len(target) - row))
            if 0 <= column - start < target.shape[1]:
                target[row : row + len(block), column - start] = block


def _values(file: IO[bytes], dtype: np.dtype, count: int) -> np.ndarray:
    content = np.empty(count * dtype.itemsize, np.uint8)
    _fill(file, content)
    return content.view(dtype)


def _fill(file: IO[bytes], target: np.ndarray) -> None:
    done = 0
    while done < len(target):
        read = file.readinto(target[done : done + _BLOCK])  # type: ignore[attr-defined]
        if not read:
            raise EOFError(f"it ends {len(target) - done} bytes early")
        done += read


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
