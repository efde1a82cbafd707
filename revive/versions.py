"""What a run was made with: Python, libraries, commit. Asks the installer's records and imports nothing."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path

_LIBRARIES = ("revive", "torch", "pytorch-lightning", "numpy", "scipy", "hydra-core", "mlflow", "safetensors")


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
