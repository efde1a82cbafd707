"""Policies whose action is a category or a level, and policies that look back, on toy plants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from revive.graph.columns import Column
from revive.policy.clone import clone_behaviour
from revive.policy.horizon import response
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.venv.node_model import NetworkSpec
from tests.policy.problems import chosen_of, cloned_problem, first_order, horizon_of, near_zero
from tests.policy.toys import KINDS, cart, chooser, seen_with
from tests.venv.plants import train

# -- categories and levels ---------------------------------------------------------------------


@pytest.mark.parametrize("action", KINDS, ids=["category", "discrete"])
def test_a_policy_learns_which_of_three_to_choose(action: Column, tmp_path: Path) -> None:
    venv, rows = chooser(action)
    made = first_order(cloned_problem(venv, rows, venv.graph), iterations=60, judge_every=15)
    train(made, tmp_path)
    best = chosen_of(made)
    assert best.fallback is None
    assert best.candidate.iteration > 0
    policy = best.candidate.policy
    x = torch.tensor([-2.0, -1.0, 1.0, 2.0]).view(1, 4, 1)
    with torch.no_grad():
        chosen = venv.codec["u"].decode(policy(x))[0, :, 0]
    assert chosen.tolist() == [30.0, 30.0, 10.0, 10.0]
    bed = made.problem.evaluation
    worth = float(bed.rewards(policy.actor()).mean())
    assert worth > 0.5 * float(bed.rewards(None).mean())  # rewards are negative


@pytest.mark.parametrize("action", KINDS, ids=["category", "discrete"])
def test_an_explored_action_is_legal(action: Column) -> None:
    venv, _ = chooser(action)
    edge = torch.ones(venv.codec.layout("u").ordered)
    torch.manual_seed(0)
    policy = Policy(venv.graph, venv.codec, "u", NetworkSpec(hidden=(4,)), 1, -edge, edge, noise=0.5)
    with torch.no_grad():
        drawn = policy(torch.randn(1, 2000, 1) * 3, torch.Generator().manual_seed(0))
        legal = venv.codec["u"].project(drawn)
        values = venv.codec["u"].decode(drawn)
    torch.testing.assert_close(drawn, legal, rtol=0, atol=1e-5)
    assert set(values.flatten().tolist()) == {10.0, 20.0, 30.0}


def test_a_clone_chooses_as_often_as_the_controller() -> None:
    venv, rows = chooser(KINDS[0])
    with torch.no_grad():
        venv.model("u").net.skip.bias.copy_(torch.tensor([0.7, 0.2, 0.1]).log())  # type: ignore[union-attr]
    problem = cloned_problem(venv, rows, venv.graph)
    policy = problem.clone.requires_grad_(True)
    clone_behaviour(policy, venv, problem.starts, updates=150, batch=128, lr=1e-2, seed=0)
    x = torch.linspace(-1, 1, 9).view(1, 9, 1).expand(2, -1, -1)
    logits = policy.distribution(x).logits
    assert logits is not None
    wanted = torch.tensor([0.7, 0.2, 0.1]).expand(2, 9, 3)
    torch.testing.assert_close(logits.softmax(-1).detach(), wanted, rtol=0, atol=0.05)


def test_dead_time_is_found_by_another_category() -> None:
    venv, rows = chooser(KINDS[0])
    assert response(venv, rows, "u", Reward(near_zero, Path("reward.py")), within=30).dead_time == 1


# -- looking back ------------------------------------------------------------------------------


def test_the_frames_that_a_policy_sees_are_those_of_its_rollout() -> None:
    venv, plain = cart()
    graph, rows = seen_with(venv, plain, 3)
    problem = cloned_problem(venv, rows, graph)
    begin = problem.starts.draw(6, 8, torch.Generator().manual_seed(0))
    assert begin.past["ts3_x"].shape == (4, 6, 2)
    seen: list[Tensor] = []
    actor = problem.clone.actor()

    def decide(x: Tensor) -> Tensor:
        seen.append(x)
        return actor.decide(x)

    with torch.no_grad():
        rolled = venv.rollout(
            begin.state, begin.given, 8, past=begin.past, actor=replace(actor, decide=decide)
        )
    x = torch.cat([*begin.past["ts3_x"].unbind(-1)], dim=-1)
    whole = torch.cat([begin.past["ts3_x"][..., i : i + 1].unsqueeze(0) for i in (0, 1)] + [rolled["x"]])
    assert x.numel() == 48
    for t, frames in enumerate(seen):
        torch.testing.assert_close(frames, torch.cat([whole[t], whole[t + 1], whole[t + 2]], dim=-1))


def test_logged_starts_bring_the_logged_past_and_wide_ones_stand_still() -> None:
    venv, plain = cart()
    graph, rows = seen_with(venv, plain, 3)
    starts = cloned_problem(venv, rows, graph).starts
    begin = replace(starts, wide=0.5).draw(400, 1, torch.Generator().manual_seed(0))
    x, past = begin.state["x"], begin.past["ts3_x"]
    still = (past == x).all(-1)
    logged = {
        tuple(row)
        for row in torch.cat([rows.past(torch.arange(400))["ts3_x"], rows.values["x"]], -1).tolist()
    }
    moving = torch.cat([past, x], -1)[~still]
    assert 0.4 < float(still.float().mean()) < 0.7
    assert all(tuple(row) in logged for row in moving.tolist())


def test_a_history_lets_a_policy_brake(tmp_path: Path) -> None:
    """Without the speed, whatever pulls the cart back also swings it up."""
    venv, plain = cart()
    worth = {}
    for history in (1, 2):
        graph, rows = seen_with(venv, plain, history)
        problem = cloned_problem(venv, rows, graph, horizon=horizon_of(25))
        made = first_order(problem, iterations=100, judge_every=15, lr=2e-2)
        train(made, tmp_path / str(history))
        policy = chosen_of(made).candidate.policy
        worth[history] = float(problem.evaluation.rewards(policy.actor()).mean())
    assert worth[2] > 0.5 * worth[1]  # both are costs
