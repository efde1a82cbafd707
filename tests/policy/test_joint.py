"""A policy that decides two nodes of a small plant together: the second one sees what the first one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from revive.policy.reward import Reward
from revive.venv.joint import JointModel
from tests.policy.problems import chosen_of, cloned_problem, first_order
from tests.policy.toys import CATEGORY, pair
from tests.venv.plants import train


def to_goals(data: dict[str, Tensor]) -> Tensor:
    """x is to be 0.4 and y -0.4, which needs both actions: alone, `a` moves both the same way."""
    return -((data["next_x"] - 0.4) ** 2) - (data["next_y"] + 0.4) ** 2


def problem_of_pair(**second: Any) -> Any:
    venv, rows, target = pair(**second)
    reward = Reward(to_goals, Path("reward.py"))
    return cloned_problem(venv, rows, venv.graph, target=target, reward=reward)


@pytest.mark.parametrize("second", [{}, CATEGORY], ids=["continuous", "category"])
def test_the_clone_does_what_both_controllers_do(second: dict[str, Any]) -> None:
    problem = problem_of_pair(**second)
    x = torch.tensor([[-1.0, 0.5], [0.0, 0.0], [1.0, -0.5]])
    action = problem.clone(x.expand(2, -1, -1))
    torch.testing.assert_close(action[..., 0], (-0.2 * x[:, 0]).expand(2, -1), rtol=0, atol=0.05)
    if not second:
        wanted = -0.2 * x[:, 1] + 0.1 * x[:, 0]
        torch.testing.assert_close(action[..., 1], wanted.expand(2, -1), rtol=0, atol=0.1)


def test_both_are_learned_together(tmp_path: Path) -> None:
    problem = problem_of_pair()
    learner = first_order(problem, iterations=80)
    train(learner, tmp_path)
    best = chosen_of(learner)
    assert best.fallback is None
    policy = best.candidate.policy
    rolled = problem.evaluation.roll(policy.actor())
    assert float(rolled["next_x"][-1].mean()) == pytest.approx(0.4, abs=0.1)
    assert float(rolled["next_y"][-1].mean()) == pytest.approx(-0.4, abs=0.1)
    torch.testing.assert_close(rolled[problem.target], torch.cat([rolled["a"], rolled["b"]], -1))


def test_the_model_of_both_draws_the_second_after_the_first() -> None:
    venv, _, target = pair()
    model = venv.model(target)
    assert isinstance(model, JointModel)
    x = torch.randn(venv.members, 4000, 2, generator=torch.Generator().manual_seed(0))
    eps = torch.randn(venv.members, 4000, 2, generator=torch.Generator().manual_seed(1))
    a, b = model.value(x, None, eps).unbind(-1)
    torch.testing.assert_close(a, -0.2 * x[..., 0] + 0.5 * eps[..., 0])
    torch.testing.assert_close(b, -0.2 * x[..., 1] - 0.5 * a + 0.5 * eps[..., 1])
