from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.policy.choice import Court
from revive.policy.learners.first_order import FirstOrderLearner
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.policy.starts import Starts
from revive.venv.virtual_env import VirtualEnv
from tests.contract import check_gradients
from tests.policy.conftest import BEHAVIOUR, Plant
from tests.policy.problems import chosen_of, first_order, horizon_of, problem_of, row_rewards
from tests.venv.plants import columns, equal_weights, hand_set, logs_of, rows_of, scaled, train, weights_of

WHOLE = [{"penalty": 0, "returns": "whole"}]
EVERY = [{"penalty": 0, "returns": "every"}]


def made_for(plant: Plant, learner: dict[str, Any] | None = None, **problem: Any) -> FirstOrderLearner:
    return first_order(problem_of(plant, **problem), **(learner or {}))


def gain_of(policy: Policy) -> Tensor:
    """Slope of each copy's action around zero: (P,)."""
    x = torch.tensor([[-0.3], [0.3]]).expand(policy.copies, 2, 1)
    with torch.no_grad():
        action = policy(x)
    return (action[:, 1, 0] - action[:, 0, 0]) / 0.6


@pytest.mark.parametrize("variants", [WHOLE, EVERY], ids=["whole", "every"])
def test_a_linear_quadratic_plant_is_controlled_almost_optimally(
    plant: Plant, tmp_path: Path, variants: list[dict[str, Any]]
) -> None:
    made = made_for(plant, {"variants": variants})
    train(made, tmp_path)
    best = chosen_of(made).candidate
    assert float(gain_of(best.policy)) == pytest.approx(plant.best_gain, rel=0.1)
    learned, optimal, timid = (
        float(plant.bed.rewards(policy.actor()).mean())
        for policy in (best.policy, plant.linear_policy(plant.best_gain), plant.linear_policy(BEHAVIOUR))
    )
    assert learned > optimal - 0.05 * (optimal - timid)
    assert best.iteration > 0


@pytest.mark.parametrize("variants", [WHOLE, EVERY], ids=["whole", "every"])
def test_the_gradient_is_that_of_finite_differences_under_frozen_noise(
    plant: Plant, variants: list[dict[str, Any]]
) -> None:
    """Through transitions, noise, exploration, changing members, and the critic."""
    made = made_for(plant, {"branches": 64, "variants": variants})
    with torch.no_grad():
        for value in made.slow_critic.parameters():
            value.add_(0.05 * torch.randn_like(value))
    generator = made.generator.get_state()

    def loss() -> Tensor:
        made.generator.set_state(generator)
        return made._actor_loss()[0]

    net = made.policy.net
    check_gradients(loss, (net.skip.weight, net.skip.bias, net.last))


def test_one_copys_loss_does_not_move_the_others(plant: Plant) -> None:
    gradients = []
    for second in (BEHAVIOUR, 0.1):
        made = made_for(plant, {"variants": [*WHOLE, *EVERY]}, clone=plant.linear_policy(BEHAVIOUR, second))
        made._actor_loss()[0].backward()
        gradient = made.policy.net.skip.weight.grad
        assert gradient is not None
        gradients.append(gradient)
    torch.testing.assert_close(gradients[0][:2], gradients[1][:2])
    assert not torch.allclose(gradients[0][2:], gradients[1][2:])


def test_the_critic_learns_the_discounted_sum_of_a_constant_reward(plant: Plant, tmp_path: Path) -> None:
    reward = Reward(lambda data: torch.ones_like(data["x"]) + 0.0 * data["u"], Path("reward.py"))
    rewards = torch.ones(plant.rows.count)
    made = made_for(
        plant,
        {"iterations": 1, "warm_up": 120, "critic_lr": 1e-2, "critic_steps": 8, "gamma": 0.8, "lr": 0.0},
        reward=reward,
        row_reward=rewards,
    )
    made.imagination.spread = 0.5
    assert made.logged is not None
    made.logged = replace(made.logged, reward=torch.full((plant.rows.count,), 2.0))
    train(made, tmp_path)
    x = torch.linspace(-1, 1, 20).view(1, 20, 1).expand(2, -1, 1)
    value = made.critic(torch.cat([torch.zeros_like(x), x, BEHAVIOUR * x], dim=-1))
    torch.testing.assert_close(value.detach(), torch.full((2, 20), 2.0 / (1.0 - 0.8)), rtol=0.05, atol=0)


def test_warming_up_leaves_the_actor_alone(plant: Plant, tmp_path: Path) -> None:
    made = made_for(plant, {"warm_up": 10, "iterations": 1, "lr": 0.0})
    before, critic = weights_of(made.policy), weights_of(made.critic)
    train(made, tmp_path)
    assert equal_weights(weights_of(made.policy), before)
    assert not equal_weights(weights_of(made.critic), critic)


def test_the_whole_return_is_the_discounted_reward_with_the_value_of_the_end(plant: Plant) -> None:
    reward = Reward(lambda data: torch.ones_like(data["x"]), Path("reward.py"))
    made = made_for(
        plant, {"gamma": 0.9}, reward=reward, row_reward=row_rewards(0.5, 1.0), horizon=horizon_of(6)
    )
    spread = made.imagination.spread
    with torch.no_grad():
        for value in made.slow_critic.parameters():
            value.zero_()
        made.slow_critic.net.skip.bias.fill_(0.7)
    end = made.slow_critic(torch.zeros(2, 1, 3))[0, 0].item()
    loss, seen = made._actor_loss()
    worth = sum(0.9**k / spread for k in range(6)) + 0.9**6 * end
    assert loss.item() == pytest.approx(-2 * worth / 6, rel=1e-5)  # two copies
    assert seen.reward.shape == (6, 2, 32)
    assert seen.seen.shape == (7, 2, 32, 3)
    assert (seen.alive == 1).all()


def other_venv(plant: Plant, bias: list[float], codec: Codec | None = None) -> tuple[VirtualEnv, Starts]:
    """One in which only the member's bias moves x."""
    still = ([[0.0]] * 3, torch.tensor(bias).view(4, 1, 1))
    venv = hand_set(plant.graph, {"next_x": still, "u": ([[0.0]], [0.0])}, members=4, codec=codec)
    return venv.requires_grad_(False), replace(plant.starts, venv=venv, wide=0.0)


def test_a_branch_is_answered_by_several_members(plant: Plant) -> None:
    venv, starts = other_venv(plant, [1.0, 1000.0, 1.0, 1000.0])
    reward = Reward(lambda data: data["next_x"] - data["x"], Path("reward.py"))
    made = made_for(plant, venv=venv, starts=starts, reward=reward)
    _, seen = made._actor_loss()
    steps = (seen.reward * made.imagination.spread).round().transpose(0, 2).flatten(0, 1)  # (branches, h)
    assert all(set(row.tolist()) == {1.0, 1000.0} for row in steps)


def test_the_reward_sees_physical_units(plant: Plant) -> None:
    codec = Codec.empty(plant.graph)
    codec.nodes["x"] = scaled(plant.graph.columns("x"), [500.0], [10.0])
    venv, starts = other_venv(plant, [0.0] * 4, codec)
    reward = Reward(lambda data: data["next_x"], Path("reward.py"))
    made = made_for(
        plant, venv=venv, starts=starts, reward=reward, clone=plant.linear_policy(0.0, 0.0, venv=venv)
    )
    _, seen = made._actor_loss()
    physical = 500.0 + 10.0 * seen.seen[1:, ..., 1]  # wind, x, u
    torch.testing.assert_close(seen.reward * made.imagination.spread, physical)


def test_a_penalty_keeps_away_from_where_members_disagree(plant: Plant, tmp_path: Path) -> None:
    """More x earns more, but members disagree about what large actions do."""
    effects = torch.tensor([0.5, 0.1, 0.5, 0.1]).view(4, 1, 1)
    weight = torch.cat([torch.full((4, 1, 1), -0.1), effects, torch.zeros(4, 1, 1)], 1)
    linear = {"next_x": (weight, [0.0]), "u": ([[BEHAVIOUR]], [0.0])}
    venv = hand_set(plant.graph, linear, members=4, std=0.2).requires_grad_(False)
    reward = Reward(lambda data: data["next_x"], Path("reward.py"))
    made = made_for(
        plant,
        {"variants": [{"penalty": 0}, {"penalty": 10}], "iterations": 40},
        venv=venv,
        reward=reward,
    )
    train(made, tmp_path)
    last = [c for c in made.candidates() if c.iteration == made.iterations and c.half == 0]
    free, wary = Court(made.problem).scores(last)
    assert free.mean > wary.mean
    assert wary.doubt < 0.7 * free.doubt


def test_a_candidate_keeps_its_weights_while_learning_goes_on(plant: Plant, tmp_path: Path) -> None:
    made = made_for(plant, {"iterations": 10, "judge_every": 5, "warm_up": 0})
    train(made, tmp_path)
    candidates = made.candidates()
    assert [c.iteration for c in candidates] == [5, 5, 10, 10]
    first, last = (weights_of(candidates[i].policy.net) for i in (0, 2))
    assert not equal_weights(first, last)
    assert equal_weights(last, weights_of(made.policy.single(0).net))


def test_the_budget_limits_the_iterations(plant: Plant) -> None:
    spent_in_one = 4 * 16 * 13  # members, branches of each, horizon and one
    made = made_for(plant, {"warm_up": 5}, budget=spent_in_one * 12)
    assert made.iterations == 7


def test_a_plant_without_exogenous_nodes_can_be_learned_on(plant: Plant) -> None:
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    linear = {"next_x": ([[-0.1], [0.5]], [0.0]), "u": ([[BEHAVIOUR]], [0.0])}
    venv = hand_set(graph, linear, members=4, std=0.2).requires_grad_(False)
    rows = rows_of(venv.graph, venv.codec, logs_of(venv, 100, seed=1), logs_of(venv, 100, seed=2))
    made = made_for(plant, venv=venv, rows=rows, clone=plant.linear_policy(BEHAVIOUR, BEHAVIOUR, venv=venv))
    made._actor_loss()[0].backward()
    assert made.policy.net.skip.weight.grad is not None


def test_chunks_cover_warm_up_and_iterations(plant: Plant) -> None:
    assert made_for(plant, {"iterations": 7, "warm_up": 2, "chunk": 4}).chunks == [(0, 4), (4, 8), (8, 9)]


def test_a_budget_without_a_single_update_is_refused(plant: Plant) -> None:
    with pytest.raises(UserError, match=r"policy\.budget.*too few for a single update"):
        problem_of(plant, budget=10).affordable(1000)
