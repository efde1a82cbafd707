"""What a bundle says of itself, for a person who decides whether to run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from revive.bundles.manifest import Gate, Kind
from revive.bundles.opened import Bundle
from revive.errors import Problem, UserError
from revive.graph.joint import apart

_KINDS: tuple[Kind, ...] = ("venv", "policy")


def show(folder: Path, called: str | None = None) -> str:
    """The bundle in `folder`, or those of a run folder: what they are, who made them, and the code in them.

    called: what is said in place of the folder.

    Every file is hashed and the weights are held against the description; no code is run. Raises UserError where there
    is none, or one that was changed or cannot be loaded.
    """
    return "\n".join(line for bundle in _found(folder) for line in _lines(bundle, called))


def told(folder: Path, called: str | None = None) -> list[dict[str, Any]]:
    """The same as plain values, for a script: of each bundle what `show` says, without the source of its code.

    Raises UserError as `show` does.
    """
    return [_fields(bundle, called) for bundle in _found(folder)]


def _fields(bundle: Bundle, called: str | None) -> dict[str, Any]:
    bundle.verify()
    spec, manifest, graph = bundle.spec, bundle.manifest, apart(bundle.graph)
    leaves = [graph[name] for name in graph.leaves if graph[name].history is None]
    return {
        "kind": bundle.kind,
        "folder": called or str(bundle.folder),
        "format": manifest.format,
        "written_by": manifest.written_by,
        "provenance": dict(spec["provenance"]),
        "gate": None if manifest.gate is None else manifest.gate.model_dump(mode="json"),
        "network": dict(spec["network"]),
        "target": spec.get("target"),
        "graph": {name: list(graph[name].inputs) for name in graph.order},
        "columns": {node.name: [column.to_json() for column in node.columns] for node in leaves},
        "files": {name: entry.model_dump(mode="json") for name, entry in manifest.files.items()},
        "code": sorted(bundle.code()),
    }


def _found(folder: Path) -> list[Bundle]:
    """The bundles there. Raises UserError where there is none."""
    found = [(kind, at) for at in (folder, *(folder / kind for kind in _KINDS)) for kind in _holds(at)]
    if not found:
        raise UserError(
            Problem("no bundle is here", folder, remedy="name a folder with venv.json or policy.json")
        )
    return [Bundle.open(kind, at) for kind, at in found]


def _holds(folder: Path) -> list[Kind]:
    return [kind for kind in _KINDS if (folder / f"{kind}.json").is_file()]


def _lines(bundle: Bundle, called: str | None) -> Iterator[str]:
    bundle.verify()
    bundle.tensors()  # what nobody can load is not shown as if it were sound
    made, spec, manifest = bundle.spec["provenance"], bundle.spec, bundle.manifest
    hidden = spec["network"]["hidden"]
    yield f"{bundle.kind} bundle  {plain(called or bundle.folder)}"
    yield f"  written   {plain(manifest.written_by)}, format {manifest.format}"
    yield f"  run       {_made(made, 'run_id')}, experiment {_made(made, 'experiment')}, seed {_made(made, 'seed')}"
    yield f"  data      sha256 {_made(made, 'data_sha256')}"
    yield f"  gate      {_gate(manifest.gate)}"
    yield f"  network   {'x'.join(map(str, hidden or ())) or 'linear'}, {spec['network']['activation']}"
    if isinstance(spec.get("target"), list):
        yield f"  decides   {', '.join(map(plain, spec['target']))} together, in this order"
    graph = apart(bundle.graph)
    for name in graph.order:
        yield f"  {plain(name)} <- {', '.join(map(plain, graph[name].inputs))}"
    if (scenario := spec.get("scenario")) is not None:
        trusted = "not judged" if scenario["trusted"] is None else f"trusted for {scenario['trusted']} steps"
        yield f"  starts    {sum(scenario['lengths'])} logged rows; {trusted}"
    for name, entry in manifest.files.items():
        yield f"  {entry.sha256[:16]}  {entry.size:>9}  {name}"
    for name, source in bundle.code().items():
        yield f"  --- {name}: runs where the bundle is loaded with trust=True"
        for number, line in enumerate(source.decode(errors="backslashreplace").split("\n"), 1):
            yield f"  {number:>4}  {plain(line)}"


def _gate(gate: Gate | None) -> str:
    if gate is None:
        return "not judged"
    reasons = "; ".join(map(plain, gate.reasons))
    return (
        gate.status + (f": {reasons}" if reasons else "") + (" (accepted by hand)" if gate.overridden else "")
    )


def _made(provenance: Mapping[str, Any], key: str) -> str:
    return plain(str(provenance.get(key, "not said"))[:200])


def plain(text: object) -> str:
    """Text in which nothing can steer the terminal or hide: control and direction characters are spelled out."""
    shown = (c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in str(text))
    return "".join(shown)
