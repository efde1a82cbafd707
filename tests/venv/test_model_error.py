from __future__ import annotations

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.venv.model_error import STEP, model_error, own_noise
from revive.venv.validation import RolloutError, rollout_error
from tests.venv.plants import columns, hand_set, logs_of, rows_of, scaled

WALK = DecisionGraph.build(columns(x=1), {"next_x": ["x"]})
PULL, STD = 0.2, 0.3


def test_an_error_of_a_venv_without_noise_is_the_standard_deviation_of_a_normal() -> None:
    """A mean absolute error of 1 in physical units, a scale of 2; the mean of both halves."""
    codec = Codec(WALK, {"x": scaled(WALK["x"].columns, [0.0], [2.0])})
    venv = hand_set(WALK, {"next_x": ([[0.0]], [0.0])}, codec=codec)
    table = {"next_x": np.stack([np.full((20, 1), 0.5), np.full((20, 1), 1.5)])}
    still = {"x": np.ones((50, 1)), "next_x": np.ones((50, 1))}
    rows = rows_of(venv.graph, venv.codec, still, still)
    found = model_error(venv, rows, RolloutError(table, table, {"next_x": np.ones(1)}, (9, 9)))["next_x"]
    torch.testing.assert_close(found, torch.tensor([(np.pi / 2) ** 0.5 / 2], dtype=torch.float32))


def test_rollouts_that_are_sampled_spread_as_the_process_does() -> None:
    venv = hand_set(WALK, {"next_x": ([[-PULL]], [0.0])}, std=STD)
    rows = rows_of(venv.graph, venv.codec, logs_of(venv, 400, seed=1), logs_of(venv, 400, seed=2))
    expected = STD * np.sqrt(sum((1.0 - PULL) ** (2 * k) for k in range(STEP)))
    assert float(own_noise(venv, rows)["next_x"]) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("offset", "expected"), [(0.0, 0.0), (0.1, 0.1 * (1.0 - (1.0 - PULL) ** STEP) / PULL)]
)
def test_what_the_venvs_own_noise_foretells_is_no_error_and_what_it_does_not_is(
    offset: float, expected: float
) -> None:
    """Logs of a plant; a venv that knows it but for an offset in every step."""
    plant = hand_set(WALK, {"next_x": ([[-PULL]], [0.0])}, std=STD)
    venv = hand_set(WALK, {"next_x": ([[-PULL]], [offset])}, std=STD)
    rows = rows_of(venv.graph, venv.codec, logs_of(plant, 4000, seed=1), logs_of(plant, 4000, seed=2))
    found = float(model_error(venv, rows, rollout_error(venv, rows))["next_x"])
    assert found == pytest.approx(expected, abs=0.1)
