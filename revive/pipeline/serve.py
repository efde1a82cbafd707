"""`serve`: the policy that is named, behind HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from revive.pipeline.named import named_bundle
from revive.serving.command import listening, read, service_of


def serve(arguments: Sequence[str]) -> None:
    """Answer requests until SIGINT or SIGTERM. Raises UserError for whatever keeps it from beginning."""
    given = read(arguments)
    with named_bundle(given, ("policy",)) as named:
        service = service_of(given, named.folder, named.said)
    listening(service, given.host, given.port)
