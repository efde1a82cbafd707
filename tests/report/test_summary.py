from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from revive.report.summary import Estimate, Summary

Summarise = Callable[..., Summary]


def test_metrics_of_a_venv_alone(summarise: Summarise) -> None:
    assert summarise().metrics() == {
        "venv.rollout_mae.1": 0.05,
        "venv.rollout_mae.10": 0.11,
        "policy.logged": -0.75,
        "venv.relative.1": pytest.approx(0.1),
        "venv.relative.10": pytest.approx(0.1),
        "seconds.venv": 12.5,
        "seconds.policy": 8.0,
    }


def test_metrics_of_a_policy_and_its_truth(summarise: Summarise, learned: dict[str, Any]) -> None:
    with_policy = summarise(**learned).metrics()
    assert with_policy["policy.predicted"] == -0.125
    assert "policy.truth" not in with_policy
    with_truth = summarise(**learned, truth={"mean": -0.14, "se": 0.002, "episodes": 40}).metrics()
    assert with_truth["policy.truth"] == -0.14
    assert with_policy.items() <= with_truth.items()


def test_a_summary_is_plain_json(summarise: Summarise, learned: dict[str, Any]) -> None:
    summary = summarise(**learned)
    back = json.loads(json.dumps(summary.to_json()))
    assert Summary(**back) == summary


def test_an_estimate_is_the_mean_and_what_holds_nine_tenths() -> None:
    rewards = torch.randn(10, 2000, generator=torch.Generator().manual_seed(0)) * 2 + 1
    estimate = Estimate.of(rewards)
    assert estimate.mean == pytest.approx(float(rewards.mean()), rel=1e-4)
    inside = (rewards >= estimate.low) & (rewards <= estimate.high)
    assert float(inside.float().mean()) == pytest.approx(0.9, abs=0.001)
    assert estimate.low == pytest.approx(np.quantile(rewards.numpy(), 0.05), rel=1e-4)
    assert estimate.to_json() == {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}


def test_an_estimate_of_one_rollout_has_no_spread() -> None:
    assert Estimate.of(torch.tensor([2.5])) == Estimate(2.5, 2.5, 2.5)
