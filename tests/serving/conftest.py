from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive.deploy import save_policy
from revive.runtime.envelope import Envelope
from revive.runtime.policy import Policy as NumpyPolicy
from revive.serving import Service
from tests.runtime.plants import Kind, arrays_of, policy_of


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[[Kind], Path]:
    """Makes a policy bundle that knows what was logged: levels and flows around 5, give or take 2."""

    def make(kind: Kind = "plain") -> Path:
        policy, rng = policy_of(kind), np.random.default_rng(3)
        acting = NumpyPolicy(
            policy.graph, "u", "silu", {name: value.numpy() for name, value in policy.state_dict().items()}
        )
        train, validation = (arrays_of(policy.graph, 500, rng) for _ in range(2))
        envelope = Envelope.fit(acting, train, validation, seed=0).to_json()
        save_policy(policy, tmp_path / kind, {"run_id": "r7", "experiment": "pump"}, envelope=envelope)
        return tmp_path / kind

    return make


@pytest.fixture
def service(bundle: Callable[[Kind], Path]) -> Callable[..., Service]:
    """Makes a service of a kind of policy."""

    def make(kind: Kind = "plain", **options: Any) -> Service:
        return Service.of_bundle(bundle(kind), **options)

    return make
