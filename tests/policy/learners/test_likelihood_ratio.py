"""The first-order gradient of the return is that of likelihood ratios, in expectation.

Of a return J = E[sum_t r_t] of h steps under actions a_t ~ N(mu(s_t), sigma^2), differentiating through the
reparameterised draws and the likelihood ratio (Williams 1992, REINFORCE)

    grad J = E[sum_t grad log N(a_t; mu(s_t), sigma) sum_{k >= t} r_k]

have the same expectation. The second one sees neither the reward's gradient nor the venv's.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from revive.policy.learners.first_order import FirstOrderLearner
from revive.policy.reward import Reward
from tests.policy.conftest import Plant
from tests.policy.problems import first_order, horizon_of, problem_of

STEPS, BATCHES, BRANCHES, NOISE = 4, 20, 1000, 0.6


def smooth_reward(data: dict[str, Tensor]) -> Tensor:
    """Neither linear nor quadratic."""
    return torch.cos(data["next_x"]) - 0.3 * torch.tanh(data["u"] - data["x"]) ** 2


def learner_of(plant: Plant, smooth: bool, **arguments: Any) -> FirstOrderLearner:
    """With a critic that says 0, so that what is learned from is the return of the rollout alone."""
    torch.manual_seed(0)
    if smooth:  # the venv is no longer linear either
        venv = deepcopy(plant.venv)
        venv.model("next_x").net.last.normal_(0.0, 0.3)  # type: ignore[union-attr, operator]
        plant = replace(plant, venv=venv, reward=Reward(smooth_reward, Path("reward.py")))
    problem = problem_of(plant, horizon=horizon_of(STEPS))
    usual = {"branches": BRANCHES, "noise": NOISE, "gamma": 1.0, **arguments}
    made = first_order(problem, **usual)
    with torch.no_grad():
        made.policy.net.last.normal_(0.0, 0.5)  # type: ignore[union-attr, operator]
        for value in made.slow_critic.parameters():
            value.zero_()
    return made


def parameters(made: FirstOrderLearner) -> list[Tensor]:
    net = made.policy.net
    return [net.skip.weight, net.skip.bias, net.last]  # type: ignore[union-attr, list-item]


def gradient(loss: Tensor, made: FirstOrderLearner) -> Tensor:
    """Of all parameters of both copies, in one row."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters(made))])


def through_the_venv(made: FirstOrderLearner) -> Tensor:
    return gradient(made._actor_loss()[0], made)


def of_likelihoods(made: FirstOrderLearner) -> Tensor:
    """From other rollouts, of which nothing but states, actions and rewards is used."""
    with torch.no_grad():
        seen = made.imagination.imagine(made._worth)
    (at,) = (i for i, name in enumerate(made.imagination.leaves) if name == "x")
    state, action = seen.seen[:-1, ..., at : at + 1], seen.seen[:-1, ..., -1]  # (h, P, B)
    mean = torch.stack([made.policy.distribution(x).mean[..., 0] for x in state])
    density = torch.distributions.Normal(mean, NOISE).log_prob(action)
    later = seen.reward.flip(0).cumsum(0).flip(0)
    count = later.shape[-1]
    advantage = (later - later.mean(-1, keepdim=True)) * count / (count - 1)  # each branch against the others
    return gradient(-(density * advantage).sum(0).mean(-1).sum() / STEPS, made)


def mean_and_error(draws: list[Tensor]) -> tuple[Tensor, Tensor]:
    batches = torch.stack(draws)
    return batches.mean(0), batches.std(0) / len(batches) ** 0.5


@pytest.mark.parametrize("smooth", [False, True], ids=["linear-quadratic", "smooth"])
def test_both_gradients_have_one_expectation(plant: Plant, smooth: bool) -> None:
    made = learner_of(plant, smooth)
    first, its_error = mean_and_error([through_the_venv(made) for _ in range(BATCHES)])
    ratio, error = mean_and_error([of_likelihoods(made) for _ in range(BATCHES)])
    off = (first - ratio) / (its_error.square() + error.square()).sqrt()
    assert float(off.abs().max()) < 4.0  # standard errors, of 20 parameters
    assert float((first / error).abs().median()) > 10.0  # the tolerance is small beside what is measured
    assert float(error.mean() / its_error.mean()) > 1.2  # why the first-order one is what is learned by


def test_another_return_would_be_noticed(plant: Plant) -> None:
    made = learner_of(plant, False, gamma=0.9)  # a tenth of each later reward is missing
    first, its_error = mean_and_error([through_the_venv(made) for _ in range(BATCHES)])
    ratio, error = mean_and_error([of_likelihoods(made) for _ in range(BATCHES)])
    off = (first - ratio) / (its_error.square() + error.square()).sqrt()
    assert float(off.abs().max()) > 6.0
