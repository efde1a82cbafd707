"""Damaged, truncated, foreign and malicious bundles: refused in one message, nothing run, nothing loaded altered."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors

from revive.__main__ import export
from revive.bundles.show import show
from revive.deploy import load_policy, load_venv, save_policy, save_venv
from revive.deploy.sessions import PolicySession, VenvSession
from revive.policy.policy import Policy
from revive.runtime import load_policy as load_without_torch
from revive.venv.virtual_env import VirtualEnv
from tests.bundles.forging import DAMAGES, FORGERIES
from tests.deploy.scenarios import scenario
from tests.hostile import drawn_seed, judged
from tests.runtime.plants import envelope_of, policy_of


def _sound(folder: Path, venv: VirtualEnv, policy: Policy) -> None:
    save_venv(venv, folder / "0" / "venv", {"run_id": "r"}, scenario=scenario())
    save_policy(policy, folder / "0" / "policy", {"run_id": "r"})
    for number, kind in enumerate(("mixed", "history", "category"), 1):
        drawn = policy_of(kind, hidden=(4,))  # type: ignore[arg-type]
        save_policy(drawn, folder / str(number) / "policy", {"run_id": "r"}, envelope=envelope_of(drawn))


def _says_what_it_holds(loaded: PolicySession | VenvSession, folder: Path) -> bool:
    """Whether a bundle that was loaded is, in every value, what its files say."""
    tensors = load_tensors((folder / "model.safetensors").read_bytes())
    state = loaded.model.state_dict()
    same = all(np.array_equal(state[name].numpy(), value) for name, value in tensors.items())
    said = json.loads((folder / f"{folder.name}.json").read_text())
    mine: dict[str, Any] = json.loads(json.dumps(loaded.model.to_json()))
    nodes = {node["name"]: node["inputs"] for node in said["graph"]["nodes"]}
    own = {node["name"]: node["inputs"] for node in mine["graph"]["nodes"]}
    return same and len(tensors) == len(state) and nodes == own and mine["network"] == said["network"]


def _others(kind: str, bundle: Path, outcome: str, said: Any) -> list[str]:
    """What the runtime without torch, `show` and `export` say of a bundle: they refuse what `load` refuses."""
    # `show` builds no model: it may show a venv that cannot be built, and a policy that failed its gate
    free = outcome == "refused" and (kind == "venv" or "did not pass its gate" in str(said))
    found = {"show": (judged(lambda: show(bundle)), (outcome, "right") if free else (outcome,))}
    if kind == "policy":
        found["runtime"] = judged(lambda: load_without_torch(bundle)), (outcome,)
        found["export"] = judged(lambda: export([str(bundle), "--out", str(bundle.parent)])), (outcome,)
    return [
        f"{name} of a {kind} that is {outcome} ({str(said)[:150]}): {got}: {str(text)[:200]}"
        for name, ((got, text), wanted) in found.items()
        if got not in wanted
    ]


def attack(home: Path, count: int, rng: random.Random) -> list[str]:
    """Try so many bundles; what went wrong."""
    faults: list[str] = []
    loaded = 0
    for number in range(count):
        kind = rng.choice(("venv", "policy"))
        forged = rng.random() < 0.6
        change = rng.choice(FORGERIES if forged else DAMAGES)
        work = home / str(number)
        sound = rng.choice("0123") if kind == "policy" else "0"
        shutil.copytree(home / "sound" / sound / kind, work / kind)
        change(work / kind, rng)
        trust: dict[str, Any] = (
            {"code": work / kind} if change.__name__ == "name_code" and kind == "venv" else {}
        )
        load = load_venv if kind == "venv" else load_policy
        outcome, said = judged(lambda: load(work / kind, **trust))  # noqa: B023
        if outcome == "right":
            loaded += 1
            if not forged:
                faults.append(f"{number}: {change.__name__} of a {kind} was loaded")
            elif not _says_what_it_holds(said, work / kind):
                faults.append(f"{number}: {change.__name__} of a {kind} was loaded altered")
        elif outcome == "wrong":
            faults.append(f"{number}: {change.__name__} of a {kind}: {said}")
        if not trust:
            others = _others(kind, work / kind, outcome, said)
            faults += [f"{number}: {change.__name__}: {fault}" for fault in others]
        if (work / "RUN").exists():
            faults.append(f"{number}: {change.__name__} of a {kind} ran code")
        shutil.rmtree(work)
    if loaded > count / 4:
        faults.append(f"{loaded} of {count} were loaded: the generator does no harm")
    return faults


def test_some_hostile_bundles_are_refused(tmp_path: Path, venv: VirtualEnv, policy: Policy) -> None:
    _sound(tmp_path / "sound", venv, policy)
    faults = attack(tmp_path, 60, random.Random(1))
    assert not faults, "\n".join(faults)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_1500_hostile_bundles_are_refused(tmp_path: Path, venv: VirtualEnv, policy: Policy) -> None:
    _sound(tmp_path / "sound", venv, policy)
    faults = attack(tmp_path, 1500, random.Random(drawn_seed()))
    assert not faults, "\n".join(faults)
