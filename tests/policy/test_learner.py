from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.learner import Candidate, FirstOrderLearner
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.policy.starts import Starts
from revive.venv.virtual_env import VirtualEnv
from tests.policy.conftest import BEHAVIOUR, OPTIONS, Plant
from tests.venv.plants import columns, equal_weights, hand_set, logs_of, rows_of, scaled, train, weights_of

Make = Callable[..., FirstOrderLearner]


def gain_of(policy: Policy) -> torch.Tensor:
    """Slope of each copy's action around zero: (P,)."""
    x = torch.tensor([[-0.3], [0.3]]).expand(policy.copies, 2, 1)
    with torch.no_grad():
        action = policy(x)
    return (action[:, 1, 0] - action[:, 0, 0]) / 0.6


def test_a_linear_quadratic_plant_is_controlled_almost_optimally(
    learner: Make, plant: Plant, tmp_path: Path
) -> None:
    made = learner()
    train(made, tmp_path)
    best = made.best()
    single = made.policy.single(best.copy, best.weights)
    assert float(gain_of(single)) == pytest.approx(plant.best_gain, rel=0.1)
    reward = [
        float(plant.bed.rewards(policy.actor()).mean())
        for policy in (single, plant.linear_policy(plant.best_gain), plant.linear_policy(BEHAVIOUR))
    ]
    learned, optimal, timid = reward
    assert learned > optimal - 0.05 * (optimal - timid)
    assert best.iteration > 0
    assert best.gain == pytest.approx(best.score - made.candidates[best.copy].score)


def test_the_gradient_is_that_of_finite_differences_under_frozen_noise(learner: Make) -> None:
    """Through transitions, noise, exploration, changing members, and the critic at the end."""
    made = learner(branches=64)
    with torch.no_grad():
        for value in made.slow_critic.parameters():
            value.add_(0.05 * torch.randn_like(value))
    generator = made.generator.get_state()

    def loss() -> torch.Tensor:
        made.generator.set_state(generator)
        return made._actor_loss()[0]

    loss().backward()
    parameters = [made.policy.net.skip.weight, made.policy.net.skip.bias, made.policy.net.last]
    for parameter in parameters:
        assert parameter.grad is not None
        direction = parameter.grad / parameter.grad.norm()
        slope, step = float((parameter.grad * direction).sum()), 1e-2
        with torch.no_grad():
            parameter.add_(step * direction)
            above = float(loss())
            parameter.sub_(2 * step * direction)
            below = float(loss())
            parameter.add_(step * direction)
        assert slope == pytest.approx((above - below) / (2 * step), rel=0.02)


def test_one_copys_loss_does_not_move_the_other(learner: Make, plant: Plant) -> None:
    gradients = []
    for second in (BEHAVIOUR, 0.1):
        made = learner(plant.linear_policy(BEHAVIOUR, second, noise=0.3))
        made._actor_loss()[0].backward()
        gradient = made.policy.net.skip.weight.grad
        assert gradient is not None
        gradients.append(gradient)
    torch.testing.assert_close(gradients[0][0], gradients[1][0])
    assert not torch.allclose(gradients[0][1], gradients[1][1])


def test_the_critic_learns_the_discounted_sum_of_a_constant_reward(
    learner: Make, plant: Plant, tmp_path: Path
) -> None:
    made = learner(iterations=1, warm_up=120, critic_lr=1e-2, critic_steps=8, gamma=0.8, lr=0.0)
    made.reward = Reward(lambda data: torch.ones_like(data["x"]) + 0.0 * data["u"], Path("reward.py"))
    train(made, tmp_path)
    x = torch.linspace(-1, 1, 20).view(1, 20, 1).expand(2, -1, 1)
    value = made.critic(torch.cat([x, torch.zeros_like(x)], dim=-1))
    wanted = 1.0 / 0.5 / (1.0 - 0.8)  # the reward's spread is 0.5
    torch.testing.assert_close(value.detach(), torch.full((2, 20), wanted), rtol=0.03, atol=0)


def test_warming_up_leaves_the_actor_alone(learner: Make, tmp_path: Path) -> None:
    made = learner(warm_up=10, iterations=1, lr=0.0)
    before, critic = weights_of(made.policy), weights_of(made.critic)
    train(made, tmp_path)
    assert equal_weights(weights_of(made.policy), before)
    assert not equal_weights(weights_of(made.critic), critic)


def test_a_copy_is_scored_in_the_half_it_never_saw(learner: Make, plant: Plant) -> None:
    """Half 0 of this venv is biased; whoever acts in it pays."""
    linear = {"next_x": ([[-0.1], [0.5], [0.0]], [[[1.0]], [[1.0]], [[0.0]], [[0.0]]]), "u": ([[0.0]], [0.0])}
    venv = hand_set(plant.graph, linear, members=4)
    made = learner(plant.linear_policy(0.0, 0.0))
    made.bed = EvaluationEnvironment.make(venv, plant.rows, plant.reward, starts=4, horizon=20, seed=0)
    made.judge(0)
    learned_in_0, learned_in_1 = made.candidates
    assert (learned_in_0.copy, learned_in_1.copy) == (0, 1)
    assert learned_in_0.mean > -1.0
    assert learned_in_1.mean < -5.0
    assert made.best().gain == 0.0


def test_a_score_is_that_of_the_copy_it_is_noted_for(learner: Make, plant: Plant) -> None:
    made = learner(plant.linear_policy(plant.best_gain, 3.0))  # the second one is unstable
    made.judge(0)
    sound, unstable = made.candidates
    assert sound.mean > -1.0
    assert unstable.mean < -100.0


def test_the_loss_is_the_discounted_reward_with_the_value_of_the_end(learner: Make) -> None:
    made = learner(horizon=6, gamma=0.9, reward_spread=0.5)
    made.reward = Reward(lambda data: torch.ones_like(data["x"]), Path("reward.py"))
    with torch.no_grad():
        for value in made.slow_critic.parameters():
            value.zero_()
        made.slow_critic.net.skip.bias.fill_(0.7)
    end = made.slow_critic(torch.zeros(2, 1, 2))[0, 0].item()
    loss, (rewards, leaves, alive) = made._actor_loss()
    worth = sum(0.9**k * 2.0 for k in range(6)) + 0.9**6 * end
    assert loss.item() == pytest.approx(-2 * worth / 6, rel=1e-5)  # two copies
    assert rewards.shape == (6, 2, 32)
    assert leaves.shape == (7, 2, 32, 2)
    assert (alive == 1).all()


def other_venv(plant: Plant, bias: list[float], codec: Codec | None = None) -> tuple[VirtualEnv, Starts]:
    """One in which only the member's bias moves x."""
    still = ([[0.0]] * 3, torch.tensor(bias).view(4, 1, 1))
    venv = hand_set(plant.graph, {"next_x": still, "u": ([[0.0]], [0.0])}, members=4, codec=codec)
    return venv.requires_grad_(False), replace(plant.starts, venv=venv, wide=0.0)


def test_a_branch_is_answered_by_several_members(learner: Make, plant: Plant) -> None:
    made = learner(reward_spread=1.0)
    venv, made.starts = other_venv(plant, [1.0, 1000.0, 1.0, 1000.0])
    made._venv = [venv]
    made.reward = Reward(lambda data: data["next_x"] - data["x"], Path("reward.py"))
    _, (rewards, _, _) = made._actor_loss()
    steps = rewards.round().transpose(0, 2).flatten(0, 1)  # (branches, h)
    assert all(set(row.tolist()) == {1.0, 1000.0} for row in steps)


def test_the_reward_sees_physical_units_in_learning_and_in_judging(learner: Make, plant: Plant) -> None:
    codec = Codec.empty(plant.graph)
    codec.nodes["x"] = scaled(plant.graph.columns("x"), [500.0], [10.0])
    venv, starts = other_venv(plant, [0.0] * 4, codec)
    made = learner(plant.linear_policy(0.0, 0.0, venv=venv), reward_spread=1.0)
    made._venv, made.starts = [venv], starts
    made.reward = Reward(lambda data: data["next_x"], Path("reward.py"))
    _, (rewards, leaves, _) = made._actor_loss()
    torch.testing.assert_close(rewards, 500.0 + 10.0 * leaves[1:, ..., 1])  # wind, x
    bed = EvaluationEnvironment.make(venv, plant.rows, made.reward, starts=4, horizon=3, seed=0)
    torch.testing.assert_close(bed.rewards(None), 500.0 + 10.0 * bed.start.state["x"][..., 0])


def test_a_candidate_that_beats_everything_ever_logged_is_not_believed(learner: Make, plant: Plant) -> None:
    made = learner(reward_limit=float("inf"))
    made.judge(0)
    before = max(candidate.mean for candidate in made.candidates)
    made.reward_limit = before + 1e-3
    made.policy.load_state_dict(plant.linear_policy(plant.best_gain, plant.best_gain, noise=0.3).state_dict())
    made.judge(1)
    assert [c.rejected for c in made.candidates[:2]] == [None, None]
    assert all("more than the logs" in str(c.rejected) for c in made.candidates[2:])
    assert made.candidates[2].gain > 0
    assert made.best().iteration == 0


def test_a_candidate_whose_rollouts_diverge_is_not_believed(learner: Make, plant: Plant) -> None:
    made = learner()
    made.judge(0)
    with torch.no_grad():
        made.policy.net.skip.weight.fill_(float("nan"))
    made.judge(1)
    assert [c.rejected for c in made.candidates[2:]] == ["its rollouts diverge"] * 2
    assert made.best().iteration == 0


def candidate(iteration: int, copy: int, score: float, gain: float, rejected: str | None) -> Candidate:
    return Candidate(iteration, copy, score, gain, score, rejected, {})


def test_the_largest_gain_among_admissible_candidates_is_chosen(learner: Make) -> None:
    made = learner()
    made.candidates = [
        candidate(0, 0, -1.0, 0.0, None),
        candidate(0, 1, -5.0, 0.0, None),
        candidate(9, 0, -0.9, 0.1, None),
        candidate(9, 1, -4.0, 1.0, None),  # gains more, in a venv where everyone scores less
        candidate(9, 1, -1.0, 4.0, "it promises more than the logs ever saw"),
    ]
    assert made.best() is made.candidates[3]
    made.candidates = [replace(c, rejected="no") for c in made.candidates]
    assert made.best() is made.candidates[0]


def test_a_candidate_keeps_its_weights_while_learning_goes_on(learner: Make, tmp_path: Path) -> None:
    made = learner(iterations=10, judge_every=5, warm_up=0)
    clone = weights_of(made.policy)
    train(made, tmp_path)
    assert [c.iteration for c in made.candidates] == [0, 0, 5, 5, 10, 10]
    assert equal_weights(made.candidates[0].weights, clone)
    assert not equal_weights(made.candidates[2].weights, made.candidates[4].weights)
    assert equal_weights(made.candidates[4].weights, weights_of(made.policy))


def test_the_venv_is_not_learned_on(learner: Make, plant: Plant, tmp_path: Path) -> None:
    before = weights_of(plant.venv)
    made = learner(iterations=5, warm_up=1)
    train(made, tmp_path)
    assert equal_weights(weights_of(plant.venv), before)
    assert not any("venv" in name or "codec" in name for name in made.critic.state_dict())


FEW = {"iterations": 10, "warm_up": 2, "judge_every": 3, "chunk": 3}


def test_the_seed_alone_decides(learner: Make, tmp_path: Path) -> None:
    one, same, other = (learner(seed=seed, **FEW) for seed in (1, 1, 2))
    for made in (one, same, other):
        train(made, tmp_path)
    assert equal_weights(weights_of(one), weights_of(same))
    assert not equal_weights(weights_of(one.policy), weights_of(other.policy))


@pytest.mark.parametrize("stop", [2, 4])
def test_an_interrupted_fit_goes_on_as_if_nothing_had_happened(
    learner: Make, tmp_path: Path, stop: int
) -> None:
    whole, broken, resumed = learner(**FEW), learner(**FEW), learner(**{**FEW, "seed": 99})

    def interrupt(done: int, total: int) -> None:
        if done == stop:
            raise RuntimeError("pulled the plug")

    train(whole, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="pulled the plug"):
        train(broken, tmp_path / "broken", interrupt)
    train(resumed, tmp_path / "broken")
    assert equal_weights(weights_of(resumed), weights_of(whole))
    assert len(resumed.candidates) == len(whole.candidates)
    for mine, theirs in zip(resumed.candidates, whole.candidates, strict=True):
        assert (mine.iteration, mine.copy, mine.score, mine.gain) == (
            theirs.iteration,
            theirs.copy,
            theirs.score,
            theirs.gain,
        )
        assert equal_weights(mine.weights, theirs.weights)


def test_a_plant_without_exogenous_nodes_can_be_learned_on(plant: Plant, tmp_path: Path) -> None:
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    linear = {"next_x": ([[-0.1], [0.5]], [0.0]), "u": ([[BEHAVIOUR]], [0.0])}
    venv = hand_set(graph, linear, members=4, std=0.2).requires_grad_(False)
    rows = rows_of(venv.graph, venv.codec, logs_of(venv, 100, seed=1), logs_of(venv, 100, seed=2))
    bed = EvaluationEnvironment.make(venv, rows, plant.reward, starts=4, horizon=20, seed=0)
    policy = plant.linear_policy(BEHAVIOUR, BEHAVIOUR, venv=venv)
    starts = replace(plant.starts, venv=venv, rows=rows)
    made = FirstOrderLearner(policy, venv, plant.reward, starts, bed, **OPTIONS)
    made._actor_loss()[0].backward()
    assert policy.net.skip.weight.grad is not None


def test_chunks_cover_warm_up_and_iterations(learner: Make) -> None:
    assert learner(iterations=7, warm_up=2, chunk=4).chunks == [(0, 4), (4, 8), (8, 9)]
