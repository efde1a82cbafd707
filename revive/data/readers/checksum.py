"""The SHA-256 of a data file: a flipped bit in csv, parquet or h5 can be seen in no other way."""

from __future__ import annotations

import hashlib
from pathlib import Path

from revive.errors import Problem, UserError

_REMEDY = "get the file again; or, if it is meant to be this one, set dataset.sha256 to its own"


def sha256_of(path: Path) -> str:
    """Of a file, as `sha256sum` prints it; of a folder, of the lines `DIGEST  NAME` of its files by name.

    Raises UserError where it cannot be read.
    """
    try:
        if not path.is_dir():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        files = sorted(entry for entry in path.rglob("*") if entry.is_file())
        lines = [f"{sha256_of(entry)}  {entry.relative_to(path).as_posix()}\n" for entry in files]
    except OSError as error:
        raise UserError(Problem(f"cannot be read: {error.strerror}", path)) from None
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def require_sha256(path: Path, wanted: str) -> None:
    """Raises UserError where the file or folder is another one than that with this SHA-256."""
    if path.is_dir() or path.is_file():  # what else it may be, the reader says
        found = sha256_of(path)
        if found != wanted.lower():
            raise UserError(
                Problem(f"has the SHA-256 {found}, dataset.sha256 says {wanted}", path, remedy=_REMEDY)
            )
