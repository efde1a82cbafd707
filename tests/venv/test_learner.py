from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.venv.learner import MultiStepLearner
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import equal_weights, train, weights_of

Make = Callable[..., MultiStepLearner]


def state_coefficients(venv: VirtualEnv) -> np.ndarray:
    """d next_x / d x of each member in the middle of the data."""
    ends = torch.tensor([[-0.5], [0.5]]).expand(venv.members, 2, 1)
    seen = torch.cat([ends, torch.zeros_like(ends)], dim=-1)
    mean = venv.model("next_x").mode(seen, ends).detach()
    return (mean[:, 1, 0] - mean[:, 0, 0]).numpy()


def test_multi_step_stages_undo_the_bias_of_least_squares(
    learner: Make, noisy: tuple[DecisionGraph, Codec, Rows], tmp_path: Path
) -> None:
    _, codec, rows = noisy
    data = codec.decode(rows.values)
    design = np.hstack([data["x"], data["u"], np.ones((rows.count, 1))])
    biased = np.linalg.lstsq(design, data["next_x"], rcond=None)[0][0, 0]
    assert float(biased) < 0.9 * 0.9  # what measurement noise does to a regression on one step
    trained = learner(curriculum=[[20, 80], [50, 60]], multi_step_lr=5e-3, window_batch=24)
    train(trained, tmp_path)
    found = state_coefficients(trained.venv)
    assert found.mean() == pytest.approx(0.9, rel=0.03)
    assert (abs(found - 0.9) < 0.3 * (0.9 - float(biased))).all()


def test_one_step_alone_is_least_squares(
    learner: Make, noisy: tuple[DecisionGraph, Codec, Rows], tmp_path: Path
) -> None:
    trained = learner(curriculum=[])
    train(trained, tmp_path)
    assert trained.kept == {"one_step": [True] * 4}
    assert (state_coefficients(trained.venv) < 0.9 * 0.9).all()


def test_a_stage_that_does_not_help_is_undone(learner: Make, tmp_path: Path) -> None:
    plain, spoilt = learner(curriculum=[]), learner(curriculum=[[5, 20]], multi_step_lr=30.0, chunk=20)
    train(plain, tmp_path)
    train(spoilt, tmp_path)
    assert spoilt.kept["multi_step_5"] == [False] * 4
    assert equal_weights(weights_of(spoilt.venv), weights_of(plain.venv))


def test_a_stage_helps_or_is_undone_member_by_member(learner: Make, tmp_path: Path) -> None:
    """The held-out error of the members never rises over the stages."""
    trained = learner(curriculum=[[5, 20], [10, 20], [20, 20]], multi_step_lr=0.02, chunk=20)
    errors: dict[int, torch.Tensor] = {}

    def note(done: int, total: int) -> None:
        errors[len(trained.kept)] = trained.held_out_error()  # the last one of a stage counts

    train(trained, tmp_path, note)
    assert list(trained.kept) == ["one_step", "multi_step_5", "multi_step_10", "multi_step_20"]
    for stage in range(2, 5):
        assert (errors[stage] <= errors[stage - 1] + 1e-6).all()
    assert (errors[4] < errors[1]).any()


def test_held_out_error_does_not_let_one_diverging_member_spoil_the_rest(learner: Make) -> None:
    made = learner()
    before = made.held_out_error()
    with torch.no_grad():
        made.venv.model("next_x").net.skip.weight[0] = 1e6
        made.venv.model("next_x").net.skip.weight[1] = float("nan")
    after = made.held_out_error()
    torch.testing.assert_close(after[2:], before[2:])
    assert torch.isfinite(after).all()
    assert (after[:2] > 2 * after[2:].max()).all()


def test_the_seed_alone_decides(learner: Make, tmp_path: Path) -> None:
    few = {"one_step_updates": 10, "curriculum": [[5, 10]]}
    one, same, other = (learner(seed=seed, **few) for seed in (3, 3, 4))
    for made in (one, same, other):
        train(made, tmp_path)
    assert equal_weights(weights_of(one.venv), weights_of(same.venv))
    assert not equal_weights(weights_of(one.venv), weights_of(other.venv))


@pytest.mark.parametrize("stop", [2, 4, 5])
def test_an_interrupted_fit_goes_on_as_if_nothing_had_happened(
    learner: Make, tmp_path: Path, stop: int
) -> None:
    """Stopped inside the first stage, between the stages, and inside the second."""
    few = {"one_step_updates": 30, "curriculum": [[5, 20], [10, 10]]}
    whole, broken, resumed = learner(**few), learner(**few), learner(**few)
    train(whole, tmp_path / "whole")
    started: list[int] = []

    def interrupt(done: int, total: int) -> None:
        if done == stop:
            raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError, match="pulled the plug"):
        train(broken, tmp_path / "broken", interrupt)
    with torch.no_grad():
        for parameter in resumed.venv.parameters():
            parameter.zero_()  # whatever it was, the checkpoint counts
    train(resumed, tmp_path / "broken", lambda done, total: started.append(done))
    assert started == list(range(stop, 7))
    assert equal_weights(weights_of(resumed.venv), weights_of(whole.venv))
    assert resumed.kept == whole.kept
    assert torch.equal(resumed.best_members(1), whole.best_members(1))


def test_members_are_fitted_on_their_own_half_without_their_held_out_blocks(
    learner: Make, noisy: tuple[DecisionGraph, Codec, Rows]
) -> None:
    made, rows = learner(), noisy[2]
    generator = torch.Generator().manual_seed(0)
    for segments in (made.seen, made.unseen):
        first, _ = segments.sample(500, 1, generator)
        for m in range(4):
            part = rows.parts[m // 2]
            assert set(first[m].tolist()) <= set(part)
    for m in range(4):
        seen, unseen = (set(s.sample(3000, 1, generator)[0][m].tolist()) for s in (made.seen, made.unseen))
        assert not seen & unseen
    assert made.unseen.starts[0].tolist() != made.unseen.starts[1].tolist()


def test_a_member_is_judged_on_what_it_did_not_see_alone(learner: Make) -> None:
    made = learner()
    before = made.held_out_error()
    spans = zip(made.unseen.starts[0].tolist(), made.unseen.lengths[0].tolist(), strict=True)
    unseen = torch.zeros(made.rows.count, 1, dtype=torch.bool)
    for start, length in spans:
        unseen[start : start + length] = True
    for spoilt in (~unseen, unseen):
        values = {name: value + 100.0 * spoilt for name, value in made.rows.values.items()}
        other = learner()
        other.judge.rows = replace(made.rows, values=values)
        unchanged = torch.equal(other.held_out_error()[0], before[0])
        assert unchanged == (spoilt is not unseen)


def test_the_best_members_of_each_half_are_those_with_the_lowest_held_out_error(
    learner: Make, tmp_path: Path
) -> None:
    made = learner(one_step_updates=10, curriculum=[])
    train(made, tmp_path)
    with torch.no_grad():
        error = made.held_out_error()
    best = made.best_members(1).tolist()
    assert best == [int(error[:2].argmin()), 2 + int(error[2:].argmin())]
    assert made.best_members(2).tolist() == [0, 1, 2, 3]


def test_the_std_is_that_of_held_out_residuals(learner: Make, tmp_path: Path) -> None:
    made = learner(curriculum=[[5, 20]])
    train(made, tmp_path)
    first, _ = made.unseen.sample(4000, 1, torch.Generator().manual_seed(9))
    batch = made.rows.at(first)
    for name in made.venv.graph.learned:
        x, current = made.venv.node_inputs(name, batch)
        out = made.venv.model(name)(x, current)
        rms = ((batch[name] - out.mean) / out.log_std.exp()).square().mean((1, 2)).sqrt()
        torch.testing.assert_close(rms.detach(), torch.ones(4), rtol=0.06, atol=0)


def test_chunks_cover_every_update_once_and_in_order(learner: Make) -> None:
    made = learner(one_step_updates=25, curriculum=[[5, 10], [7, 0], [20, 3]], chunk=10)
    assert made.chunks == [(0, 0, 10), (0, 10, 10), (0, 20, 5), (1, 0, 10), (2, 0, 3)]
    assert [stage.name for stage in made.stages] == ["one_step", "multi_step_5", "multi_step_20"]


def test_the_one_step_stage_cannot_be_left_out(learner: Make) -> None:
    """The multi-step stages need something to go back to."""
    with pytest.raises(UserError, match="one_step_updates: must be at least 1"):
        learner(one_step_updates=0, curriculum=[[5, 10]])
