"""A linear plant with a quadratic cost: learners that simulate come within 5 % of Riccati's gain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from revive.policy.learners.base import PolicyLearner
from revive.policy.learners.ppo import Ppo
from revive.policy.learners.sac import Sac
from revive.policy.problem import PolicyProblem
from tests.policy.conftest import Plant
from tests.policy.learners.test_ppo import ARGUMENTS as PPO
from tests.policy.learners.test_sac import ARGUMENTS as SAC
from tests.policy.problems import first_order, problem_of
from tests.venv.plants import train

LONGER: dict[str, Any] = {
    "iterations": 300,
    "branches": 128,
    "steps": 8,
    "batch": 512,
    "real": 0.0,
    "hidden": [64, 64],
    "lr": 3e-3,
    "alpha_lr": 3e-3,
    "target_rate": 0.02,
}
MADE: dict[str, Callable[[PolicyProblem], PolicyLearner]] = {
    "first_order": lambda problem: first_order(problem, iterations=200, branches=64, noise=0.2),
    "ppo": lambda problem: Ppo(problem, **{**PPO, "iterations": 150, "branches": 256, "lr": 5e-3}),
    "sac": lambda problem: Sac(problem, **{**SAC, **LONGER}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_the_gain_is_within_5_percent_of_riccatis(plant: Plant, tmp_path: Path, name: str) -> None:
    learner = MADE[name](problem_of(plant))
    train(learner, tmp_path)
    last = learner.candidates()[-2:]
    x = torch.tensor([[[-0.3], [0.3]]])
    gains = [(action[0, 1, 0] - action[0, 0, 0]).item() / 0.6 for action in (c.policy(x) for c in last)]
    assert gains == pytest.approx([plant.best_gain] * 2, rel=0.05)
