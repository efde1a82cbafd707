"""How much memory there is, before any of it is taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_memory() -> int:
    """Bytes that this process may use: the machine's memory, or less where a container is limited."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *filter(None, map(_limit, _LIMITS))])


def shown(size: float) -> str:
    """Bytes as a person reads them."""
    return f"{size / 2**30:.3g} GiB"


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
