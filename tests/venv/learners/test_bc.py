"""Behaviour cloning: single rows alone, by the loss that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.problem import VenvProblem
from tests.venv.plants import columns, rows_of, train
from tests.venv.problems import MULTI_STEP, problem_of

BC: dict[str, Any] = {
    "loss": "log_prob",
    **{key: MULTI_STEP[key] for key in MULTI_STEP if key not in ("curriculum", "window_batch", "multi_step_lr")
       and not key.startswith("filter") and key != "likelihood_weight"},
}  # fmt: skip


def skewed(rows: int, seed: int) -> dict[str, np.ndarray]:
    """x' = 0.5 x + 0.5 u + e, e exponential with mean 1 and median log 2."""
    rng = np.random.default_rng(seed)
    u, x = rng.normal(size=rows), np.zeros(rows + 1)
    for t in range(rows):
        x[t + 1] = 0.5 * x[t] + 0.5 * u[t] + rng.exponential()
    return {"x": x[:-1, None], "u": u[:, None], "next_x": x[1:, None]}


@pytest.fixture(scope="module")
def problem() -> VenvProblem:
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    halves = skewed(4000, 1), skewed(4000, 2)
    codec = Codec.fit(graph, halves[0])
    return problem_of(graph, codec, rows_of(graph, codec, *halves))


def intercept(learner: BehaviourCloning) -> float:
    """What follows x = 0 after u = 0, physical units."""
    venv = learner.result()
    zero = {name: venv.codec[name].encode(torch.zeros(2, 1, 1)) for name in ("x", "u")}
    with torch.no_grad():
        return float(venv.codec["next_x"].decode(venv.completed(zero)["next_x"]).mean())


@pytest.mark.parametrize(
    ("loss", "low", "high"), [("mae", 0.6, 0.85), ("mse", 0.9, 1.1), ("log_prob", 0.9, 1.1)]
)
def test_the_absolute_error_goes_towards_the_median_and_the_others_find_the_mean(
    problem: VenvProblem, tmp_path: Path, loss: str, low: float, high: float
) -> None:
    """The median is 0.69, the mean 1; which weights are kept is decided by rollouts."""
    learner = BehaviourCloning(
        problem, **{**BC, "loss": loss, "one_step_updates": 400, "lr": 1e-2, "weight_decay": 1.0}
    )
    train(learner, tmp_path)
    assert low < intercept(learner) < high


def test_only_single_rows_are_learned_from(problem: VenvProblem, tmp_path: Path) -> None:
    learner = BehaviourCloning(problem, **BC)
    train(learner, tmp_path)
    notes = learner.notes()
    assert {entry["horizon"] for entry in notes["tried"]} == {1}
    assert notes["updates"] > 0
    assert notes["reading_gains"] == {}


def test_a_node_without_data_cannot_be_cloned() -> None:
    graph = DecisionGraph.build(columns(x=1, u=1, lost=1), {"u": ["x"], "lost": ["x"], "next_x": ["x", "u"]})
    halves = skewed(200, 1), skewed(200, 2)
    codec = Codec.fit(graph, {**halves[0], "lost": halves[0]["u"]})
    problem = problem_of(
        graph, codec, rows_of(graph, codec, *halves), scales={"u": [1.0], "lost": [1.0], "next_x": [1.0]}
    )
    with pytest.raises(UserError, match="'lost' cannot be cloned"):
        BehaviourCloning(problem, **BC)
