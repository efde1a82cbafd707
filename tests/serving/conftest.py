from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from revive.deploy import save_policy
from revive.serving import Service
from tests.runtime.plants import Kind, envelope_of, policy_of


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[[Kind], Path]:
    """Makes a policy bundle that knows what was logged: levels and flows around 5, give or take 2."""

    def make(kind: Kind = "plain") -> Path:
        policy = policy_of(kind)
        provenance = {"run_id": "r7", "experiment": "pump"}
        save_policy(policy, tmp_path / kind, provenance, envelope=envelope_of(policy))
        return tmp_path / kind

    return make


@pytest.fixture
def service(bundle: Callable[[Kind], Path]) -> Callable[..., Service]:
    """Makes a service of a kind of policy."""

    def make(kind: Kind = "plain", **options: Any) -> Service:
        return Service.of_bundle(bundle(kind), **options)

    return make
