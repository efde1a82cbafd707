"""Learners from logged transitions alone, on problems whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.policy.learners.awac import Awac
from revive.policy.learners.edac import Edac, alignment
from revive.policy.learners.iql import Iql
from revive.policy.learners.offline import OfflineLearner, advantage_weights
from revive.policy.problem import PolicyProblem
from revive.policy.reward import Reward
from tests.policy.conftest import Plant
from tests.policy.problems import cloned_problem, problem_of
from tests.policy.toys import KINDS, chooser
from tests.venv.plants import equal_weights, rows_of, train, weights_of

COURSE: dict[str, Any] = {
    "hidden": [32],
    "updates": 800,
    "warm_up": 100,
    "actor_every": 2,
    "batch": 64,
    "lr": 1e-2,
    "critic_lr": 1e-2,
    "gamma": 0.5,
    "target_rate": 0.1,
    "clip": 1.0,
    "snapshots": 1,
    "chunk": 100,
}
OWN: Mapping[type[OfflineLearner], dict[str, Any]] = {
    Iql: {"expectiles": [0.99], "temperature": 1.0},
    Awac: {"temperatures": [1.0], "noise": 0.0, "draws": 4},
    Edac: {"etas": [0.0], "critics": 4, "noise": 1e-3, "alpha_lr": 0.0},
}


def made(kind: type[OfflineLearner], problem: PolicyProblem, **changed: Any) -> Any:
    return kind(problem, **{**COURSE, **OWN[kind], **changed})


@pytest.mark.parametrize("kind", OWN)
def test_the_critics_of_two_states_are_exact(
    plant: Plant, tmp_path: Path, kind: type[OfflineLearner]
) -> None:
    """x and u are -1 or 1, x' = u, r = x u; a policy that does u = x, which is the best one, earns one for ever."""
    generator = np.random.default_rng(0)
    logs = []
    for _ in range(2):
        u = generator.choice([-1.0, 1.0], (400, 1))
        x = np.concatenate([[[1.0]], u[:-1]])
        logs.append({"x": x, "wind": 0.0 * u, "u": u, "next_x": u})
    rows = rows_of(plant.graph, plant.venv.codec, *logs)
    reward = Reward(lambda data: data["x"] * data["u"], Path("reward.py"))
    problem = problem_of(plant, rows=rows, reward=reward, clone=plant.linear_policy(1.0, 1.0))
    learner = made(kind, problem, lr=0.0)
    if isinstance(learner, Edac):
        with torch.no_grad():
            learner.soft.log_alpha.fill_(-20.0)  # no reward for entropy
    train(learner, tmp_path)
    seen = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]).expand(2, -1, -1)  # with the wind
    done = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]).expand(2, -1, -1)
    unit, offset = problem.reward_spread, float(problem.row_reward.mean())
    wanted = (torch.tensor([2.0, 0.0, 0.0, 2.0]) - 2.0 * offset) / unit  # r + 0.5 / (1 - 0.5), in spreads
    value = learner.critic(seen, done).detach()
    torch.testing.assert_close(value, wanted.expand_as(value), rtol=0.05, atol=0.05)


EARNED = torch.tensor([0.0, 1.0, 3.0])  # of the three choices of the bandit


def bandit() -> PolicyProblem:
    """One state, three choices, each logged equally often; the problem is over after one of them."""
    venv, _ = chooser(KINDS[0])
    u = np.tile([[10.0], [20.0], [30.0]], (60, 1))
    logs = {"x": 0.0 * u, "u": u, "next_x": 0.0 * u}
    rows = rows_of(venv.graph, venv.codec, logs, logs)

    def earned(data: dict[str, Tensor]) -> Tensor:
        which = (data["u"] - 10.0) / 10.0
        return which * (which + 1.0) / 2.0

    reward = Reward(earned, Path("reward.py"))
    problem = cloned_problem(venv, rows, venv.graph)
    row_reward = earned({"u": torch.as_tensor(np.concatenate([u, u]))}).flatten().float()
    return PolicyProblem(**{**vars(problem), "reward": reward, "row_reward": row_reward})


def chances(learner: OfflineLearner) -> Tensor:
    """Of each choice, for every copy: (P, 3)."""
    out = learner.policy.distribution(torch.zeros(learner.policy.copies, 1, 1))
    assert out.logits is not None
    return out.logits.detach()[:, 0].softmax(-1)


def repeated(value: float, sharpness: float) -> Tensor:
    """What advantage-weighted regression makes of choices that were logged equally often, (3,)."""
    advantage = EARNED - value
    return (sharpness * advantage / advantage.abs().mean()).softmax(0)


@pytest.mark.parametrize("tau", [0.5, 0.9])
def test_iql_finds_the_expectile_of_a_bandit_and_repeats_the_better_choices(
    tmp_path: Path, tau: float
) -> None:
    problem = bandit()
    learner = made(Iql, problem, gamma=0.0, expectiles=[tau], temperature=1.5, updates=1200)
    train(learner, tmp_path)
    low, high = 0.0, 3.0
    for _ in range(60):  # tau E (r - v)+ = (1 - tau) E (v - r)+
        middle = (low + high) / 2
        above, below = (EARNED - middle).relu().mean(), (middle - EARNED).relu().mean()
        low, high = (middle, high) if tau * above > (1.0 - tau) * below else (low, middle)
    value = learner.value(torch.zeros(2, 1, 1)).detach() * problem.reward_spread + problem.row_reward.mean()
    torch.testing.assert_close(value, torch.full_like(value, low), rtol=0, atol=0.05)
    torch.testing.assert_close(chances(learner), repeated(low, 1.5).expand(2, -1), rtol=0, atol=0.03)


def test_awac_comes_to_rest_where_its_own_value_says(tmp_path: Path) -> None:
    learner = made(Awac, bandit(), gamma=0.0, temperatures=[1.0], updates=1200, draws=16)
    train(learner, tmp_path)
    wanted = torch.full((3,), 1 / 3)
    for _ in range(200):  # the policy's own value is the baseline
        wanted = repeated(float((wanted * EARNED).sum()), 1.0)
    torch.testing.assert_close(chances(learner), wanted.expand(2, -1), rtol=0, atol=0.04)


def test_weights_have_no_unit_and_a_largest_value() -> None:
    advantage = torch.randn(2, 50)
    weight = advantage_weights(advantage, 3.0)
    torch.testing.assert_close(weight, advantage_weights(100.0 * advantage, 3.0))
    torch.testing.assert_close(weight.mean(1), torch.ones(2))
    sharp = advantage_weights(torch.tensor([[-1.0, 1.0, 50.0, 60.0]]), 100.0)
    assert float(sharp[0, 2]) == float(sharp[0, 3])
    assert torch.equal(advantage_weights(advantage, 0.0), torch.ones(2, 50))


@pytest.mark.parametrize(("angle", "wanted"), [(0.0, 1.0), (90.0, 0.0), (180.0, -1.0)])
def test_parallel_critics_are_charged_one_and_opposite_ones_less(angle: float, wanted: float) -> None:
    turn = torch.tensor(angle).deg2rad()
    slopes = torch.stack([torch.tensor([1.0, 0.0]), 3.0 * torch.stack([turn.cos(), turn.sin()])])
    slopes = (
        slopes.view(2, 1, 1, 2).expand(2, 3, 5, 2).clone().requires_grad_()
    )  # of two critics of three copies
    action = torch.randn(2, 3, 5, 2, requires_grad=True)  # each critic's own
    found = alignment((slopes * action).sum(-1), action)
    torch.testing.assert_close(found, torch.full((3,), wanted), rtol=0, atol=1e-5)
    assert torch.autograd.grad(found.sum(), slopes)[0].shape == slopes.shape  # it reaches the critics


def test_diversity_keeps_the_slopes_of_the_critics_apart(tmp_path: Path) -> None:
    problem = bandit()  # its action has three dimensions
    learner = made(Edac, problem, etas=[0.0, 3.0], updates=300, gamma=0.0)
    train(learner, tmp_path)
    rows = learner.rows.drawn(learner.policy.copies, 256, problem.generator())
    action = rows.action.repeat(learner.critic.count, 1, 1, 1).requires_grad_()
    found = alignment(learner.critic(rows.x, action), action).detach()  # copies: half by half, eta by eta
    assert float(found[1]) < float(found[0]) - 0.1
    assert float(found[3]) < float(found[2]) - 0.1


def test_diversity_costs_nothing_where_a_slope_is_but_a_sign(plant: Plant, tmp_path: Path) -> None:
    learned, problem = [], problem_of(plant)  # its action has one column
    for eta in (0.0, 3.0):
        learner = made(Edac, problem, etas=[eta], updates=20, warm_up=5)
        train(learner, tmp_path / str(eta))
        learned.append(weights_of(learner.critic))
    assert equal_weights(*learned)
