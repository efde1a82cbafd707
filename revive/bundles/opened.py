"""Opening a bundle: every file is weighed and hashed before it is parsed, and nothing outside the folder is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from revive.bundles.manifest import (
    CODE,
    MANIFEST,
    READS,
    SCENARIO,
    WEIGHTS,
    Entry,
    Kind,
    Manifest,
    parse_json,
    parse_manifest,
    validated,
)
from revive.bundles.spec import SPECS
from revive.bundles.tensors import Wanted, policy_tensors, read_tensors, scenario_tensors, venv_tensors
from revive.data.scenario import Scenario, targets_of
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import acting_graph

_LARGEST: Final[Mapping[str, int]] = {
    MANIFEST: 1 << 20,
    ".json": 32 << 20,
    ".safetensors": 512 << 20,
    ".py": 4 << 20,
}
_AGAIN: Final = "copy the bundle again, or make it again"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest and description are sound. `spec` holds the description as plain values."""

    folder: Path
    manifest: Manifest
    spec: Mapping[str, Any]

    @classmethod
    def open(cls, kind: Kind, folder: str | Path) -> Self:
        """Raises UserError where the folder holds no bundle of this kind, or one that was changed."""
        folder = Path(folder)
        manifest = read_manifest(kind, folder)
        file = folder / f"{kind}.json"
        spec = parse_json(_verified(folder, file.name, manifest), file)
        validated(SPECS[kind], spec, file)
        return cls(folder, manifest, spec)

    @property
    def kind(self) -> Kind:
        return self.manifest.kind

    @property
    def file(self) -> Path:
        """The description."""
        return self.folder / f"{self.kind}.json"

    @cached_property
    def graph(self) -> DecisionGraph:
        """That of a policy of several nodes with their joint decision. Raises UserError where nodes do not fit."""
        try:
            return acting_graph(self.spec)[0]
        except UserError as error:
            raise UserError(
                *(Problem(p.what, self.file, p.place, p.remedy) for p in error.problems)
            ) from None
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(Problem(f"its graph cannot be read: {error}", self.file)) from None

    @cached_property
    def wanted(self) -> Wanted:
        """The tensors that the description calls for. Raises UserError as `graph` does."""
        spec, graph = self.spec, self.graph
        if self.kind == "venv":
            if {*spec["scales"]} != {*graph.learned}:
                raise UserError(Problem("'scales' speaks of other nodes than the graph", self.file))
            observed, nodes = spec.get("observed", ()), spec.get("nodes")
            return venv_tensors(graph, spec["members"], spec["network"], observed, nodes)
        return policy_tensors(graph, self.target, spec["network"])

    @property
    def target(self) -> str:
        """The decision of a policy, in `graph`. Raises UserError as `graph` does."""
        try:
            return acting_graph(self.spec)[1]
        except UserError as error:
            raise UserError(*(Problem(p.what, self.file) for p in error.problems)) from None

    def tensors(self) -> dict[str, np.ndarray]:
        """Name -> array. Raises UserError where weights are missing, changed, not finite, or of another model."""
        file, wanted = self.folder / WEIGHTS, self.wanted
        entry = self.manifest.files.get(WEIGHTS)
        if entry is not None and not wanted.free and not 0 <= entry.size - wanted.bytes <= 16 << 20:
            what = f"the weights are {entry.size} bytes, the description calls for {wanted.bytes}"
            raise UserError(Problem(what, file, remedy=_AGAIN))
        return read_tensors(_verified(self.folder, WEIGHTS, self.manifest), wanted, file)

    def scenario(self) -> Scenario | None:
        """What a venv needs to be stepped by itself; None in a bundle of format 2, and where none was written.

        Raises UserError where it was changed, or does not fit the graph.
        """
        fields = self.spec.get("scenario")
        if fields is None:
            return None
        wanted = self._scenario_wanted(fields)
        code = self.code()
        if fields["reward"] is not None and fields["reward"] not in code:
            raise UserError(Problem(f"the bundle does not carry its reward, {fields['reward']}", self.folder))
        content = _verified(self.folder, SCENARIO, self.manifest)
        arrays = read_tensors(content, wanted, self.folder / SCENARIO)
        return Scenario.from_json(fields, {n: arrays[f"{n}.rows"].copy() for n in fields["nodes"]}, code)

    def _scenario_wanted(self, fields: Mapping[str, Any]) -> Wanted:
        """The tensors of the scenario. Raises UserError where it speaks of what the graph does not have."""
        graph = self.graph
        strange = [name for name in (*fields["nodes"], *(fields["seen"] or ())) if name not in graph]
        strange += [n for n in (*targets_of(fields), *fields["ranges"]) if n not in graph.decisions]
        if strange:
            raise UserError(
                Problem(f"the scenario speaks of '{strange[0]}', which the graph does not have", self.file)
            )
        for name, ends in fields["ranges"].items():
            if any(len(end) != graph[name].width for end in ends):
                raise UserError(
                    Problem(f"the range of '{name}' has not one value for each column", self.file)
                )
        return scenario_tensors(graph, fields["nodes"], sum(fields["lengths"]))

    def code(self) -> dict[str, bytes]:
        """File -> source of the user's functions and networks, as it was when the bundle was written."""
        names = [name for name in self.manifest.files if name.startswith(f"{CODE}/")]
        return {Path(name).name: _verified(self.folder, name, self.manifest) for name in names}

    def require_gate(self, accept_failed: bool) -> None:
        """Raises UserError where the run failed its gate and nobody has accepted that."""
        gate = self.manifest.gate
        if gate is not None and gate.status == "fail" and not (gate.overridden or accept_failed):
            what = "did not pass its gate: " + ("; ".join(gate.reasons) or "no reason is given")
            raise UserError(
                Problem(what, self.folder, remedy="accept_failed_gate=True loads it all the same")
            )

    def verify(self) -> None:
        """Read and hash every file. Raises UserError for one that is missing or changed."""
        for name in self.manifest.files:
            _verified(self.folder, name, self.manifest)


def read_manifest(kind: Kind, folder: Path) -> Manifest:
    """The manifest of a bundle of this kind. Raises UserError where there is none, or a former format."""
    if not os.path.lexists(folder / MANIFEST):
        if (folder / f"{kind}.json").exists():
            remedy = "make it again: the run's command with resume=fresh, or another run_id"
            what = f"is of format 1, which has no {MANIFEST}; this release reads {READS}"
            raise UserError(Problem(what, folder, remedy=remedy))
        raise UserError(_no_bundle(kind, folder))
    manifest = parse_manifest(_read(folder, MANIFEST, None), folder / MANIFEST)
    if manifest.kind != kind:
        raise UserError(_no_bundle(kind, folder))
    return manifest


def _no_bundle(kind: str, folder: Path) -> Problem:
    beside = sorted(entry.parent for entry in folder.glob(f"*/{kind}.json")) if folder.is_dir() else []
    hint = f"did you mean {beside[0]}?" if beside else f"a bundle is a folder with {kind}.json in it"
    return Problem(f"no {kind} bundle is here", folder, remedy=hint)


def _verified(folder: Path, name: str, manifest: Manifest) -> bytes:
    entry = manifest.files.get(name)
    if entry is None:
        raise UserError(Problem(f"the manifest names no {name}", folder / MANIFEST, remedy=_AGAIN))
    content = _read(folder, name, entry.size)
    if Entry.of(content) != entry:
        raise UserError(
            Problem("was changed: its checksum is not that of the manifest", folder / name, remedy=_AGAIN)
        )
    return content


def _read(folder: Path, name: str, size: int | None) -> bytes:
    """A regular file inside the folder, of `size` bytes where it is known. Raises UserError for all else."""
    path = folder / name
    limit = _LARGEST.get(name) or _LARGEST[path.suffix]
    try:
        if not path.parent.resolve().is_relative_to(folder.resolve()):
            raise UserError(Problem("lies outside the bundle", path))
        # Without O_NONBLOCK, opening a FIFO would wait for somebody to write into it.
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            info = os.fstat(opened)
            if not stat.S_ISREG(info.st_mode):
                raise UserError(Problem("is no regular file", path, remedy=_AGAIN))
            if info.st_size > limit:
                what = f"is {info.st_size} bytes long, at most {limit} are read"
                raise UserError(Problem(what, path, remedy=_AGAIN))
            if size is not None and info.st_size != size:
                what = f"is {info.st_size} bytes long, the manifest says {size}"
                raise UserError(Problem(what, path, remedy=_AGAIN))
            return file.read(limit)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(Problem(f"cannot be read: {said}", path, remedy=_AGAIN)) from None
