"""A function of the user ends trajectories: what comes after does not count, and policies learn to avoid it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.description import parse_description
from revive.policy.learners.base import PolicyLearner
from revive.policy.learners.ppo import Ppo
from revive.policy.problem import PolicyProblem
from revive.policy.reward import Reward
from revive.venv.functions import UserCode
from revive.venv.virtual_env import VirtualEnv
from tests.policy.learners.test_ppo import ARGUMENTS as PPO
from tests.policy.problems import chosen_of, cloned_problem, first_order, horizon_of
from tests.venv.plants import hand_set, rows_of, train

OVER = """\
import torch

def over(data: dict[str, torch.Tensor]) -> torch.Tensor:
    return (data['next_x'].abs() > 1.0).float()
"""


def drifting(folder: Path) -> tuple[VirtualEnv, Rows]:
    """x' = x + u, which the logs' controller drives upwards until x leaves -1 .. 1 and the trajectory ends."""
    (folder / "ends.py").write_text(OVER)
    bounded = {"dim": "u", "type": "continuous", "min": -0.5, "max": 0.5}
    end = {"over": {"dim": "done", "type": "category", "values": [0, 1]}}
    described = {
        "columns": [{"x": {"dim": "x", "type": "continuous"}}, {"u": bounded}, end],
        "graph": {"u": ["x"], "next_x": ["x", "u"], "done": ["next_x"]},
        "expert_functions": {"done": {"node_function": "ends.over"}},
    }
    graph = parse_description({"metadata": described}, "test", folder)
    linear = {"u": ([[0.0]], [0.1]), "next_x": ([[0.0], [1.0]], [0.0])}
    venv = hand_set(graph, linear, members=4, std=0.05)
    venv.code = UserCode.load(graph, folder)
    with torch.no_grad():
        venv.model("u").free_log_std.fill_(np.log(0.1))
    halves = [logs(seed) for seed in (1, 2)]
    rows = rows_of(graph, venv.codec, *(half for half, _ in halves), ends=[ends for _, ends in halves])
    return venv.requires_grad_(False), rows


def logs(seed: int) -> tuple[dict[str, np.ndarray], list[int]]:
    rng, found, ends = np.random.default_rng(seed), [], []
    for _ in range(20):
        x = rng.uniform(-0.5, 0.5)
        while abs(x) <= 1.0:
            u = float(np.clip(0.1 + 0.1 * rng.normal(), -0.5, 0.5))
            following = x + u + 0.05 * rng.normal()
            found.append((x, u, following, float(abs(following) > 1.0)))
            x = following
        ends.append(len(found))
    return dict(zip(("x", "u", "next_x", "done"), np.array(found).T[:, :, None], strict=True)), ends


def alive(data: dict[str, Tensor]) -> Tensor:
    return torch.ones_like(data["next_x"])


MADE: dict[str, Callable[[PolicyProblem], PolicyLearner]] = {
    "first_order": lambda problem: first_order(problem, iterations=60),
    "ppo": lambda problem: Ppo(problem, **{**PPO, "iterations": 40}),
}


@pytest.mark.parametrize("name", MADE)
def test_a_policy_learns_to_go_on(tmp_path: Path, name: str) -> None:
    venv, rows = drifting(tmp_path)
    reward = Reward(alive, tmp_path / "reward.py")
    learner = MADE[name](cloned_problem(venv, rows, venv.graph, reward=reward, horizon=horizon_of(20)))
    train(learner, tmp_path)
    problem, best = learner.problem, chosen_of(learner)
    assert best.fallback is None
    ours, theirs = (problem.evaluation.roll(p.actor()) for p in (best.candidate.policy, problem.clone))
    lived = [float(venv.alive(rolled)[1:].mean()) for rolled in (ours, theirs)]  # type: ignore[index]
    assert lived[1] < 0.6
    assert lived[0] > 0.9
    earned = problem.evaluation.rewards(best.candidate.policy.actor())
    assert float(earned.mean()) > 0.9  # a step after the end earns nothing
