"""What ends a trajectory ends its rewards, in judging and in learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.policy.choice import Court
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem
from revive.policy.reward import Reward
from revive.policy.starts import Starts
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.policy.problems import first_order, horizon_of, problem_in, row_rewards
from tests.venv.plants import columns, hand_set, rows_of

LIMIT = 2.5


def counting(kind: str = "category") -> VirtualEnv:
    """x counts up by one plus u; `done` is 1 as soon as next_x is above 2.5."""
    end = {"d": {"dim": "done", "type": "category", "values": [0, 1]}}
    if kind == "continuous":
        end = {"d": {"dim": "done", "type": "continuous"}}
    described = {
        "metadata": {
            "columns": [{n: {"dim": n, "type": "continuous"}} for n in ("x", "u")] + [end],
            "graph": {"u": ["x"], "next_x": ["x", "u"], "done": ["next_x"]},
        }
    }
    graph = parse_description(described, "test")
    if kind == "continuous":  # below one half as long as next_x is below the limit
        done = ([[1.0]], [0.5 - LIMIT])
    else:
        done = (torch.zeros(1, 0), torch.zeros(0))
    venv = hand_set(graph, {"u": ([[0.0]], [0.0]), "next_x": ([[0.0], [1.0]], [1.0]), "done": done})
    if kind == "category":
        net = venv.model("done").net
        with torch.no_grad():
            net.skip.weight[..., 1], net.skip.weight[..., 0] = 1.0, 0.0  # type: ignore[index, union-attr]
            net.skip.bias[..., 1], net.skip.bias[..., 0] = -LIMIT, 0.0  # type: ignore[index, union-attr]
    return venv.requires_grad_(False)


STARTS = torch.tensor([[[0.0], [1.0], [-9.0], [7.0]]]).expand(2, -1, -1)


@pytest.mark.parametrize("kind", ["category", "continuous"])
def test_a_branch_lives_until_the_step_that_ends_it(kind: str) -> None:
    venv = counting(kind)
    alive = venv.alive(venv.rollout({"x": STARTS}, {}, 5))
    assert alive is not None
    assert alive.shape == (6, 2, 4)
    assert alive[:, 0].T.tolist() == [
        [1, 1, 1, 0, 0, 0],  # 0 -> 1 -> 2 -> 3: the third step ends it, and still counts
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1],
        [1, 0, 0, 0, 0, 0],
    ]


def test_nothing_ends_where_nothing_says_so() -> None:
    graph = DecisionGraph.build(columns(x=1), {"next_x": ["x"]})
    venv = hand_set(graph, {"next_x": ([[0.0]], [1.0])})
    assert venv.alive(venv.rollout({"x": STARTS}, {}, 3)) is None


def bed_of(venv: VirtualEnv) -> tuple[EvaluationEnvironment, Rows]:
    """All starts are at 0; model space is physical."""
    logs = {name: np.zeros((30, 2 if name == "done" else 1)) for name in ("x", "u", "next_x")}
    logs["done"] = np.zeros((30, 1))
    rows = rows_of(venv.graph, venv.codec, logs, logs)
    reward = Reward(lambda data: torch.ones_like(data["x"]), Path("reward.py"))
    return EvaluationEnvironment.make(venv, rows, reward, starts=3, horizon=10, seed=0), rows


def test_steps_after_the_end_count_as_zero_in_judging() -> None:
    bed, _ = bed_of(counting("continuous"))
    bed = replace(bed, noise={})
    torch.testing.assert_close(bed.rewards(None), torch.full((2, 3), 0.3))


def still_problem() -> PolicyProblem:
    """A policy that leaves x alone, in the plant that counts."""
    venv = counting("continuous")
    bed, rows = bed_of(venv)
    edge = torch.tensor([20.0])
    policy = Policy(venv.graph, venv.codec, "u", NetworkSpec(hidden=(4,)), 2, -edge, edge)
    with torch.no_grad():
        policy.net.last.zero_()
    policy.net.put_linear(torch.zeros(2, 1, 1), torch.zeros(2, 1, 1))
    starts = Starts(venv, rows, {"x": (torch.zeros(1), torch.zeros(1))}, 0.0, 0.0)
    return problem_in(
        venv,
        rows,
        bed.reward,
        starts=starts,
        evaluation=replace(bed, noise={}),
        clone=policy,
        row_reward=row_rewards(1.0),
        horizon=horizon_of(6),
    )


def test_steps_after_the_end_count_as_zero_where_a_policy_is_chosen() -> None:
    for score in Court(still_problem()).clone_scores():
        assert score.per_member == pytest.approx([0.3])


def test_rewards_and_values_after_the_end_count_as_zero_in_learning() -> None:
    made = first_order(still_problem(), noise=1e-9, done_gamma=0.9)
    with torch.no_grad():
        for value in made.slow_critic.parameters():
            value.zero_()
        made.slow_critic.net.skip.bias.fill_(100.0)  # whatever the end is worth, nobody is there
    loss, seen = made._actor_loss()
    assert (seen.reward * seen.alive[:-1])[:, 0, 0].tolist() == [1, 1, 1, 0, 0, 0]
    assert seen.alive[:, 0, 0].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert loss.item() == pytest.approx(-2 * (1 + 0.9 + 0.81) / 6, rel=1e-3)
