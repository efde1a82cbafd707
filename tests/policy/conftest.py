from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.policy.starts import Starts
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import hand_set, logs_of, plant_graph, rows_of

A, B, WIND, EFFORT, GAMMA = 0.9, 0.5, 0.1, 0.1, 0.97
BEHAVIOUR = -0.2


def quadratic_reward(data: dict[str, Tensor]) -> Tensor:
    """A state far from zero costs, and so does effort."""
    return -(data["next_x"] ** 2 + EFFORT * data["u"] ** 2)


@dataclass(frozen=True)
class Plant:
    """x' = 0.9 x + 0.5 u + 0.1 wind + noise, under a quadratic cost; a timid controller left the logs."""

    graph: DecisionGraph
    venv: VirtualEnv
    rows: Rows
    reward: Reward
    starts: Starts
    bed: EvaluationEnvironment

    @property
    def best_gain(self) -> float:
        """Of the discounted linear-quadratic problem, by iterating Riccati's equation."""
        price = 0.0
        for _ in range(500):
            tail = 1.0 + GAMMA * price
            price = tail * A**2 * EFFORT / (EFFORT + tail * B**2)
        tail = 1.0 + GAMMA * price
        return -tail * A * B / (EFFORT + tail * B**2)

    def linear_policy(self, *gains: float, noise: float = 0.0, venv: VirtualEnv | None = None) -> Policy:
        """One copy per gain; nearly unbounded. venv: what it acts in, where that is not the plant's."""
        venv = venv or self.venv
        edge = torch.tensor([20.0])
        spec = NetworkSpec(hidden=(8,))
        policy = Policy(venv.graph, venv.codec, "u", spec, len(gains), -edge, edge, noise)
        policy.net.put_linear(torch.tensor(gains).view(-1, 1, 1), torch.zeros(len(gains), 1, 1))
        with torch.no_grad():
            policy.net.last.zero_()
        return policy


@pytest.fixture(scope="session")
def plant() -> Plant:
    graph = plant_graph()
    linear = {"next_x": ([[A - 1.0], [B], [WIND]], [0.0]), "u": ([[BEHAVIOUR]], [0.0])}
    venv = hand_set(graph, linear, members=4, std=0.2).requires_grad_(False)
    rows = rows_of(venv.graph, venv.codec, logs_of(venv, 300, seed=1), logs_of(venv, 300, seed=2))
    reward = Reward(quadratic_reward, Path("reward.py"))
    starts = Starts(venv, rows, {"x": (torch.tensor([-2.0]), torch.tensor([2.0]))}, 0.5, 0.0)
    bed = EvaluationEnvironment.make(venv, rows, reward, starts=16, horizon=60, seed=1)
    return Plant(graph, venv, rows, reward, starts, bed)
