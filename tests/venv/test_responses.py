"""Response curves and step responses of a venv whose gain, dead time and settling time are known."""

from __future__ import annotations

import numpy as np
import pytest

from revive.venv.responses import operating_point, responses
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import hand_set, plant_graph, rows_of


def _plant() -> tuple[VirtualEnv, object]:
    """x' = .8 x + .5 u + wind: gain 2.5, settled to 5 % after 14 steps, no dead time."""
    linear = {"u": ([[0.0]], [0.0]), "next_x": ([[-0.2], [0.5], [1.0]], [0.0])}
    venv = hand_set(plant_graph(), linear, members=4)
    rng = np.random.default_rng(0)
    part = {
        "x": 3.0 + rng.normal(size=(400, 1)),
        "u": 1.0 + rng.normal(size=(400, 1)),
        "wind": 0.1 * rng.normal(size=(400, 1)),
    }
    part["next_x"] = 0.8 * part["x"] + 0.5 * part["u"] + part["wind"]
    return venv, rows_of(venv.graph, venv.codec, part, part)


def test_gain_settling_and_dead_time_are_those_of_the_plant() -> None:
    venv, rows = _plant()
    found = responses(venv, rows, "u")["of"][0]  # type: ignore[arg-type]
    assert found["input"]["name"] == "u0"
    assert found["output"]["name"] == "x0"
    step = found["step"]
    assert step["gain"]["mean"] == pytest.approx(2.5, rel=0.01)
    assert step["dead_time"] == 0
    assert step["settling"] == pytest.approx(14, abs=1)  # .8^14 = .044


def test_curves_go_through_the_operating_point() -> None:
    venv, rows = _plant()
    found = responses(venv, rows, "u")  # type: ignore[arg-type]
    held, curve = found["held"], found["of"][0]
    expected = 0.8 * held["x0"] + 0.5 * curve["grid"] + held["wind0"]
    assert np.allclose(curve["one_step"].numpy(), expected[:, None], atol=1e-4)
    assert operating_point(venv, rows).values == held  # type: ignore[arg-type]
    assert held["x0"] == pytest.approx(3.0, abs=0.5)


def test_what_was_not_logged_is_marked() -> None:
    venv, rows = _plant()
    curve = responses(venv, rows, "u")["of"][0]  # type: ignore[arg-type]
    near = dict(zip(curve["grid"].round(1), curve["near"], strict=True))
    assert near[min(near, key=lambda at: abs(at - 1.0))]
    assert not curve["near"][0]
    assert not curve["near"][-1]


@pytest.mark.parametrize("pole", [1.0, 0.97])
def test_an_effect_that_does_not_settle_within_the_rollout_says_so(pole: float) -> None:
    """.97: it moves by 4 % in the last six of 60 steps, and has 16 % still to come."""
    linear = {"u": ([[0.0]], [0.0]), "next_x": ([[pole - 1.0], [0.5], [1.0]], [0.0])}
    venv = hand_set(plant_graph(), linear, members=2)
    part = {name: np.random.default_rng(0).normal(size=(100, 1)) for name in ("x", "u", "wind", "next_x")}
    found = responses(venv, rows_of(venv.graph, venv.codec, part, part), "u")["of"][0]
    assert found["step"]["settling"] is None
