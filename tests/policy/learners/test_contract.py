"""What every policy learner does; a new one is tested as soon as its files are in `conf`.

These are conf/policy/NAME.yaml, conf/policy/learner/NAME.yaml, and tiny limits in conf/policy/debug/fast/NAME.yaml.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from revive.config.networks import PolicyNetwork
from revive.config.settings import Settings
from revive.deploy.bundle import read_policy, save_policy
from revive.policy.candidate import Candidate
from revive.policy.choice import Court
from revive.policy.learners.base import PolicyLearner
from revive.policy.problem import PolicyProblem
from revive.runtime import load_policy
from revive.training import Standing
from revive.venv.node_model import NetworkSpec
from tests.contract import check_files, check_notes, interrupted, made_by, shipped_learners, small_settings
from tests.policy.conftest import Plant
from tests.policy.problems import cloned_problem, problem_of
from tests.policy.toys import CATEGORY, KINDS, cart, chooser, mixer, pair, seen_with
from tests.venv.plants import equal_weights, train, weights_of

LEARNERS = sorted(shipped_learners("policy"))
BUDGET = 4000  # simulated steps
PERCEPTRON, RECURRENT = NetworkSpec(hidden=(16,)), NetworkSpec(hidden=(8, 8), backbone="gru")
METRICS = ("pessimistic_score", "pessimistic_gain", "mean_reward")
Make = Callable[..., PolicyLearner]


def test_every_learner_can_be_chosen_and_has_tiny_limits() -> None:
    check_files("policy")


def test_every_network_of_policies_has_a_row() -> None:
    options = get_type_hints(PolicyNetwork)["backbone"]
    assert {PERCEPTRON.backbone, RECURRENT.backbone} == set(get_args(options))


@pytest.fixture(scope="module", params=LEARNERS)
def settings(request: pytest.FixtureRequest) -> Settings:
    return small_settings("policy", request.param)


@pytest.fixture(scope="module")
def problem(plant: Plant) -> PolicyProblem:
    return problem_of(plant, budget=BUDGET)


@pytest.fixture(scope="module")
def make(settings: Settings, problem: PolicyProblem) -> Make:
    """Makes the learner of the problem, its fields changed as given."""
    return lambda **changed: made_by(settings, "policy", replace(problem, **changed))


@pytest.fixture(scope="module")
def trained(
    make: Make, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PolicyLearner, list[tuple[int, int]], dict[str, Standing | None]]:
    """A learner at its end, the progress that was told, and how far it then says it is."""
    learner, steps, standings = make(), [], {}

    def note(done: int, total: int) -> None:
        steps.append((done, total))
        standings.update({metric: learner.standing(metric, at_last=done == total) for metric in METRICS})

    train(learner, tmp_path_factory.mktemp("trained"), note)
    return learner, steps, standings


def told(candidate: Candidate) -> tuple[str, str, int, int, bool]:
    return candidate.learner, candidate.variant, candidate.half, candidate.iteration, candidate.is_clone


def alike(one: PolicyLearner, other: PolicyLearner) -> bool:
    """Whether their candidates are the same, bit for bit."""
    mine, theirs = one.candidates(), other.candidates()
    return [told(c) for c in mine] == [told(c) for c in theirs] and all(
        equal_weights(weights_of(a.policy), weights_of(b.policy)) for a, b in zip(mine, theirs, strict=True)
    )


def test_it_trains_round_by_round_to_its_end(
    trained: tuple[PolicyLearner, list[tuple[int, int]], object],
) -> None:
    learner, steps, _ = trained
    assert learner.rounds > 0
    assert steps[-1] == (learner.rounds, learner.rounds)
    assert learner.finished or len(steps) == learner.rounds
    assert [done for done, _ in steps[:-1]] == list(range(1, len(steps)))


def test_its_candidates_are_policies_of_one_copy_for_each_half(
    trained: tuple[PolicyLearner, object, object], problem: PolicyProblem, tmp_path: Path
) -> None:
    candidates = trained[0].candidates()
    assert {candidate.half for candidate in candidates} == {0, 1}
    names = [(c.name, c.half, c.iteration) for c in candidates]
    assert len(set(names)) == len(names)  # scores are kept by them
    x = torch.linspace(-3.0, 3.0, 7).view(1, 7, 1)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    for i, candidate in enumerate(candidates):
        policy = candidate.policy
        assert policy.copies == 1
        assert policy.inputs == problem.graph[problem.target].inputs
        action = policy(x).detach()
        assert torch.isfinite(action).all()
        assert (action >= policy.low).all()
        assert (action <= policy.high).all()
        torch.testing.assert_close(policy(x[:, order]), action[:, order], rtol=1e-5, atol=1e-6)
        save_policy(policy, tmp_path / str(i), {})
        assert torch.equal(read_policy(tmp_path / str(i))(x), action)


def test_its_candidates_can_be_judged_and_one_be_chosen(
    trained: tuple[PolicyLearner, object, object], problem: PolicyProblem
) -> None:
    choice = Court(problem).choose(trained[0].candidates())
    assert math.isfinite(choice.score.gain)
    assert choice.judged == 2 + len(trained[0].candidates())


def test_it_says_how_far_it_is_by_every_metric(
    trained: tuple[PolicyLearner, object, dict[str, Standing | None]],
) -> None:
    for metric, standing in trained[2].items():
        assert standing is not None, metric
        assert math.isfinite(standing.value)
        assert standing.error >= 0


def test_its_notes_are_plain_json(trained: tuple[PolicyLearner, object, object]) -> None:
    check_notes(trained[0].notes())


def test_the_seed_decides(trained: tuple[PolicyLearner, object, object], make: Make, tmp_path: Path) -> None:
    torch.manual_seed(99)
    same, other = make(), make(seed=7)
    for i, learner in enumerate((same, other)):
        train(learner, tmp_path / str(i))
    assert alike(same, trained[0])
    assert same.notes() == trained[0].notes()
    assert not alike(same, other)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_an_interruption_changes_nothing(
    trained: tuple[PolicyLearner, list[tuple[int, int]], object], make: Make, tmp_path: Path, share: float
) -> None:
    whole, steps, _ = trained
    stop, _ = steps[round(share * (len(steps) - 1))]
    resumed = interrupted(make, tmp_path, stop)
    assert alike(resumed, whole)
    assert resumed.notes() == whole.notes()


def test_the_problem_is_left_as_it_was(make: Make, problem: PolicyProblem, tmp_path: Path) -> None:
    venv, clone = weights_of(problem.venv), weights_of(problem.clone)
    rows = {name: value.clone() for name, value in problem.rows.values.items()}
    learner = make()
    train(learner, tmp_path)
    assert equal_weights(weights_of(problem.venv), venv)
    assert equal_weights(weights_of(problem.clone), clone)
    assert all(torch.equal(problem.rows.values[name], value) for name, value in rows.items())
    assert all(parameter.grad is None for parameter in problem.venv.parameters())
    own = {id(parameter) for parameter in learner.parameters()}
    assert not own & {id(parameter) for parameter in problem.venv.parameters()}  # no part of its checkpoints


def test_what_fills_missing_values_is_not_learned_from(
    make: Make, problem: PolicyProblem, tmp_path: Path
) -> None:
    """In every sixth row the action is missing, and what it led to."""
    learners = []
    for filler in (15.0, -12.0):
        values = {name: value.clone() for name, value in problem.rows.values.items()}
        weights = {name: torch.ones_like(values[name]) for name in ("u", "next_x")}
        for name, weight in weights.items():
            weight[::6] = 0.0
            values[name][::6] = filler
        learners.append(make(rows=replace(problem.rows, values=values, weights=weights)))
        train(learners[-1], tmp_path / str(filler))
    assert alike(*learners)


@pytest.mark.parametrize("action", KINDS, ids=["category", "discrete"])
def test_an_action_of_values_can_be_learned(settings: Settings, tmp_path: Path, action: object) -> None:
    venv, rows = chooser(action)  # type: ignore[arg-type]
    learner = made_by(settings, "policy", cloned_problem(venv, rows, venv.graph, budget=BUDGET))
    train(learner, tmp_path)
    choice = Court(learner.problem).choose(learner.candidates())
    x = torch.linspace(-2.0, 2.0, 9).view(1, 9, 1)
    values = venv.codec["u"].decode(choice.candidate.policy(x).detach())
    assert set(values.flatten().tolist()) <= {10.0, 20.0, 30.0}


def test_an_action_of_several_types_can_be_learned(settings: Settings, tmp_path: Path) -> None:
    venv, rows = mixer()
    learner = made_by(settings, "policy", cloned_problem(venv, rows, venv.graph, budget=BUDGET))
    train(learner, tmp_path)
    choice = Court(learner.problem).choose(learner.candidates())
    x = torch.linspace(-2.0, 2.0, 9).view(1, 9, 1)
    flow, stage, mode = venv.codec["u"].decode(choice.candidate.policy(x).detach()).flatten(0, 1).unbind(-1)
    assert bool((flow.abs() <= 2.0).all())
    assert set(stage.tolist()) <= {-1.0, 0.0, 1.0}
    assert set(mode.tolist()) <= {10.0, 20.0, 30.0}


@pytest.mark.parametrize("second", [{}, CATEGORY], ids=["continuous", "category"])
def test_two_nodes_can_be_decided_together(
    settings: Settings, tmp_path: Path, second: dict[str, object]
) -> None:
    venv, rows, target = pair(**second)
    learner = made_by(
        settings, "policy", cloned_problem(venv, rows, venv.graph, target=target, budget=BUDGET)
    )
    train(learner, tmp_path)
    policy = Court(learner.problem).choose(learner.candidates()).candidate.policy
    x = torch.linspace(-2.0, 2.0, 18).view(1, 9, 2)
    values = venv.codec[target].decode(policy(x).detach())
    assert bool((values[..., 0].abs() <= 2.0).all())
    if second:
        assert set(values[..., 1].flatten().tolist()) <= {1.0, 2.0, 3.0}
    save_policy(policy, tmp_path / "policy", {})
    read = read_policy(tmp_path / "policy")(x)
    torch.testing.assert_close(
        read, policy(x).detach(), rtol=0, atol=1e-6
    )  # choices pass a gradient straight through
    numpy = load_policy(tmp_path / "policy").act({"x": x[0, :, :1].numpy(), "y": x[0, :, 1:].numpy()})
    told = np.concatenate([numpy["a"], numpy["b"]], axis=1)
    np.testing.assert_allclose(told, values[0].numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("network", [PERCEPTRON, RECURRENT], ids=["mlp", "gru"])
def test_a_policy_that_looks_back_can_be_learned(
    settings: Settings, tmp_path: Path, network: NetworkSpec
) -> None:
    venv, plain = cart()
    graph, rows = seen_with(venv, plain, 3)
    learner = made_by(settings, "policy", cloned_problem(venv, rows, graph, network, budget=BUDGET))
    train(learner, tmp_path)
    choice = Court(learner.problem).choose(learner.candidates())
    assert choice.candidate.policy.inputs == ("ts3_x",) or len(choice.candidate.policy.inputs) == 1
    assert math.isfinite(choice.score.mean)
