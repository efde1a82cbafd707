"""Several venv learners, of which the one whose rollouts err least is taken."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.venv.learners.auto import Auto
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.learners.multi_step import MultiStepLearner
from revive.venv.problem import VenvProblem
from tests.venv.learners.test_bc import BC
from tests.venv.plants import equal_weights, train, weights_of
from tests.venv.problems import MULTI_STEP, problem_of

GOOD = {**MULTI_STEP, "one_step_updates": 60}
SHORT = {**BC, "one_step_updates": 1, "widths": [8]}


def unable(problem: VenvProblem) -> MultiStepLearner:
    raise UserError(Problem("it cannot", place="venv"))


LEARNERS = {
    "good": partial(MultiStepLearner, **GOOD),
    "short": partial(BehaviourCloning, **SHORT),
    "unable": unable,
}


@pytest.fixture(scope="module")
def problem(noisy: tuple[DecisionGraph, Codec, Rows]) -> VenvProblem:
    return problem_of(*noisy, members=3, keep=2, budget=200)


def auto(problem: VenvProblem, *pool: str) -> Auto:
    return Auto(problem, pool=pool, learners=LEARNERS)


@pytest.mark.parametrize("pool", [("short", "good"), ("good", "short")])
def test_the_learner_whose_rollouts_err_less_is_taken(
    problem: VenvProblem, tmp_path: Path, pool: tuple[str, ...]
) -> None:
    learner, alone = auto(problem, *pool), LEARNERS["good"](problem=problem)
    train(learner, tmp_path)
    train(alone, tmp_path)
    notes = learner.notes()
    tried = notes["auto"]["tried"]
    assert notes["auto"]["taken"] == "good"
    assert tried["good"]["error"] < tried["short"]["error"]
    assert f"good {tried['good']['error']:.3f}" in notes["stopped"]
    assert equal_weights(weights_of(learner.result()), weights_of(alone.result()))
    assert learner.standing("held_out_error", True) == alone.standing("held_out_error", True)


def test_of_two_that_err_alike_the_first_one_is_taken(problem: VenvProblem) -> None:
    learner = auto(problem, "short", "good")
    learner.errors = {"short": [0.5, 0.5], "good": [0.498, 0.498]}
    assert learner.taken == "short"


def test_a_learner_that_cannot_learn_the_problem_is_left_out_and_named(problem: VenvProblem) -> None:
    learner = auto(problem, "unable", "short")
    assert "it cannot" in learner.left_out["unable"]
    with pytest.raises(UserError, match="it cannot"):
        auto(problem, "unable")


def test_a_name_without_a_learner_is_an_error(problem: VenvProblem) -> None:
    with pytest.raises(UserError, match="did you mean 'good'"):
        auto(problem, "goud")
    with pytest.raises(UserError, match="no learner is named"):
        auto(problem)
