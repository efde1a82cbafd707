"""Copies that have fallen below their start are taken back, and nothing else is touched."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from revive.policy.learners.backtracking import SHORTER, WAIT, Backtracking
from revive.policy.policy import Policy
from tests.policy.conftest import BEHAVIOUR, Plant
from tests.policy.problems import first_order, problem_of
from tests.venv.plants import equal_weights, train, weights_of

UNSTABLE = 6.0  # a gain with which the plant's state grows


def put_gain(policy: Policy, copy: int, gain: float) -> None:
    with torch.no_grad():
        policy.net.skip.weight[copy].fill_(gain)


def gains(policy: Policy) -> list[float]:
    return policy.net.skip.weight.flatten().tolist()


def judged(plant: Plant) -> tuple[Policy, Backtracking, torch.optim.Optimizer]:
    """Two variants in each half, all of them the logs' controller."""
    policy = problem_of(plant).started(2).requires_grad_(True)
    optimizer = torch.optim.Adam(policy.net.parameters(), lr=1e-3)
    return policy, Backtracking(problem_of(plant), policy), optimizer


@pytest.mark.parametrize("worse", [UNSTABLE, math.nan])
def test_what_has_fallen_goes_back_and_waits_and_the_others_do_not_notice(plant: Plant, worse: float) -> None:
    policy, made, optimizer = judged(plant)
    put_gain(policy, 1, worse)
    put_gain(policy, 2, plant.best_gain)
    made.check(optimizer)
    assert gains(policy) == pytest.approx([BEHAVIOUR, BEHAVIOUR, plant.best_gain, BEHAVIOUR])
    assert made.share.tolist() == [1.0, 0.0, 1.0, 1.0]
    assert made.fallen.tolist() == [0.0, 1.0, 0.0, 0.0]
    for _ in range(WAIT):
        made.check(optimizer)
    assert made.share.tolist() == [1.0, SHORTER, 1.0, 1.0]


def test_it_goes_back_to_its_best_and_not_to_its_start(plant: Plant) -> None:
    policy, made, optimizer = judged(plant)
    put_gain(policy, 0, plant.best_gain)
    made.check(optimizer)
    put_gain(policy, 0, UNSTABLE)
    made.check(optimizer)
    assert gains(policy)[0] == pytest.approx(plant.best_gain)


def test_steps_grow_again_with_success_and_never_beyond_the_usual(plant: Plant) -> None:
    policy, made, optimizer = judged(plant)
    put_gain(policy, 0, UNSTABLE)
    made.check(optimizer)
    for share in (0.3, 0.5, 0.7, 0.9):
        put_gain(policy, 0, BEHAVIOUR + share * (plant.best_gain - BEHAVIOUR))
        made.check(optimizer)
    assert made.share[0] == 1.0


def test_momentum_is_lost_where_a_copy_goes_back(plant: Plant) -> None:
    policy, made, optimizer = judged(plant)
    sum(p.sum() for p in policy.net.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    put_gain(policy, 1, UNSTABLE)
    made.check(optimizer)
    momentum = optimizer.state[policy.net.skip.weight]["exp_avg"].flatten().tolist()
    assert momentum[1] == 0.0
    assert momentum[0] != 0.0


def test_steps_that_are_far_too_long_do_no_harm(plant: Plant, tmp_path: Path) -> None:
    wild: dict[str, Any] = {"lr": 2.0, "check_every": 2, "iterations": 40, "judge_every": 40}
    made = first_order(problem_of(plant), **wild)
    train(made, tmp_path)
    assert max(made.notes()["taken_back"]) > 0
    last = [float(plant.bed.rewards(c.policy.actor()).mean()) for c in made.candidates()]
    timid = float(plant.bed.rewards(plant.linear_policy(BEHAVIOUR).actor()).mean())
    assert min(last) > timid - 0.5 * abs(timid)


def test_copies_that_learn_well_learn_as_if_nobody_looked(plant: Plant, tmp_path: Path) -> None:
    problem = problem_of(plant)
    watched, alone = (first_order(problem, iterations=20, check_every=n) for n in (5, 1000))
    train(watched, tmp_path / "watched")
    train(alone, tmp_path / "alone")
    assert equal_weights(weights_of(watched.policy.net), weights_of(alone.policy.net))
    assert "taken_back" not in watched.notes()
