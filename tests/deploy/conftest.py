from __future__ import annotations

import pytest
import torch

from revive.data.codec import Codec
from revive.deploy import PolicySession, VenvSession
from revive.policy.policy import Policy
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import hand_set, plant_graph, scaled

X_CENTER, X_SCALE, U_CENTER, U_SCALE = 20.0, 4.0, 5.0, 2.0


def codec() -> Codec:
    """Temperatures around 20, actions around 5, a wind that is taken as it is."""
    graph = plant_graph()
    made = Codec.empty(graph)
    made.nodes["x"] = scaled(graph.columns("x"), [X_CENTER], [X_SCALE])
    made.nodes["u"] = scaled(graph.columns("u"), [U_CENTER], [U_SCALE])
    return made


@pytest.fixture
def venv() -> VirtualEnv:
    """In physical units x' = x + (u - 5) + wind, give or take 2 for half of the members; u = 5 + (x - 20)."""
    bias = [[[0.5]], [[-0.5]], [[0.5]], [[-0.5]]]
    linear = {
        "next_x": ([[0.0], [U_SCALE / X_SCALE], [1.0 / X_SCALE]], bias),
        "u": ([[X_SCALE / U_SCALE]], [0.0]),
    }
    return hand_set(plant_graph(), linear, members=4, std=0.05, codec=codec())


@pytest.fixture
def policy() -> Policy:
    """In physical units u = 5 - 0.5 (x - 20), between -15 and 25."""
    graph = plant_graph()
    edge = torch.tensor([10.0])
    policy = Policy(graph, codec(), "u", NetworkSpec(hidden=(4,)), 1, -edge, edge, noise=0.3)
    with torch.no_grad():
        policy.net.last.zero_()
    policy.net.put_linear(torch.full((1, 1, 1), -0.5 * X_SCALE / U_SCALE), torch.zeros(1, 1, 1))
    return policy


@pytest.fixture
def venv_session(venv: VirtualEnv) -> VenvSession:
    return VenvSession(venv)


@pytest.fixture
def policy_session(policy: Policy) -> PolicySession:
    return PolicySession(policy)
