"""How much single rows count in the loss of a node."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.data.trajectories import Trajectories
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.venv.row_weights import row_weights
from tests.venv.plants import columns, rows_of
from tests.venv.problems import multi_step, problem_of

GRAPH = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})


def logs(rows: int = 400) -> dict[str, np.ndarray]:
    """next_x = x + u, but -u where x is negative."""
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=(rows, 1)), rng.normal(size=(rows, 1))
    return {"x": x, "u": u, "next_x": x + np.where(x > 0, u, -u)}


def weights(**asked: str) -> dict[str, torch.Tensor]:
    part = Trajectories(logs(), np.array([400]))
    return row_weights(GRAPH, asked, (part, part))


def test_an_expression_of_columns_weighs_rows_with_a_mean_of_one() -> None:
    found = weights(next_x="1 + 3 * (x0 > 0)")["next_x"]
    assert found.shape == (800,)
    assert float(found.mean()) == pytest.approx(1.0, abs=1e-5)
    above = torch.as_tensor(logs()["x"][:, 0] > 0).repeat(2)
    assert float(found[above].mean() / found[~above].mean()) == pytest.approx(4.0, rel=1e-4)


def test_a_node_is_learned_from_the_rows_that_count() -> None:
    codec = Codec.fit(GRAPH, logs())
    rows = rows_of(GRAPH, codec, logs(), logs())
    learner = multi_step(problem_of(GRAPH, codec, rows, row_weights=weights(next_x="x0 > 0")))
    learner.objective.start_linear((), learner.generator)
    slope = learner.venv.model("next_x").net.skip.weight[:, 1, 0]  # of u, in model space
    physical = slope * learner.venv.model("next_x").scale[0] * codec["x"].scale[0] / codec["u"].scale[0]
    torch.testing.assert_close(physical, torch.ones_like(physical), atol=0.02, rtol=0.0)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"x": "x0"}, "'x' is no node that is learned"),
        ({"next_x": "x9"}, "there is no column 'x9'"),
        ({"next_x": "x0 -"}, "venv.weights.next_x"),
        ({"next_x": "x0"}, "the weight of row"),
        ({"next_x": "x0 > 99"}, "no row has a weight"),
        ({"next_x": "__import__('os')"}, "venv.weights.next_x"),
    ],
)
def test_what_is_wrong_with_it_is_said(asked: dict[str, str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        weights(**asked)
    assert said in str(caught.value)
