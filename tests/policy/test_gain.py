"""Whether a policy's gain is certain, and against what it is measured."""

from __future__ import annotations

import torch

from revive.pipeline.trust import certainty_of
from tests.policy.conftest import BEHAVIOUR, Plant
from tests.policy.problems import candidates_of, problem_of
from tests.venv.plants import hand_set, logs_of, rows_of


def test_beside_a_clone_at_fault_a_gain_over_the_logs_will_do(plant: Plant) -> None:
    """The clone runs away, in some members faster than in others; the candidate does much the same in all of them."""
    linear = {"next_x": ([[-0.1], [0.5], [0.1]], [0.0]), "u": ([[BEHAVIOUR]], [0.0])}
    venv = hand_set(plant.graph, linear, members=8, std=0.2).requires_grad_(False)
    rows = rows_of(venv.graph, venv.codec, logs_of(venv, 300, seed=1), logs_of(venv, 300, seed=2))
    effects = venv.model("next_x").net.skip.weight[:, 1]
    effects += torch.tensor([-0.1, 0.1, -0.05, 0.05] * 2).unsqueeze(-1)
    problem = problem_of(plant, venv=venv, rows=rows, clone=plant.linear_policy(0.3, 0.3))
    better, as_logged = (candidates_of(plant.linear_policy(k, k))[0] for k in (-0.9, BEHAVIOUR))
    assert [v.code for v in certainty_of(problem, better, clone_at_fault=False).doubts] == ["gain"]
    assert certainty_of(problem, better, clone_at_fault=True).doubts == []
    (doubt,) = certainty_of(problem, as_logged, clone_at_fault=True).doubts
    assert doubt.severity == "distrust"


def test_a_gain_that_every_member_sees_is_taken_beside_a_clone_at_fault(plant: Plant) -> None:
    """Members that differ much in what an action does agree on the sign of the gain, and not on its size."""
    linear = {"next_x": ([[-0.1], [0.5], [0.1]], [0.0]), "u": ([[BEHAVIOUR]], [0.0])}
    venv = hand_set(plant.graph, linear, members=8, std=0.2).requires_grad_(False)
    rows = rows_of(venv.graph, venv.codec, logs_of(venv, 300, seed=1), logs_of(venv, 300, seed=2))
    venv.model("next_x").net.skip.weight[:, 1] += torch.tensor([-0.3, 1.2, -0.1, 0.3] * 2).unsqueeze(-1)
    problem = problem_of(plant, venv=venv, rows=rows, clone=plant.linear_policy(0.3, 0.3))
    better = candidates_of(plant.linear_policy(-0.6, -0.6))[0]
    (doubt,) = certainty_of(problem, better, clone_at_fault=True).doubts
    assert doubt.severity == "caution"
    assert "every member" in doubt.sentence
