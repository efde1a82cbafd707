from __future__ import annotations

import pytest
import torch

from revive.policy.clone import clone_behaviour
from revive.policy.policy import Policy
from revive.policy.starts import Starts
from revive.venv.node_model import NetworkSpec
from tests.policy.conftest import Plant
from tests.venv.plants import equal_weights, hand_set, weights_of

NEXT = ([[-0.1], [0.5], [0.0]], [0.0])


def cloned(plant: Plant, gains: list[float], biases: list[float], seed: int = 0) -> tuple[Policy, float]:
    """A clone of behaviour nodes of those gains and biases, one per member."""
    linear = {"u": (torch.tensor(gains).view(4, 1, 1), torch.tensor(biases).view(4, 1, 1)), "next_x": NEXT}
    venv = hand_set(plant.graph, linear, members=4)
    starts = Starts(venv, plant.rows, plant.starts.ranges, 0.5, 0.0)
    torch.manual_seed(seed)
    edge = torch.tensor([20.0])
    policy = Policy(plant.graph, venv.codec, "u", NetworkSpec(hidden=(8,)), 2, -edge, edge, noise=0.3)
    loss = clone_behaviour(policy, venv, starts, updates=150, batch=64, lr=3e-2, seed=seed)
    return policy, loss


def test_each_copy_does_what_its_half_learned_that_the_controller_does(plant: Plant) -> None:
    policy, loss = cloned(plant, [0.5, 0.5, -0.7, -0.7], [0.1, 0.1, -0.2, -0.2])
    x = torch.linspace(-2, 2, 9).view(1, 9, 1).expand(2, -1, -1)
    with torch.no_grad():
        action = policy(x)
    wanted = torch.stack([0.5 * x[0] + 0.1, -0.7 * x[1] - 0.2])
    torch.testing.assert_close(action, wanted, rtol=0, atol=0.03)
    assert 0 <= loss < 1e-3


def test_the_members_of_a_half_are_averaged(plant: Plant) -> None:
    policy, _ = cloned(plant, [0.9, 0.1, 0.0, 0.0], [0.0, 0.4, 1.0, -1.0])
    x = torch.linspace(-2, 2, 9).view(1, 9, 1).expand(2, -1, -1)
    with torch.no_grad():
        action = policy(x)
    torch.testing.assert_close(action[0], 0.5 * x[0] + 0.2, rtol=0, atol=0.03)
    torch.testing.assert_close(action[1], 0.0 * x[1], rtol=0, atol=0.03)


def test_the_seed_alone_decides(plant: Plant) -> None:
    one, same, other = (cloned(plant, [0.5] * 4, [0.0] * 4, seed)[0] for seed in (1, 1, 2))
    assert equal_weights(weights_of(one), weights_of(same))
    assert not equal_weights(weights_of(one), weights_of(other))


def test_the_loss_says_how_far_it_is(plant: Plant) -> None:
    """A policy with hardly any range cannot follow."""
    linear = {"u": ([[0.0]], [3.0]), "next_x": NEXT}
    venv = hand_set(plant.graph, linear, members=4)
    starts = Starts(venv, plant.rows, plant.starts.ranges, 0.5, 0.0)
    edge = torch.tensor([1.0])
    policy = Policy(plant.graph, venv.codec, "u", NetworkSpec(hidden=(8,)), 2, -edge, edge)
    loss = clone_behaviour(policy, venv, starts, updates=150, batch=64, lr=5e-2, seed=0)
    assert loss == pytest.approx(2.0 - 0.5, abs=0.15)  # Huber's loss of a miss by 2
