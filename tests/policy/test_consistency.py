"""A venv that is right for small actions and wrong for large ones, which all its members agree about."""

from __future__ import annotations

from dataclasses import replace

import torch

from revive.policy.consistency import Consistency
from revive.policy.problem import PolicyProblem
from tests.policy.conftest import WIND, A, B, Plant
from tests.policy.problems import problem_of
from tests.venv.plants import hand_set, logs_of, rows_of

WRONG = 3.0  # the action's effect in the venv, as a multiple of the true one


def problem_in_a_wrong_venv(plant: Plant) -> PolicyProblem:
    """The logs are of the plant, moved about by a restless hand."""
    with torch.no_grad():
        spread = plant.venv.model("u").free_log_std.clone()
        plant.venv.model("u").free_log_std.fill_(0.0)
        logs = [logs_of(plant.venv, 500, seed=s) for s in (1, 2)]
        plant.venv.model("u").free_log_std.copy_(spread)
    linear = {"next_x": ([[A - 1.0], [WRONG * B], [WIND]], [0.0]), "u": ([[-0.2]], [0.0])}
    venv = hand_set(plant.graph, linear, members=4, std=0.2).requires_grad_(False)
    rows = rows_of(venv.graph, venv.codec, *logs)
    starts = replace(plant.starts, venv=venv, rows=rows, wide=0.0)
    return problem_of(plant, venv=venv, rows=rows, starts=starts)


def steps(problem: PolicyProblem, size: float) -> dict[str, torch.Tensor]:
    """Steps of the venv with actions of that size, from around zero: (1, M, 200, 1)."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, problem.venv.members, 200, 1)
    values = {name: 0.3 * torch.randn(shape, generator=generator) for name in ("x", "wind")}
    values["u"] = size * torch.randn(shape, generator=generator).sign()
    noise = 0.2 * torch.randn(shape, generator=generator)
    values["next_x"] = A * values["x"] + WRONG * B * values["u"] + WIND * values["wind"] + noise
    return values


def test_what_the_logs_would_not_have_done_is_charged(plant: Plant) -> None:
    problem = problem_in_a_wrong_venv(plant)
    measure = Consistency.trained(problem)
    usual, odd = (float(measure.unlikely(steps(problem, size)).mean()) for size in (0.05, 1.5))
    assert usual < 0.3
    assert odd > 1.0
    assert odd > 5 * usual


def test_the_charge_has_a_gradient_and_the_seed_decides(plant: Plant) -> None:
    problem = problem_in_a_wrong_venv(plant)
    values = steps(problem, 1.5)
    values["u"].requires_grad_()
    found = Consistency.trained(problem).unlikely(values)
    assert found.shape == (1, problem.venv.members, 200)
    found.sum().backward()
    assert values["u"].grad is not None
    assert bool(torch.isfinite(values["u"].grad).all())
    again = Consistency.trained(problem).unlikely(values)
    assert torch.equal(found, again)
