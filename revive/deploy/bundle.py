"""Bundles as models: saving them, and loading them after everything in them was checked. No pickle either way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from revive import __version__
from revive.bundles import Bundle, Gate, Kind, write_bundle
from revive.data.scenario import Scenario, Source
from revive.deploy.sessions import PolicySession, VenvSession
from revive.deploy.trial import try_policy, try_venv
from revive.errors import Problem, UserError
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.runtime.policy import policy_of
from revive.user_code import require_inside
from revive.venv.functions import UserCode
from revive.venv.virtual_env import VirtualEnv

_BROKEN = (  # what building from values that contradict each other may end in
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    AssertionError,
)


def save_venv(
    venv: VirtualEnv,
    folder: Path,
    provenance: Mapping[str, Any],
    gate: Gate | None = None,
    scenario: Scenario | None = None,
) -> None:
    """Write a venv bundle; `provenance` says what it was made of. The user's functions travel as source.

    scenario: what lets it be stepped by itself, the reward among it.
    """
    code = {path.name: path.read_bytes() for path in venv.code.files}
    spec, rows = venv.to_json(), None
    if scenario is not None:
        spec["scenario"] = scenario.to_json()
        if scenario.reward is not None:
            file = _free_name(scenario.reward, code)
            spec["scenario"]["reward"], code[file] = file, scenario.reward.text
        rows = save({f"{name}.rows": torch.tensor(a) for name, a in scenario.arrays.items()})
    _save("venv", venv.state_dict(), spec, folder, code=code, provenance=provenance, gate=gate, scenario=rows)


def _free_name(source: Source, code: Mapping[str, bytes]) -> str:
    """The name of a file, another one where it is that of a different file in `code`."""
    plain = re.sub(r"\W", "_", Path(source.file).stem) or "reward"
    names = (f"{plain}{'_' * number}.py" for number in count())
    return next(name for name in names if code.get(name, source.text) == source.text)


def save_policy(
    policy: Policy,
    folder: Path,
    provenance: Mapping[str, Any],
    gate: Gate | None = None,
    envelope: Mapping[str, Any] | None = None,
) -> None:
    """Write a policy bundle of one copy; `provenance` says what it was made of.

    envelope: what was logged of what the policy sees, as `revive.runtime.envelope` writes it.
    """
    known = {} if envelope is None else {"envelope": envelope}
    spec, weights = policy.to_json() | known, policy.stored()
    _save("policy", weights, spec, folder, code={}, provenance=provenance, gate=gate)


def _save(kind: Kind, weights: Mapping[str, Tensor], spec: dict[str, Any], folder: Path, **rest: Any) -> None:
    tensors = {name: _storable(name, value) for name, value in weights.items()}
    write_bundle(kind, folder, spec, save(tensors), written_by=f"revive {__version__}", **rest)


def _storable(name: str, value: Tensor) -> Tensor:
    """Codecs keep double precision, networks single precision, whatever they were trained in."""
    exact = name.rpartition(".")[2] in ("center", "scale", "knots", "scores") and name.startswith("codec.")
    return value.detach().cpu().to(torch.float64 if exact else torch.float32).contiguous()


def read_venv(folder: str | Path, code: UserCode | None = None) -> VirtualEnv:
    """The model of a venv bundle. Raises UserError where the folder holds none that can be read.

    code: of the user, for function nodes and custom networks; what the bundle carries is not run.
    """
    return _venv(Bundle.open("venv", folder), code)


def read_policy(folder: str | Path) -> Policy:
    """The model of a policy bundle. Raises UserError where the folder holds none that can be read."""
    return _policy(Bundle.open("policy", folder))


def load_venv(
    path: str | Path,
    code: str | Path | None = None,
    *,
    trust: bool = False,
    accept_failed_gate: bool = False,
) -> VenvSession:
    """A venv bundle, ready to step and roll out on numpy arrays in physical units.

    Args:
        path: the folder of the bundle.
        code: a folder of yours with the Python files that the graph names; they are run from there.
        trust: run the source that the bundle carries, the reward's too (`python -m revive show BUNDLE` prints it).
        accept_failed_gate: also load what did not pass its gate.

    Raises UserError where the bundle was changed, cannot be read, or needs what was not allowed.
    """
    bundle = Bundle.open("venv", path)
    bundle.require_gate(accept_failed_gate)
    scenario = bundle.scenario()
    venv = _venv(bundle, _code(bundle, code, trust))
    return VenvSession(venv, scenario, _reward(bundle, scenario, code, trust))


def load_policy(path: str | Path, *, accept_failed_gate: bool = False) -> PolicySession:
    """A policy bundle, ready to act on numpy arrays in physical units.

    accept_failed_gate: also load what did not pass its gate. Raises UserError as `load_venv` does.
    """
    bundle = Bundle.open("policy", path)
    bundle.require_gate(accept_failed_gate)
    return PolicySession(_policy(bundle))


def check_bundle(kind: Kind, folder: Path) -> dict[str, Any]:
    """What a bundle says of itself. Raises UserError where the folder is none of this kind, or was changed."""
    return dict(Bundle.open(kind, folder).spec)


def _code(bundle: Bundle, folder: str | Path | None, trust: bool) -> UserCode | None:
    """The user's functions and networks, where the graph has any and their source is allowed to run."""
    files = bundle.graph.code_files
    if not files:
        return None
    if folder is not None:
        require_inside(Path(folder), files)
        return UserCode.load(bundle.graph, Path(folder))
    if not trust:
        remedy = "read them with 'python -m revive show', then load_venv(path, trust=True); or code=FOLDER for your own"
        raise UserError(
            Problem(f"this venv runs code of yours: {', '.join(files)}", bundle.folder, remedy=remedy)
        )
    sources = bundle.code()
    if missing := [file for file in files if file not in sources]:
        what = f"the bundle does not carry {', '.join(missing)}"
        raise UserError(Problem(what, bundle.folder, remedy="load_venv(path, code=FOLDER)"))
    return UserCode.load(bundle.graph, bundle.folder / "code", sources)


def _reward(
    bundle: Bundle, scenario: Scenario | None, folder: str | Path | None, trust: bool
) -> Reward | None:
    """What the venv pays, where that is known and its source is allowed to run."""
    if scenario is None or scenario.reward is None:
        return None
    file = scenario.reward.file
    if folder is not None and (Path(folder) / file).is_file():
        require_inside(Path(folder), [file])
        return Reward.load(Path(folder) / file)
    return Reward.load(bundle.folder / "code" / file, scenario.reward.text) if trust else None


def _venv(bundle: Bundle, code: UserCode | None) -> VirtualEnv:
    def make(weights: dict[str, Tensor]) -> VirtualEnv:
        made = VirtualEnv.from_json(dict(bundle.spec), code)
        made.load_state_dict(weights)
        return made

    return _filled(bundle, make, try_venv)


def _policy(bundle: Bundle) -> Policy:
    if bundle.spec.get("envelope") is not None:
        policy_of(
            bundle
        )  # what the runtime without torch refuses, an envelope of other columns say, is refused here
    return _filled(bundle, lambda weights: Policy.filled(dict(bundle.spec), weights), try_policy)


M = TypeVar("M", bound=nn.Module)


def _filled(bundle: Bundle, make: Callable[[dict[str, Tensor]], M], attempt: Callable[[M], None]) -> M:
    """The model with its weights, tried once."""
    tensors = bundle.tensors()
    try:
        model = make({name: torch.from_numpy(np.array(a)) for name, a in tensors.items()})
        model.requires_grad_(False).eval()
        attempt(model)
    except _BROKEN as error:
        detail = " ".join(str(error).split())[:300]
        what = f"this is no {bundle.kind} that can be run: {type(error).__name__} {detail}"
        raise UserError(Problem(what, bundle.file, remedy="make the bundle again")) from error
    return model
