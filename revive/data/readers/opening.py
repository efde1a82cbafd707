"""Which reader opens a path: by the suffix of a file, by the content of a folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from revive.data.readers.arrow import Csv, Parquet
from revive.data.readers.container import Container
from revive.data.readers.h5 import MinariFile, open_h5
from revive.data.readers.npz import NpzFile
from revive.data.readers.tables import TableFiles, TableFormat
from revive.errors import Problem, UserError, nearest

_TABLES: Final[dict[str, TableFormat]] = {".csv": Csv(), ".parquet": Parquet()}
_SUFFIXES: Final = (".npz", ".h5", ".hdf5", *_TABLES)
_BROKEN: Final = (OSError, ValueError, RuntimeError, KeyError, TypeError)  # what damaged files end in
_MINARI: Final = ("main_data.hdf5", "data/main_data.hdf5")


def open_container(path: Path) -> Container:
    """The opened data file, or folder of files. Raises UserError where there is none or it cannot be read."""
    try:
        if path.is_dir():
            return _folder(path)
        _require_file(path)
        suffix = path.suffix.lower()
        if suffix in _TABLES:
            return TableFiles([path], _TABLES[suffix], path)
        if suffix == ".npz":
            return NpzFile(path)
        if suffix in (".h5", ".hdf5"):
            return open_h5(path)
    except _BROKEN as error:
        said = " ".join(str(getattr(error, "strerror", None) or error).split())
        what = f"cannot be read: {said[:200]}"
        raise UserError(Problem(what, path, remedy="write it again, or copy it again")) from None
    remedy = f"possible: {', '.join(_SUFFIXES)}, or a folder of tables or of a Minari dataset"
    raise UserError(Problem(f"files of type '{path.suffix}' cannot be read", path, remedy=remedy))


def _folder(path: Path) -> Container:
    for name in _MINARI:
        if (path / name).is_file():
            return MinariFile(path / name)
    files = [entry for entry in path.iterdir() if entry.suffix.lower() in _TABLES and entry.name[0] != "."]
    kinds = sorted({entry.suffix.lower() for entry in files})
    if len(kinds) == 1:
        for entry in files:
            _require_file(entry)
        return TableFiles(sorted(files, key=_natural), _TABLES[kinds[0]], path)
    what = (
        f"is a folder with both {' and '.join(kinds)} files" if kinds else "is a folder without tables in it"
    )
    remedy = "a folder is read as one csv or parquet file for each trajectory, or as a Minari dataset"
    raise UserError(Problem(what, path, remedy=remedy))


def _natural(path: Path) -> tuple[tuple[int, str], ...]:
    """Sorts run2 before run10."""
    return tuple(
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)
    )


def _require_file(path: Path) -> None:
    if not path.is_file():
        folder = path.parent
        if not folder.is_dir():
            raise UserError(
                Problem("neither the file nor its folder exists", path, remedy="correct the path")
            )
        if path.exists():
            raise UserError(Problem("is no regular file", path, remedy="name a file"))
        close = nearest(path.name, [entry.name for entry in folder.iterdir()])
        raise UserError(
            Problem(
                "does not exist", path, remedy=f"did you mean '{close}'?" if close else "correct the path"
            )
        )
    if path.stat().st_size == 0:
        raise UserError(Problem("is empty (0 bytes)", path, remedy="write it again, or copy it again"))
