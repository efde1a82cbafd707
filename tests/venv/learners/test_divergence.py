"""Training whose loss is no number any more: the last good weights are kept, and the message says where it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.venv.learners.multi_step import MultiStepLearner
from revive.venv.problem import VenvProblem
from tests.venv.plants import train
from tests.venv.problems import multi_step, problem_of


@pytest.fixture(scope="module")
def problem(noisy: tuple[DecisionGraph, Codec, Rows]) -> VenvProblem:
    return problem_of(*noisy, members=2, keep=1, budget=200)


def test_one_step_that_diverges_leaves_the_linear_start(problem: VenvProblem, tmp_path: Path) -> None:
    learner = multi_step(problem, lr=1e30, chunk=5)
    train(learner, tmp_path)
    stopped = learner.notes()["stopped"]
    assert "'next_x'" in stopped
    assert "over one step was no longer finite in updates 1 to 5" in stopped
    assert all(torch.isfinite(parameter).all() for parameter in learner.result().parameters())
    assert (learner.kept_error() < 1.0).all()  # better than "nothing changes"


def test_a_later_stage_that_diverges_leaves_what_was_learned_before(
    problem: VenvProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = []
    begin = MultiStepLearner._prepare

    def noted(self: MultiStepLearner, following: object) -> None:
        begin(self, following)  # type: ignore[arg-type]
        before.append(self.best.error.clone())

    monkeypatch.setattr(MultiStepLearner, "_prepare", noted)
    learner = multi_step(problem, multi_step_lr=1e30, filter_updates=0)
    train(learner, tmp_path)
    assert "over 5 steps was no longer finite" in learner.notes()["stopped"]
    torch.testing.assert_close(learner.best.error, before[0])
    assert all(torch.isfinite(parameter).all() for parameter in learner.result().parameters())
