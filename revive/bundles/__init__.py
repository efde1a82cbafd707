"""Bundles on disk: a manifest with checksums, a description in JSON, weights, and the user's source. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from revive.bundles.manifest import FORMAT, Entry, Gate, Kind, Manifest
from revive.bundles.opened import Bundle

if TYPE_CHECKING:
    from revive.bundles.writing import set_gate, write_bundle

__all__ = ["FORMAT", "Bundle", "Entry", "Gate", "Kind", "Manifest", "set_gate", "write_bundle"]


def __getattr__(name: str) -> Any:
    """Import what writes at its first use: what only reads a bundle starts faster without it."""
    if name not in ("set_gate", "write_bundle"):
        raise AttributeError(f"module 'revive.bundles' has no attribute '{name}'")
    from revive.bundles import writing

    return getattr(writing, name)
