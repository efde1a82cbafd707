from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.nn.ensemble import LinearSkipNet
from revive.policy.choice import Court
from revive.policy.doubt import CAP
from revive.policy.learners.ppo import Ppo
from revive.policy.problem import PolicyProblem
from revive.policy.reward import Reward
from revive.policy.rollouts import Act, Rolled
from revive.policy.starts import Starts
from revive.venv.virtual_env import VirtualEnv
from tests.policy.conftest import BEHAVIOUR, GAMMA, Plant
from tests.policy.problems import cloned_problem, problem_in, problem_of
from tests.policy.toys import KINDS, chooser
from tests.venv.plants import columns, equal_weights, hand_set, logs_of, rows_of, train, weights_of

Mortal = Callable[[float, Reward], PolicyProblem]

ARGUMENTS: dict[str, Any] = {
    "penalties": [0.0],
    "measure": "doubt",
    "noise": 0.4,
    "iterations": 60,
    "warm_up": 3,
    "branches": 128,
    "epochs": 5,
    "minibatch": 512,
    "lr": 1e-2,
    "value_lr": 3e-3,
    "gamma": GAMMA,
    "done_gamma": GAMMA,
    "td_lambda": 0.95,
    "clip_ratio": 0.2,
    "target_kl": 0.03,
    "entropy": 0.0,
    "hidden": [16],
    "clip": 1.0,
    "judge_every": 20,
    "chunk": 10,
}


@pytest.fixture
def mortal(plant: Plant) -> Mortal:
    """Makes a plant whose every step ends a trajectory with so much probability, under a reward."""

    def make(chance: float, reward: Reward) -> PolicyProblem:
        done = Column("done", "done", "category", values=(0.0, 1.0))
        graph = DecisionGraph.build(
            [*columns(x=1, u=1), done], {"u": ["x"], "next_x": ["x", "u"], "done": ["next_x"]}
        )
        none = (torch.zeros(1, 0), torch.zeros(0))
        linear = {"u": ([[0.0]], [0.0]), "next_x": ([[-0.1], [0.5]], [0.0]), "done": none}
        venv = hand_set(graph, linear, members=4, std=0.2).requires_grad_(False)
        net = venv.model("done").net
        assert isinstance(net, LinearSkipNet)
        net.skip.bias.copy_(torch.tensor([1.0 - chance, chance]).clamp_min(1e-9).log())
        logs = [{**logs_of(venv, 50, seed=s), "done": np.zeros((50, 1))} for s in (1, 2)]
        rows = rows_of(graph, venv.codec, *logs)
        edge = torch.tensor([2.0])
        starts = Starts(venv, rows, {"x": (-edge, edge)}, 0.5, 0.0)
        clone = plant.linear_policy(-0.1, -0.1, venv=venv)
        return problem_in(venv, rows, reward, starts=starts, clone=clone)

    return make


@pytest.fixture(scope="module")
def trained(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Ppo:
    learner = Ppo(problem_of(plant), **ARGUMENTS)
    train(learner, tmp_path_factory.mktemp("ppo"))
    return learner


def test_a_linear_quadratic_plant_is_controlled_almost_optimally(trained: Ppo, plant: Plant) -> None:
    best = Court(trained.problem).choose(trained.candidates()).candidate.policy
    action = best(torch.tensor([[[-0.3], [0.3]]])).detach().flatten()
    assert float(action[1] - action[0]) / 0.6 == pytest.approx(plant.best_gain, rel=0.1)
    policies = (best, plant.linear_policy(plant.best_gain), plant.linear_policy(BEHAVIOUR))
    learned, optimal, timid = (float(plant.bed.rewards(policy.actor()).mean()) for policy in policies)
    assert learned > optimal - 0.05 * (optimal - timid)


def test_exploration_is_learned_and_no_part_of_what_is_handed_in(trained: Ppo) -> None:
    assert float(trained.log_std.detach().max()) < math.log(ARGUMENTS["noise"])
    x = torch.linspace(-1, 1, 5).view(1, 5, 1)
    policy = trained.candidates()[-1].policy
    assert torch.equal(policy(x), policy(x))


def constant(value: float) -> Reward:
    return Reward(lambda data: value + 0.0 * data["x"], Path("reward.py"))


def test_a_constant_reward_is_worth_its_sum_for_ever_though_rollouts_stop(
    mortal: Mortal, tmp_path: Path
) -> None:
    """V = r / (1 - gamma): the end of a rollout is no end of the plant."""
    problem = replace(mortal(0.0, constant(1.0)), row_reward=torch.linspace(0.0, 2.0, 100))  # with a spread
    learner = Ppo(
        problem, **{**ARGUMENTS, "iterations": 1, "warm_up": 100, "done_gamma": 0.8, "value_lr": 1e-2}
    )
    with torch.no_grad():
        learner.center.zero_()  # what the logs say is not what is to be found
    train(learner, tmp_path)
    batch, _ = learner._collect()
    value = learner._value(batch.leaves).detach() * problem.reward_spread
    torch.testing.assert_close(value, torch.full_like(value, 1.0 / (1.0 - 0.8)), rtol=0.03, atol=0)
    assert (batch.weight == 1).all()


def test_advantages_are_those_of_their_definition(mortal: Mortal) -> None:
    """Against a sum of discounted temporal differences, branch by branch, up to the end of each."""
    problem = mortal(0.2, Reward(lambda data: data["x"], Path("reward.py")))
    learner = Ppo(problem, **{**ARGUMENTS, "branches": 16, "done_gamma": 0.9})
    seen: dict[str, Tensor] = {}
    inner = learner.rollouts.roll

    def spied(steps: int, act: Act) -> Rolled:
        rolled = inner(steps, act)
        seen.update(rolled.known)
        return rolled

    learner.rollouts.roll = spied  # type: ignore[method-assign]
    with torch.no_grad():
        for parameter in learner.value.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    before = (learner.center.clone(), learner.spread.clone())
    batch, _ = learner._collect()
    by_copy = learner.policy.by_copy
    leaves = by_copy(torch.cat([seen[name] for name in learner.leaves], -1))
    net = learner.value(leaves.transpose(0, 1).flatten(1, 2)).squeeze(-1)
    value = (before[0] + before[1] * net).unflatten(1, (len(leaves), -1)).detach()  # (P, h + 1, B)
    done = by_copy(seen["done"][..., 1:]).squeeze(-1).transpose(0, 1)  # 1 where the step ends it
    reward = by_copy(seen["x"]).squeeze(-1).transpose(0, 1) / problem.reward_spread
    steps = len(leaves) - 1
    assert 0 < float(done[:, :steps].sum()) < done[:, :steps].numel()
    target = (batch.target * learner.spread + learner.center).unflatten(1, (steps, -1))
    weight = batch.weight.unflatten(1, (steps, -1))
    for copy in range(2):
        for branch in range(value.shape[2]):
            for k in range(steps):
                ended = bool(done[copy, :k, branch].any())
                assert bool(weight[copy, k, branch]) == (not ended)
                if ended:
                    break
                total, factor = 0.0, 1.0
                for j in range(k, steps):
                    going = 1.0 - float(done[copy, j, branch])
                    r, here, after = (
                        float(t)
                        for t in (reward[copy, j, branch], value[copy, j, branch], value[copy, j + 1, branch])
                    )
                    total += factor * (r + 0.9 * going * after - here)
                    factor *= 0.9 * 0.95 * going
                wanted = total + float(value[copy, k, branch])
                assert float(target[copy, k, branch]) == pytest.approx(wanted, rel=1e-3, abs=1e-3)


def test_the_density_is_that_of_what_is_drawn(plant: Plant) -> None:
    learner = Ppo(problem_of(plant), **{**ARGUMENTS, "branches": 16})
    batch, _ = learner._collect()
    mean = learner.policy.net(batch.x)
    wanted = torch.distributions.Normal(mean, ARGUMENTS["noise"]).log_prob(batch.raw).sum(-1)
    torch.testing.assert_close(batch.log_prob, wanted.detach(), rtol=1e-4, atol=1e-4)
    assert float((batch.raw - mean).std()) == pytest.approx(ARGUMENTS["noise"], rel=0.1)
    loss, kl = learner._policy_loss(batch)  # nothing has moved yet: every ratio is one
    assert kl.abs().max() < 1e-6
    assert loss.abs().max() < 1e-5  # advantages have mean zero


def test_the_density_of_a_category_is_its_probability() -> None:
    venv, rows = chooser(KINDS[0])
    learner = Ppo(cloned_problem(venv, rows, venv.graph), **{**ARGUMENTS, "branches": 512})
    batch, _ = learner._collect()
    logits = learner.policy.net(batch.x)
    wanted = torch.distributions.Categorical(logits=logits).log_prob(batch.raw.argmax(-1))
    torch.testing.assert_close(batch.log_prob, wanted.detach(), rtol=1e-4, atol=1e-4)
    often = batch.raw.mean((0, 1))
    torch.testing.assert_close(often, logits.softmax(-1).mean((0, 1)).detach(), rtol=0, atol=0.03)


def test_before_the_first_update_ratios_are_one(plant: Plant) -> None:
    learner = Ppo(problem_of(plant), **{**ARGUMENTS, "entropy": 0.0})
    batch, _ = learner._collect()
    loss, moved = learner._policy_loss(batch)
    torch.testing.assert_close(moved, torch.zeros_like(moved), rtol=0, atol=1e-6)
    mean = (batch.advantage * batch.weight).sum(1) / batch.weight.sum(1)
    torch.testing.assert_close(-loss.detach(), mean, rtol=1e-4, atol=1e-5)


def test_a_copy_that_has_moved_far_enough_waits(plant: Plant) -> None:
    learner = Ppo(problem_of(plant), **{**ARGUMENTS, "target_kl": -1.0})
    batch, _ = learner._collect()
    before = weights_of(learner.policy)
    learner._learn(batch, *learner.configure_optimizers())
    assert equal_weights(weights_of(learner.policy), before)


def test_doubt_charges_nothing_on_average(plant: Plant) -> None:
    """So that an early end saves nothing."""
    learner = Ppo(problem_of(plant), **{**ARGUMENTS, "penalties": [0.0, 3.0]})
    doubt = torch.rand(12, 4, 32, generator=learner.generator) * 3  # of the branches that pay
    learner.rollouts.copies.measure.doubt.of_pairs = lambda values, generator: doubt  # type: ignore[method-assign, assignment, misc]
    alive = torch.ones(12, 4, 64).cumsum(0).le(9).float()
    charge = learner.rollouts._charge(Rolled({}, {}), alive, learner._worth)
    assert torch.equal(charge[:, 0], torch.zeros_like(charge[:, 0]))
    torch.testing.assert_close((charge * alive).sum((0, 2)), torch.zeros(4), rtol=0, atol=1e-3)
    assert float(charge[:, 1].max() - charge[:, 1].min()) == pytest.approx(CAP)


def test_it_simulates_no_more_than_it_may(plant: Plant, tmp_path: Path) -> None:
    problem = problem_of(plant, budget=20_000)
    learner, steps = Ppo(problem, **ARGUMENTS), []
    rollout = VirtualEnv.rollout

    def counted(self: VirtualEnv, start: Any, given: Any, horizon: int, **rest: Any) -> Any:
        steps.append(horizon * self.members * next(iter(start.values())).shape[1])
        return rollout(self, start, given, horizon, **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VirtualEnv, "rollout", counted)
        train(learner, tmp_path)
    assert 10_000 < sum(steps) <= 20_000
