"""A loss that is no number: what has diverged stays as it was, the rest goes on, and it is said where."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from revive.policy.learners.offline import OfflineLearner
from revive.policy.problem import PolicyProblem
from tests.contract import interrupted, made_by, small_settings
from tests.policy.conftest import Plant
from tests.policy.problems import problem_of
from tests.venv.plants import equal_weights, train, weights_of

OFFLINE = ("td3_bc", "iql", "awac", "edac")


def broken(problem: PolicyProblem, name: str) -> OfflineLearner:
    """A learner whose rows of the first half earn what is no number."""
    learner: OfflineLearner = made_by(small_settings("policy", name), "policy", problem)
    part, rows = learner.rows.parts[0], learner.rows
    reward, earned = rows.reward.clone(), rows.earned.clone()
    reward[part.start : part.stop] = earned[part.start : part.stop] = torch.nan
    learner.rows = replace(rows, reward=reward, earned=earned)
    return learner


@pytest.mark.parametrize("name", OFFLINE)
def test_the_half_that_diverges_stays_as_it_was_and_the_other_learns(
    plant: Plant, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    learner = broken(problem_of(plant), name)
    critics = [parameter.detach().clone() for parameter in learner.critic.parameters()]
    with caplog.at_level(logging.WARNING, "revive"):
        train(learner, tmp_path)
    (said,) = [record.message for record in caplog.records if "is no number" in record.message]
    assert "policy of 'u'" in said
    assert "at step 2" in said
    assert learner.notes()["diverged"] == {"node": "u", "step": 2}
    count = len(critics[0]) // learner.critic.count
    first = torch.arange(len(critics[0])) % count < count // 2  # critic by critic, copy by copy
    for now, before in zip(learner.critic.parameters(), critics, strict=True):
        assert torch.equal(now[first], before[first])
        assert not torch.equal(now[~first], before[~first])
    for candidate in learner.candidates():
        assert all(bool(torch.isfinite(weight).all()) for weight in candidate.policy.parameters())


def test_it_is_remembered_over_an_interruption(plant: Plant, tmp_path: Path) -> None:
    problem = problem_of(plant)
    whole = broken(problem, "td3_bc")
    train(whole, tmp_path / "whole")
    resumed = interrupted(lambda: broken(problem, "td3_bc"), tmp_path / "resumed", 2)
    assert resumed.notes() == whole.notes()
    for one, other in zip(resumed.candidates(), whole.candidates(), strict=True):
        assert equal_weights(weights_of(one.policy), weights_of(other.policy))


@pytest.mark.parametrize("name", ["ppo", "sac", "first_order"])
def test_learners_that_simulate_watch_their_losses_too(plant: Plant, tmp_path: Path, name: str) -> None:
    learner = made_by(small_settings("policy", name), "policy", problem_of(plant, budget=4000))
    assert "diverged" not in learner.notes()
    with torch.no_grad():
        module = learner.value if name == "ppo" else learner.critic
        for parameter in module.parameters():
            parameter.fill_(torch.nan)
    train(learner, tmp_path)
    assert learner.notes()["diverged"]["node"] == "u"
    for candidate in learner.candidates():
        assert all(bool(torch.isfinite(weight).all()) for weight in candidate.policy.parameters())
