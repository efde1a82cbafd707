from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from revive.policy.choice import Court
from revive.policy.learners.td3_bc import Td3Bc
from revive.policy.reward import Reward
from tests.policy.conftest import Plant
from tests.policy.problems import cloned_problem, problem_of
from tests.policy.toys import KINDS, chooser
from tests.venv.plants import rows_of, train

ARGUMENTS: dict[str, Any] = {
    "actor_weights": [0.1],
    "critic_weight": 0.0,
    "hidden": [32],
    "updates": 800,
    "warm_up": 100,
    "actor_every": 2,
    "batch": 64,
    "lr": 3e-3,
    "critic_lr": 1e-2,
    "gamma": 0.5,
    "target_rate": 0.1,
    "target_noise": 0.0,
    "clip": 1.0,
    "snapshots": 2,
    "chunk": 100,
}


def test_the_critics_of_two_states_are_exact(plant: Plant, tmp_path: Path) -> None:
    """x and u are -1 or 1, x' = u, r = x u; a policy that does u = x stays and earns one for ever."""
    generator = np.random.default_rng(0)
    logs = []
    for _ in range(2):
        u = generator.choice([-1.0, 1.0], (400, 1))
        x = np.concatenate([[[1.0]], u[:-1]])
        logs.append({"x": x, "wind": 0.0 * u, "u": u, "next_x": u})
    rows = rows_of(plant.graph, plant.venv.codec, *logs)
    reward = Reward(lambda data: data["x"] * data["u"], Path("reward.py"))
    problem = problem_of(plant, rows=rows, reward=reward, clone=plant.linear_policy(1.0, 1.0))
    learner = Td3Bc(problem, **{**ARGUMENTS, "lr": 0.0})
    train(learner, tmp_path)
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]).expand(2, -1, -1)  # with the wind
    u = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]).expand(2, -1, -1)
    unit, offset = problem.reward_spread, float(problem.row_reward.mean())
    wanted = (torch.tensor([2.0, 0.0, 0.0, 2.0]) - 2.0 * offset) / unit  # r + 0.5 / (1 - 0.5), in spreads
    value = learner.critic(torch.cat([x[..., :1], x[..., 1:]], -1), u).detach()
    torch.testing.assert_close(value, wanted.expand(2, 2, 4), rtol=0.03, atol=0.03)


def test_before_the_actor_moves_the_critics_learn_what_the_logs_earned(plant: Plant, tmp_path: Path) -> None:
    problem = problem_of(plant)
    learner = Td3Bc(problem, **{**ARGUMENTS, "updates": 600, "warm_up": 600})
    train(learner, tmp_path)
    rows = learner.rows
    value = learner.critic(rows.x.expand(2, -1, -1), rows.action.expand(2, -1, -1)).detach()[:, 0, :300]
    error = (value - rows.earned[:300]).square().mean()
    # the rest is noise that no critic can know
    assert float(error) < 0.6 * float(rows.earned[:300].var())
    assert learner.candidates() == []


def test_logs_alone_lead_to_a_better_gain(plant: Plant, tmp_path: Path) -> None:
    problem = problem_of(plant)
    learner = Td3Bc(problem, **{**ARGUMENTS, "gamma": 0.9, "updates": 1500, "actor_weights": [0.03, 30.0]})
    train(learner, tmp_path)
    best = Court(problem).choose(learner.candidates())
    assert best.fallback is None
    assert best.candidate.variant == "behaviour 0.03"
    worth = {
        variant: float(plant.bed.rewards(policy.actor()).mean())
        for variant, policy in ((c.variant, c.policy) for c in learner.candidates() if c.half == 0)
    }
    optimal = float(plant.bed.rewards(plant.linear_policy(plant.best_gain).actor()).mean())
    timid = float(plant.bed.rewards(plant.linear_policy(-0.2).actor()).mean())
    assert worth["behaviour 0.03"] > optimal - 0.5 * (optimal - timid)
    assert worth["behaviour 30"] < worth["behaviour 0.03"]  # it stays where the logs are


@pytest.mark.parametrize("action", KINDS, ids=["category", "discrete"])
def test_the_better_one_of_the_values_is_found(action: Any, tmp_path: Path) -> None:
    """x' = 0.8 x + push, and x far from zero costs: above zero the lowest push is best."""
    venv, rows = chooser(action)
    problem = cloned_problem(venv, rows, venv.graph)
    learner = Td3Bc(problem, **{**ARGUMENTS, "actor_weights": [0.01]})
    train(learner, tmp_path)
    x = torch.tensor([[[-1.5], [1.5]]])
    for candidate in learner.candidates()[-2:]:
        push = venv.codec["u"].decode(candidate.policy(x).detach()).flatten().tolist()
        assert push == [30.0, 10.0]
