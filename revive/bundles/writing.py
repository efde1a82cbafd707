"""Writing a bundle: it appears whole, in one rename."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from revive.bundles.manifest import (
    CODE,
    FORMAT,
    MANIFEST,
    SCENARIO,
    WEIGHTS,
    Entry,
    Gate,
    Kind,
    Manifest,
    parse_json,
    validated,
)
from revive.bundles.opened import read_manifest
from revive.bundles.spec import SPECS
from revive.runs import plain_json, write_bytes


def write_bundle(
    kind: Kind,
    folder: Path,
    spec: Mapping[str, Any],
    weights: bytes,
    *,
    written_by: str,
    code: Mapping[str, bytes],
    provenance: Mapping[str, Any],
    gate: Gate | None = None,
    scenario: bytes | None = None,
) -> None:
    """Write a bundle, in place of a former one at `folder`.

    spec: the description of the model. written_by: the program and its version. weights: a safetensors file.
    code: file -> source of the user's functions.
    provenance: what it was made of.
    scenario: the rows of a venv's scenario, a safetensors file.

    Raises UserError where it could not be read again, OSError for the disk.
    """
    said = {"kind": kind, **spec, "provenance": plain_json(provenance)}
    file = folder / f"{kind}.json"
    text = f"{json.dumps(said, indent=2, allow_nan=False)}\n".encode()
    validated(SPECS[kind], parse_json(text, file), file)
    files = {
        file.name: text,
        WEIGHTS: weights,
        **({} if scenario is None else {SCENARIO: scenario}),
        **{f"{CODE}/{name}": source for name, source in code.items()},
    }
    manifest = Manifest(
        format=FORMAT,
        kind=kind,
        written_by=written_by,
        files={name: Entry.of(content) for name, content in files.items()},
        gate=gate,
    )
    for litter in folder.parent.glob(f".{folder.name}.*.tmp"):  # of processes that were killed
        shutil.rmtree(litter, ignore_errors=True)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        for name, content in {**files, MANIFEST: manifest.to_bytes()}.items():
            write_bytes(draft / name, content)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    former = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.replace(former)
    draft.replace(folder)
    shutil.rmtree(former, ignore_errors=True)


def set_gate(kind: Kind, folder: Path, gate: Gate) -> None:
    """Note in a bundle how its run was judged; the manifest alone is written anew, in one rename.

    Raises UserError where there is no such bundle.
    """
    manifest = read_manifest(kind, folder).model_copy(update={"gate": gate})
    write_bytes(folder / MANIFEST, manifest.to_bytes())
