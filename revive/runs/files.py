"""Files that are written whole or not at all, and disks that fail."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_DISK = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ESTALE")}


def write_json(path: Path, value: Any) -> Path:
    """Nested values as JSON. Arrays become lists; numbers that are not finite become null."""
    return write_text(path, json.dumps(plain_json(value), indent=2, ensure_ascii=False) + "\n")


def write_yaml(path: Path, values: Mapping[str, Any]) -> Path:
    """Plain values as YAML, in their order."""
    return write_text(path, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))


def write_text(path: Path, text: str) -> Path:
    """Text as UTF-8; missing folders are made."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> Path:
    """Bytes; missing folders are made. An OSError names the file, also where the system's own does not."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        return draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def disk_trouble(error: BaseException | None) -> OSError | None:
    """What an error has to do with a disk that is full or broken; None where it has nothing to.

    Looked for among its causes too. That is no fault of what was being done, which works once the disk does.
    """
    for _ in range(20):
        if error is None or (isinstance(error, OSError) and error.errno in _DISK):
            return error
        error = error.__cause__ or error.__context__
    return None


def plain_json(value: Any) -> Any:
    """Nested values as JSON knows them: arrays as lists, null for numbers that are not finite, text for the rest."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    if hasattr(value, "tolist"):  # arrays, tensors and their scalars
        return plain_json(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
