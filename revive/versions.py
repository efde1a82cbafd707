"""What a run was made with: Python, libraries, commit, machine. Asks the system's records and imports nothing heavy."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

_LIBRARIES = (
    "revive-logs",
    "torch",
    "pytorch-lightning",
    "numpy",
    "scipy",
    "hydra-core",
    "mlflow",
    "safetensors",
)


def versions() -> dict[str, str | None]:
    """Python, the main libraries (None where absent) and the commit of the checkout."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    found["commit"] = _commit()
    return found


def device(accelerator: str = "cpu") -> str:
    """What the numbers were computed on, such as `cpu, 2 cores` or `NVIDIA H100 80GB HBM3, 16 cores`.

    accelerator: in Lightning's words. The cores are those that this process may use.
    """
    cores = len(os.sched_getaffinity(0))
    name = "cpu" if accelerator == "cpu" else _graphics_card() or accelerator
    return f"{name}, {cores} core{'s' if cores > 1 else ''}"


def _graphics_card() -> str | None:
    """The first card that the driver lists."""
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        with contextlib.suppress(OSError):
            if found := re.search(r"^Model:\s*(.+)$", file.read_text(), re.MULTILINE):
                return found[1].strip()
    return None


def _commit() -> str | None:
    """The commit that this package's checkout stands at; None for an installed one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.strip() or None
    return None
