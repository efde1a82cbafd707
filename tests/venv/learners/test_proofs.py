"""What learners of venvs are bound to say: answers that theory gives, beside those in the tests of each learner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.venv.learners import generators
from revive.venv.learners.adversarial import Adversarial
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.learners.episodes import closed_loop
from revive.venv.learners.generators import PPO
from revive.venv.learners.multi_step import MultiStepLearner
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem
from tests.contract import check_gradients, made_by, small_settings
from tests.venv.learners.test_bc import BC
from tests.venv.learners.test_matching import PPO_SMALL, arena_of, gaussian
from tests.venv.plants import columns, rows_of, train
from tests.venv.problems import multi_step, problem_of

MEAN, STD = 1.0, 0.5  # of u in `gaussian`


@pytest.fixture
def started(noisy: tuple[DecisionGraph, Codec, Rows]) -> MultiStepLearner:
    """At its linear start, moved off it a little; errors are far inside of Huber's quadratic part."""
    torch.manual_seed(0)
    learner = multi_step(problem_of(*noisy))
    learner.objective.start_linear((), learner.generator)
    learner.objective.sigma = {"next_x": torch.full((1, 1, 1), 100.0)}
    with torch.no_grad():
        for parameter in learner.venv.model("next_x").net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return learner


def test_rollouts_of_one_step_cost_the_squared_error_of_cloning(started: MultiStepLearner) -> None:
    objective = started.objective
    found = objective.multi_step(1, torch.Generator().manual_seed(3))
    first, _ = objective.seen.sample(objective._windows(1), 1, torch.Generator().manual_seed(3))
    batch, model = started.rows.at(first), started.venv.model("next_x")
    squares = model.deviation(*started.venv.node_inputs("next_x", batch), batch["next_x"], "mse")
    wanted = 0.5 * (squares * (model.scale / 100.0).square()).mean((1, 2)).sum()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=0)


def test_the_gradient_of_rollouts_is_that_of_finite_differences(started: MultiStepLearner) -> None:
    def loss() -> Tensor:
        return started.objective.multi_step(8, torch.Generator().manual_seed(3))

    net = started.venv.model("next_x").net
    check_gradients(loss, (net.skip.weight, net.skip.bias, net.last))


def gaussian_problem(**changed: Any) -> VenvProblem:
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x"]})
    rows = rows_of(graph, Codec.empty(graph), gaussian(2000, 1), gaussian(2000, 2))
    return problem_of(graph, Codec.empty(graph), rows, network=NetworkSpec(hidden=(4,)), **changed)


@pytest.mark.parametrize("generator", ["pathwise", "ppo", "td3"])
def test_the_game_keeps_the_gaussian_of_the_logs(generator: str, tmp_path: Path) -> None:
    more = ["iterations=40", "windows=16", "batch=64", "start.one_step_updates=60", "chunk=20"]
    keys = [f"venv.learner.{key}" for key in (f"generator={generator}", *more)]
    learner = made_by(small_settings("venv", "adversarial", *keys), "venv", gaussian_problem(budget=400))
    assert isinstance(learner, Adversarial)
    train(learner, tmp_path)
    out = learner.venv.model("u")(torch.randn(4, 200, 1, generator=torch.Generator().manual_seed(0)), None)
    assert (out.mean.mean(1) - MEAN).abs().max() < 0.05
    assert (out.log_std.exp() - STD).abs().max() < 0.1


def test_ratios_are_one_before_the_first_update(monkeypatch: pytest.MonkeyPatch) -> None:
    arena = arena_of(gaussian_problem(members=1), [["u"]])
    generator = PPO(arena, 1e-3, **{**PPO_SMALL, "epochs": 1, "minibatches": 1})
    seen: list[Tensor] = []
    plain = generators.clipped
    monkeypatch.setattr(
        generators, "clipped", lambda ratios, *rest: seen.extend(ratios) or plain(ratios, *rest)
    )
    episodes = closed_loop(arena.venv, arena.problem.rows, arena.start.seen, 4, 16, arena.rng)
    generator.update(episodes, generator.optimizers())
    assert len(seen) == len(arena.moved)
    for ratio in seen:
        torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-5)


def test_members_differ_more_where_nothing_was_logged(tmp_path: Path) -> None:
    """At three spreads from the mean more than three times as much as in the data."""
    rng = np.random.default_rng(0)
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x"]})

    def logs(seed: int) -> dict[str, np.ndarray]:
        x = np.random.default_rng(seed).normal(size=(1000, 1))
        return {"x": x, "u": np.sin(2.0 * x) + 0.1 * rng.normal(size=x.shape), "next_x": x}

    halves = logs(1), logs(2)
    codec = Codec.fit(graph, halves[0])
    few = {**BC, "one_step_updates": 300, "lr": 1e-2, "weight_decay": 0.03, "least_fall": 1.0}
    problem = problem_of(graph, codec, rows_of(graph, codec, *halves), members=5, keep=5, budget=300)
    learner = BehaviourCloning(problem, **{**few, "widths": [16]})
    train(learner, tmp_path)
    x = torch.tensor([[-3.0], [3.0]])
    inside = torch.randn(400, 1, generator=torch.Generator().manual_seed(0)).clamp(-2.0, 2.0)
    with torch.no_grad():
        far, near = (
            learner.venv.model("u").mode(part.expand(10, -1, -1), None)[:5].std(0).mean()
            for part in (x, inside)
        )
    assert far > 3.0 * near
