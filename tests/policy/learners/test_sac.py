from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from revive.policy.bounds import soft_clip, soft_clip_slope
from revive.policy.choice import Court
from revive.policy.learners.auto import Auto
from revive.policy.learners.base import PolicyLearner
from revive.policy.learners.ppo import Ppo
from revive.policy.learners.sac import Sac
from revive.policy.learners.td3_bc import Td3Bc
from revive.policy.reward import Reward
from tests.contract import interrupted, small_settings
from tests.policy.conftest import BEHAVIOUR, GAMMA, Plant
from tests.policy.problems import cloned_problem, problem_of
from tests.policy.toys import KINDS, chooser
from tests.venv.plants import equal_weights, train, weights_of

ARGUMENTS: dict[str, Any] = {
    "penalties": [0.0],
    "measure": "doubt",
    "noise": 0.3,
    "iterations": 60,
    "warm_up": 100,
    "branches": 64,
    "steps": 3,
    "kept": 20,
    "updates": 20,
    "actor_every": 2,
    "batch": 128,
    "real": 0.1,
    "hidden": [32, 32],
    "lr": 5e-3,
    "critic_lr": 3e-3,
    "alpha_lr": 1e-2,
    "gamma": GAMMA,
    "done_gamma": GAMMA,
    "target_rate": 0.05,
    "clip": 1.0,
    "judge_every": 20,
    "chunk": 10,
}


@pytest.fixture(scope="module")
def trained(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Sac:
    learner = Sac(problem_of(plant), **ARGUMENTS)
    train(learner, tmp_path_factory.mktemp("sac"))
    return learner


def test_a_linear_quadratic_plant_is_controlled_well(trained: Sac, plant: Plant) -> None:
    best = Court(trained.problem).choose(trained.candidates()).candidate.policy
    policies = (best, plant.linear_policy(plant.best_gain), plant.linear_policy(BEHAVIOUR))
    learned, optimal, timid = (float(plant.bed.rewards(policy.actor()).mean()) for policy in policies)
    assert learned > optimal - 0.1 * (optimal - timid)


def test_the_temperature_brings_the_entropy_to_its_target(trained: Sac) -> None:
    _, entropy = trained._actor_loss(trained._batch(trained.kept))
    assert entropy.tolist() == pytest.approx([trained.soft.wanted_entropy] * 2, abs=0.6)  # from 0.2
    assert not torch.allclose(trained.soft.log_alpha, torch.full_like(trained.soft.log_alpha, -2.0))


def test_the_slope_of_the_bounds_is_their_derivative() -> None:
    x = torch.linspace(-1.5, 2.5, 81, dtype=torch.float64, requires_grad=True)
    low, high = torch.tensor([-1.0, 2.0], dtype=torch.float64)
    (wanted,) = torch.autograd.grad(soft_clip(x, low, high).sum(), x)
    torch.testing.assert_close(soft_clip_slope(x, low, high), wanted, rtol=1e-6, atol=1e-6)


def test_the_density_is_that_of_the_action_inside_its_bounds(plant: Plant) -> None:
    """By the change of variables, and against a histogram of what is drawn."""
    learner = Sac(problem_of(plant), **{**ARGUMENTS, "noise": 1.0})
    learner.policy.low.fill_(-1.0)
    learner.policy.high.fill_(0.5)
    action, log_prob = learner.soft.act(learner.policy, torch.full((2, 200_000, 1), 0.3))
    edges = torch.linspace(-0.9, 0.4, 14)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        inside = (action[0, :, 0] >= low) & (action[0, :, 0] < high)
        often = float(inside.float().mean()) / (high - low)
        density = float(1.0 / (-log_prob[0][inside]).exp().mean())  # harmonic, as these are draws from it
        assert often == pytest.approx(density, rel=0.06)


def test_the_entropy_of_a_category_is_exact() -> None:
    venv, rows = chooser(KINDS[0])
    learner = Sac(cloned_problem(venv, rows, venv.graph), **ARGUMENTS)
    x = torch.randn(2, 9, 1)
    _, log_prob = learner.soft.act(learner.policy, x)
    wanted = -torch.distributions.Categorical(logits=learner.policy.net(x)).entropy()
    torch.testing.assert_close(log_prob, wanted, rtol=1e-4, atol=1e-4)
    assert learner.soft.wanted_entropy == pytest.approx(0.2 * math.log(3))


def test_a_constant_reward_is_worth_its_sum_for_ever_though_rollouts_stop(
    plant: Plant, tmp_path: Path
) -> None:
    """The offset of 2 spreads between venv and logs is seen in the rollouts alone."""
    reward = Reward(lambda data: 0.0 * data["x"] + 2.0, Path("reward.py"))
    spread = torch.linspace(-1.0, 1.0, plant.rows.count)
    problem = problem_of(plant, reward=reward, row_reward=spread)
    learner = Sac(
        problem, **{**ARGUMENTS, "lr": 0.0, "alpha_lr": 0.0, "real": 0.0, "gamma": 0.5, "iterations": 30}
    )
    with torch.no_grad():
        learner.soft.log_alpha.fill_(-20.0)
    train(learner, tmp_path)
    made = learner._remembered(learner.kept, 200)
    value = learner.critic(made.x, made.action).detach() * problem.reward_spread
    torch.testing.assert_close(value, torch.full_like(value, 2.0 / (1.0 - 0.5)), rtol=0.05, atol=0)


def test_what_is_remembered_is_what_happened(plant: Plant) -> None:
    learner = Sac(problem_of(plant), **ARGUMENTS)
    learner._collect(0)
    learner._collect(1)
    made = learner._remembered(2, 500)
    x, wind = (made.x[..., learner.leaves.index(name)] for name in ("x", "wind"))
    following = made.next_x[..., learner.leaves.index("x")]
    error = following - (0.9 * x + 0.5 * made.action[..., 0] + 0.1 * wind)
    assert float(error.std()) == pytest.approx(0.2, rel=0.1)
    wanted = -(following**2 + 0.1 * made.action[..., 0] ** 2) / learner.problem.reward_spread
    torch.testing.assert_close(made.reward, wanted - learner.rows.offset, rtol=1e-3, atol=1e-3)
    assert (made.going == 1).all()


def test_all_three_learn_as_parts_of_a_pool_that_is_interrupted(plant: Plant, tmp_path: Path) -> None:
    problem = problem_of(plant, budget=20_000)
    kinds: dict[str, type[PolicyLearner]] = {"td3_bc": Td3Bc, "ppo": Ppo, "sac": Sac}

    def small(name: str) -> partial[PolicyLearner]:
        learner = small_settings("policy", name).policy.learner
        arguments = {key: value for key, value in learner.items() if not key.startswith("_")}
        return partial(kinds[name], **arguments)

    def make() -> Auto:
        return Auto(problem, learners={name: small(name) for name in kinds}, stand_ins=[], lr=None)

    whole = make()
    train(whole, tmp_path / "whole")
    names = {candidate.learner for candidate in whole.candidates()}
    assert names == set(kinds)
    for stop in (whole.rounds // 2, whole.rounds - 1):
        resumed = interrupted(make, tmp_path / str(stop), stop)
        for one, other in zip(resumed.candidates(), whole.candidates(), strict=True):
            assert equal_weights(weights_of(one.policy), weights_of(other.policy))
