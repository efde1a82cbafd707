"""A bundle: a folder with one safetensors file and one JSON file. No pickle is written or read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from revive.deploy.sessions import PolicySession, VenvSession
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.policy.policy import Policy
from revive.runs import write_bytes
from revive.venv.functions import UserCode
from revive.venv.virtual_env import VirtualEnv

FORMAT = 1
WEIGHTS = "model.safetensors"
Kind = Literal["venv", "policy"]


def save_venv(venv: VirtualEnv, folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write a venv bundle; `provenance` says what it was made of."""
    _save("venv", venv, venv.to_json(), folder, provenance)


def save_policy(policy: Policy, folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write a policy bundle of one copy; `provenance` says what it was made of."""
    _save("policy", policy, policy.to_json(), folder, provenance)


def read_venv(folder: str | Path, code: UserCode | None = None) -> VirtualEnv:
    """The model of a venv bundle. Raises UserError where the folder holds none that can be read.

    code: of the user, for function nodes and custom networks; a bundle names it, but holds and runs none.
    """
    spec = check_bundle("venv", Path(folder))
    return _filled(lambda: VirtualEnv.from_json(spec, code), Path(folder), "venv")


def read_policy(folder: str | Path) -> Policy:
    """The model of a policy bundle. Raises UserError where the folder holds none that can be read."""
    spec = check_bundle("policy", Path(folder))
    return _filled(lambda: Policy.from_json(spec), Path(folder), "policy")


def load_venv(path: str | Path, code: str | Path | None = None) -> VenvSession:
    """A venv bundle, ready to step and roll out on numpy arrays in physical units.

    code: the folder of the description, where the graph has functions of the user; they are run from there.
    """
    graph = DecisionGraph.from_json(check_bundle("venv", Path(path))["graph"])
    if graph.code_files and code is None:
        needed = ", ".join(graph.code_files)
        raise UserError(Problem(f"this venv needs {needed}", path, remedy="load_venv(path, code=FOLDER)"))
    return VenvSession(read_venv(path, UserCode.load(graph, Path(code)) if code else None))


def load_policy(path: str | Path) -> PolicySession:
    """A policy bundle, ready to act on numpy arrays in physical units."""
    return PolicySession(read_policy(path))


def _save(
    kind: Kind, model: nn.Module, spec: dict[str, Any], folder: Path, provenance: Mapping[str, Any]
) -> None:
    for litter in folder.parent.glob(f".{folder.name}.*.tmp"):  # of processes that were killed
        shutil.rmtree(litter, ignore_errors=True)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    text = json.dumps({"format": FORMAT, "kind": kind, **spec, "provenance": dict(provenance)}, indent=2)
    try:
        weights = save({name: value.contiguous() for name, value in model.state_dict().items()})
        write_bytes(draft / WEIGHTS, weights)
        write_bytes(draft / f"{kind}.json", f"{text}\n".encode())
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    former = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.replace(former)
    draft.replace(folder)
    shutil.rmtree(former, ignore_errors=True)


def check_bundle(kind: Kind, folder: Path) -> dict[str, Any]:
    """What a bundle says of itself. Raises UserError where the folder is none of this kind."""
    file = folder / f"{kind}.json"
    if not file.is_file():
        others = sorted(entry.parent.name for entry in folder.glob(f"*/{kind}.json"))
        hint = (
            f"did you mean {folder / others[0]}?"
            if others
            else f"a bundle is a folder with {kind}.json in it"
        )
        raise UserError(Problem(f"no {kind} bundle is here", folder, remedy=hint))
    try:
        spec = json.loads(file.read_text(encoding="utf-8"))
        if spec["kind"] != kind or spec["format"] != FORMAT:
            raise UserError(Problem(f"format {spec['format']} of a {spec['kind']} cannot be read", file))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(Problem(f"this is no {kind} bundle: {error}", file)) from error
    assert isinstance(spec, dict)
    return spec


M = TypeVar("M", bound=nn.Module)


def _filled(make: Callable[[], M], folder: Path, kind: Kind) -> M:
    try:
        model = make()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"this is no {kind} bundle: {type(error).__name__} {error}"
        raise UserError(Problem(what, folder / f"{kind}.json")) from error
    file = folder / WEIGHTS
    try:
        model.load_state_dict(load_file(file))
    except (OSError, SafetensorError, RuntimeError) as error:
        detail = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise UserError(
            Problem(f"the weights cannot be read: {detail}", file, remedy="train it again")
        ) from error
    return model.requires_grad_(False).eval()
