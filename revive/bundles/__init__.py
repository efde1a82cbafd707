"""Bundles on disk: a manifest with checksums, a description in JSON, weights, and the user's source. No torch.

`writing` is not imported here: what only reads a bundle starts faster without it.
"""

from revive.bundles.manifest import FORMAT, Entry, Gate, Kind, Manifest
from revive.bundles.opened import Bundle

__all__ = ["FORMAT", "Bundle", "Entry", "Gate", "Kind", "Manifest"]
