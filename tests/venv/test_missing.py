"""What the log does not hold is left out: of the loss, of the judgement, of the noise, of the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.venv.learners.multi_step import MultiStepLearner
from revive.venv.node_model import NetworkSpec
from revive.venv.validation import rollout_error
from tests.venv.mixed import MIXED_GRAPH, mixed_logs
from tests.venv.plants import columns, equal_weights, hand_set, train, weights_of
from tests.venv.problems import multi_step, problem_of


def learner(filler: float, std: str = "constant") -> MultiStepLearner:
    halves = [mixed_logs(seed, filler) for seed in (1, 2)]
    codec = Codec.fit(MIXED_GRAPH, mixed_logs(1, 0.0, gaps=False).arrays)
    rows = Rows.of(codec, MIXED_GRAPH, *halves)
    spec = NetworkSpec(hidden=(8,), std=std)  # type: ignore[arg-type]
    scales = {"u": [1.0], "next_x": [0.3] * codec.layout("next_x").ordered}
    problem = problem_of(MIXED_GRAPH, codec, rows, network=spec, scales=scales)
    return multi_step(problem, one_step_updates=20, curriculum=[[5, 10]], batch_size=64)


@pytest.mark.parametrize("std", ["constant", "conditioned"])
def test_a_missing_target_has_no_influence_on_what_is_learned(std: str, tmp_path: Path) -> None:
    one, other = learner(1.0, std), learner(3.0, std)
    for i, made in enumerate((one, other)):
        train(made, tmp_path / str(i))
    assert one.kept == other.kept
    assert equal_weights(weights_of(one.venv), weights_of(other.venv))
    assert torch.equal(one.best_members(1), other.best_members(1))


def one_step(made: MultiStepLearner) -> torch.Tensor:
    index, _ = made.seen.sample(64, 1, made.generator)
    return made.objective.one_step(made.rows.at(index), index, made.objective.fitted)


@pytest.mark.parametrize("part", ["one step", "several steps", "held out", "noise"])
def test_a_missing_target_has_no_influence_on_a_part(part: str) -> None:
    one, other = learner(1.0), learner(3.0)
    found = []
    for made in (one, other):
        if part == "one step":
            found.append(one_step(made))
        elif part == "several steps":
            made.objective.sigma = {"next_x": torch.ones(1, 1, 1)}
            found.append(made.objective.multi_step(5, made.generator))
        elif part == "held out":
            found.append(made.held_out_error())
        else:
            made.objective.refit_std(made.unseen)
            found.append(made.venv.model("next_x").free_log_std)
    assert torch.isfinite(found[0]).all()
    assert torch.equal(found[0], found[1])


def test_a_known_target_has_influence() -> None:
    """So that the tests above can fail."""
    one, other = learner(1.0), learner(1.0)
    other.rows.weights["next_x"] = torch.ones_like(other.rows.weights["next_x"])
    assert not torch.equal(one_step(one), one_step(other))


def test_weights_stand_for_terms_of_columns_in_model_order() -> None:
    made = mixed_logs(1, 0.0)
    rows = Rows.of(Codec.fit(MIXED_GRAPH, made.arrays), MIXED_GRAPH, made)
    assert made.missing is not None
    wanted = ~made.missing["next_x"][:, [0, 1, 3, 2]]  # continuous, discrete, then the category as one term
    np.testing.assert_array_equal(rows.weights["next_x"], wanted)
    assert rows.weight("u", torch.tensor([0])) is None


def test_parts_with_and_without_gaps_lie_side_by_side() -> None:
    whole, holed = mixed_logs(1, 0.0, gaps=False), mixed_logs(2, 0.0)
    rows = Rows.of(Codec.fit(MIXED_GRAPH, whole.arrays), MIXED_GRAPH, whole, holed)
    assert rows.weights["next_x"].shape == (600, 4)
    assert (rows.weights["next_x"][:300] == 1).all()
    assert 0.1 < float((rows.weights["next_x"][300:] == 0).float().mean()) < 0.25


def test_a_missing_value_is_no_error_of_the_venv() -> None:
    graph = DecisionGraph.build(columns(x=1), {"next_x": ["x"]})
    venv = hand_set(graph, {"next_x": ([[0.0]], [0.0])})
    x = np.ones((40, 1))
    mask = np.zeros((40, 1), dtype=bool)
    mask[5::7] = True
    holed = Trajectories({"x": x, "next_x": np.where(mask, 77.0, x)}, np.array([40]), {"next_x": mask})
    errors = rollout_error(venv, Rows.of(venv.codec, graph, holed, holed), horizon=10)
    assert errors.mean_until(10, half=None) == pytest.approx(0.0, abs=1e-6)
    seen = Trajectories(holed.arrays, holed.ends)
    assert rollout_error(venv, Rows.of(venv.codec, graph, seen, seen), horizon=10).mean_until(10) > 5.0


def test_a_step_that_nobody_knows_is_no_number_in_the_report() -> None:
    graph = DecisionGraph.build(columns(x=1), {"next_x": ["x"]})
    venv = hand_set(graph, {"next_x": ([[0.0]], [0.0])})
    x, mask = np.ones((12, 1)), np.zeros((12, 1), dtype=bool)
    mask[1::2] = True
    holed = Trajectories({"x": x, "next_x": x + 1.0}, np.array([12]), {"next_x": mask})
    errors = rollout_error(
        venv, Rows.of(venv.codec, graph, holed, holed), horizon=12
    )  # one window, from row 0
    assert np.isnan(errors.venv["next_x"][0, :, 0]).tolist() == mask[:, 0].tolist()
    assert errors.mean_until(12) == pytest.approx(1.0)
