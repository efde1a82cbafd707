from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from revive.report.summary import Summary


@pytest.fixture
def summarise() -> Callable[..., Summary]:
    """Makes a summary; `policy` has what is given on top of the logged reward."""

    def make(**policy: Any) -> Summary:
        errors = {"1": 0.05, "10": 0.11}
        return Summary(
            experiment="demo",
            run_id="r1",
            seed=0,
            data={"sha256": "ab", "rows": 100, "trajectories": 1},
            venv={
                "rollout_mae": errors,
                "persistence_mae": {"1": 0.5, "10": 1.1},
                "other_half": {"rollout_mae": errors, "persistence_mae": errors},
                "columns": {},
                "members": 4,
            },
            policy={"logged": -0.75, **policy},
            seconds={"venv": 12.5, "policy": 8.0},
        )

    return make


@pytest.fixture
def learned() -> dict[str, Any]:
    """What a summary says about a learned policy."""

    def estimate(mean: float) -> dict[str, float]:
        return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}

    return {
        "predicted": estimate(-0.125),
        "halves": [estimate(-0.135), estimate(-0.125)],
        "behaviour": [estimate(-0.735), estimate(-0.765)],
        "learned_in_half": 0,
        "iteration": 300,
        "inputs": ["x"],
    }
