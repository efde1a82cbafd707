"""What every venv learner does; a new one is tested as soon as its files are in `conf`.

These are conf/venv/NAME.yaml, conf/venv/learner/NAME.yaml, and tiny limits in conf/venv/debug/fast/NAME.yaml.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from revive.config.settings import Settings
from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.deploy.bundle import read_venv, save_venv
from revive.graph.amend import amended
from revive.graph.decision_graph import DecisionGraph
from revive.pipeline.late import histories
from revive.training import Standing
from revive.venv.functions import UserCode
from revive.venv.learners.adversarial import GENERATORS
from revive.venv.learners.base import VenvLearner
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem
from revive.venv.virtual_env import VirtualEnv
from tests.contract import check_files, check_notes, interrupted, made_by, shipped_learners, small_settings
from tests.venv.conftest import noisy_plant
from tests.venv.mixed import MIXED_GRAPH, mixed_logs
from tests.venv.plants import answers, equal_weights, rows_of, train, weights_of
from tests.venv.problems import problem_of

LEARNERS = sorted(shipped_learners("venv"))
VARIANTS = [
    "adversarial venv.learner.generator=ppo",
    "adversarial venv.learner.generator=td3 venv.learner.matcher_backbone=transformer venv.learner.matcher_window=3",
    "adversarial venv.learner.matcher_backbone=gru venv.learner.matcher_window=3",
]
METRICS = ("held_out_error", "other_half_error")
Make = Callable[..., VenvLearner]


def test_every_learner_can_be_chosen_and_has_tiny_limits() -> None:
    check_files("venv")


def test_every_generator_of_the_game_has_a_row() -> None:
    usual = small_settings("venv", "adversarial").venv.learner["generator"]
    asked = {
        word.rpartition("=")[2] for variant in VARIANTS for word in variant.split() if ".generator=" in word
    }
    assert {usual, *asked} == set(GENERATORS)


@pytest.fixture(scope="module", params=[*LEARNERS, *VARIANTS])
def settings(request: pytest.FixtureRequest) -> Settings:
    name, *more = request.param.split()
    return small_settings("venv", name, *more, *(["venv.history=2"] if name == "adm" else []))


@pytest.fixture(scope="module")
def problem(settings: Settings, noisy: tuple[DecisionGraph, Codec, Rows]) -> VenvProblem:
    """Three members of each half, of which two are kept."""
    graph, halves = looking_back(noisy[0], settings), (noisy_plant(1500, 1), noisy_plant(1500, 2))
    codec = Codec.fit(graph, halves[0])
    return problem_of(graph, codec, rows_of(graph, codec, *halves), members=3, keep=2, budget=40)


def looking_back(graph: DecisionGraph, settings: Settings) -> DecisionGraph:
    """The graph as a run with these settings learns it."""
    return amended(graph, histories(graph, settings.venv.history))


@pytest.fixture(scope="module")
def make(settings: Settings, problem: VenvProblem) -> Make:
    """Makes the learner of the problem, its fields changed as given."""
    return lambda **changed: made_by(settings, "venv", replace(problem, **changed))


@pytest.fixture(scope="module")
def trained(
    make: Make, tmp_path_factory: pytest.TempPathFactory
) -> tuple[VenvLearner, list[tuple[int, int]], dict[str, Standing | None]]:
    """A learner at its end, the progress that was told, and how far it then says it is."""
    learner, steps, standings = make(), [], {}

    def note(done: int, total: int) -> None:
        steps.append((done, total))
        standings.update({metric: learner.standing(metric, at_last=done == total) for metric in METRICS})

    train(learner, tmp_path_factory.mktemp("trained"), note)
    return learner, steps, standings


def test_it_trains_round_by_round_to_its_end(
    trained: tuple[VenvLearner, list[tuple[int, int]], object],
) -> None:
    learner, steps, _ = trained
    assert learner.rounds > 0
    assert steps[-1] == (learner.rounds, learner.rounds)
    assert learner.finished or len(steps) == learner.rounds
    assert [done for done, _ in steps[:-1]] == list(range(1, len(steps)))


def test_its_result_is_the_venv_of_the_members_that_are_kept(
    trained: tuple[VenvLearner, object, object], problem: VenvProblem, tmp_path: Path
) -> None:
    venv = trained[0].result()
    assert isinstance(venv, VirtualEnv)
    assert venv.members == venv.halves * problem.keep
    assert venv.graph == problem.graph
    assert venv.device == problem.device
    assert all(torch.isfinite(parameter).all() for parameter in venv.parameters())
    save_venv(venv, tmp_path, {})
    assert equal_weights(weights_of(read_venv(tmp_path, UserCode())), weights_of(venv))


def test_what_it_predicts_is_in_the_bundle_and_does_not_depend_on_the_other_rows(
    trained: tuple[VenvLearner, object, object], problem: VenvProblem, tmp_path: Path
) -> None:
    venv = trained[0].result()
    index = torch.arange(20, 60).expand(venv.members, -1)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    told, mixed = answers(venv, problem.rows, index), answers(venv, problem.rows, index[:, order])
    save_venv(venv, tmp_path, {})
    read = answers(read_venv(tmp_path, UserCode()), problem.rows, index)
    assert set(told) == set(problem.graph.learned)
    for name, value in told.items():
        assert torch.isfinite(value).all()
        assert torch.equal(read[name], value)
        torch.testing.assert_close(mixed[name], value[:, order], rtol=1e-5, atol=1e-6)


def test_training_has_an_effect(trained: tuple[VenvLearner, object, object], make: Make) -> None:
    assert not equal_weights(weights_of(trained[0].result()), weights_of(make().result()))


def test_it_says_how_far_it_is_by_every_metric(
    trained: tuple[VenvLearner, object, dict[str, Standing | None]],
) -> None:
    for metric, standing in trained[2].items():
        assert standing is not None, metric
        assert math.isfinite(standing.value)
        assert standing.error >= 0


def test_its_notes_are_plain_json(trained: tuple[VenvLearner, object, object]) -> None:
    check_notes(trained[0].notes())


def test_the_seed_decides(trained: tuple[VenvLearner, object, object], make: Make, tmp_path: Path) -> None:
    torch.manual_seed(99)
    same, other = make(), make(seed=7)
    for i, learner in enumerate((same, other)):
        train(learner, tmp_path / str(i))
    assert equal_weights(weights_of(same.result()), weights_of(trained[0].result()))
    assert same.notes() == trained[0].notes()
    assert not equal_weights(weights_of(other.result()), weights_of(same.result()))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_an_interruption_changes_nothing(
    trained: tuple[VenvLearner, list[tuple[int, int]], object],
    make: Make,
    tmp_path: Path,
    share: float,
) -> None:
    whole, steps, _ = trained
    stop, _ = steps[round(share * (len(steps) - 1))]
    resumed = interrupted(make, tmp_path, stop)
    assert equal_weights(weights_of(resumed.result()), weights_of(whole.result()))
    assert resumed.notes() == whole.notes()


def test_the_problem_is_left_as_it_was(make: Make, problem: VenvProblem, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in problem.rows.values.items()}
    codec = weights_of(problem.codec)
    train(make(), tmp_path)
    assert all(torch.equal(problem.rows.values[name], value) for name, value in before.items())
    assert equal_weights(weights_of(problem.codec), codec)


def test_columns_of_all_types_and_missing_values_can_be_learned(settings: Settings, tmp_path: Path) -> None:
    """In trajectories of unequal lengths, one of them shorter than any rollout; what fills gaps moves nothing."""
    graph = looking_back(MIXED_GRAPH, settings)
    codec = Codec.fit(graph, mixed_logs(1, filler=0.0, gaps=False).arrays)
    scales = {"u": [1.0], "next_x": [0.3] * codec.layout("next_x").ordered}
    network = NetworkSpec(hidden=(8,), std="conditioned")
    learners = []
    for filler in (1e6, -3.0):
        halves = (mixed_logs(seed, filler, ends=(4, 130, 300)) for seed in (1, 2))
        rows = Rows.of(codec, graph, *halves)
        problem = problem_of(graph, codec, rows, scales=scales, members=3, keep=2, network=network, budget=40)
        learners.append(made_by(settings, "venv", problem))
        train(learners[-1], tmp_path / str(filler))
    venv, other = (learner.result() for learner in learners)
    assert equal_weights(weights_of(venv), weights_of(other))
    assert all(torch.isfinite(parameter).all() for parameter in venv.parameters())
    said = answers(venv, rows, torch.arange(40).expand(venv.members, -1))["next_x"]
    (start, stop), level = codec.layout("next_x").blocks[0], codec.layout("next_x").continuous
    assert torch.equal(said[..., start:stop].sum(-1), torch.ones_like(said[..., 0]))
    assert set(said[..., level].unique().tolist()) <= {-1.0, -0.5, 0.0, 0.5, 1.0}
