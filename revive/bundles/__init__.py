"""Bundles on disk: a manifest with checksums, a description in JSON, weights, and the user's source. No torch."""

from revive.bundles.manifest import FORMAT, Entry, Gate, Kind, Manifest
from revive.bundles.opened import Bundle
from revive.bundles.writing import set_gate, write_bundle

__all__ = ["FORMAT", "Bundle", "Entry", "Gate", "Kind", "Manifest", "set_gate", "write_bundle"]
