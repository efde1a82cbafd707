"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def write_json(path: Path, value: Any) -> Path:
    """Nested values as JSON. Arrays become lists; numbers that are not finite become null."""
    return write_text(path, json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n")


def write_yaml(path: Path, values: Mapping[str, Any]) -> Path:
    """Plain values as YAML, in their order."""
    return write_text(path, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))


def write_text(path: Path, text: str) -> Path:
    """Text as UTF-8; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        return draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _plain(value: Any) -> Any:
    """Nested values as JSON knows them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # arrays, tensors and their scalars
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
