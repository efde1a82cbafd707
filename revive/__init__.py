"""Learn controllers from logs: a virtual environment, a policy, and the evidence for both.

Importing this package loads no torch; what needs it is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revive.deploy import load_policy, load_venv

__version__ = "0.1.0"
__all__ = ["__version__", "load_policy", "load_venv"]

_LAZY = {"load_policy": "revive.deploy", "load_venv": "revive.deploy"}


def __getattr__(name: str) -> Any:
    """Import the public functions that are heavy at their first use."""
    if name not in _LAZY:
        raise AttributeError(f"module 'revive' has no attribute '{name}'")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
