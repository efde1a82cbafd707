from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revive.errors import UserError
from revive.policy.simulator import GroundTruth
from tests.policy.conftest import B, Plant

SIMULATOR = """\
import numpy as np


class Simulator:
    def __init__(self, batch, seed):
        self.x = np.arange(1.0, batch + 1)[:, None] * (1 if seed == 0 else 2)

    def observe(self):
        return {"x": self.x, "wind": 0 * self.x}

    def step(self, action):
        self.x = 0.9 * self.x + 0.5 * action["u"]
        return {"next_x": self.x}


def make_data():
    return {"x": [[1.0], [2.0]], "index": np.array([2])}
"""


def truth(folder: Path, text: str = SIMULATOR) -> GroundTruth:
    path = folder / "simulator.py"
    path.write_text(text)
    return GroundTruth.load(path)


def test_a_policy_is_scored_in_every_episode(plant: Plant, tmp_path: Path) -> None:
    policy = plant.linear_policy(-1.0)
    scored = truth(tmp_path).score(policy, plant.reward, episodes=3, steps=5, seed=0)
    wanted = []
    for start in (1.0, 2.0, 3.0):
        x = start * (0.9 - B) ** np.arange(6)
        wanted.append(-(x[1:] ** 2 + 0.1 * x[:-1] ** 2).mean())
    np.testing.assert_allclose(scored.rewards, wanted, rtol=1e-3)
    assert scored.mean == pytest.approx(np.mean(wanted), rel=1e-3)
    assert scored.standard_error == pytest.approx(np.std(wanted, ddof=1) / 3**0.5, rel=1e-3)
    assert scored.series.keys() == {"x", "wind", "u", "next_x"}
    assert scored.series["x"].shape == (5, 1)
    np.testing.assert_allclose(scored.series["u"], -scored.series["x"], rtol=1e-3, atol=1e-3)


def test_the_seed_reaches_the_simulator(plant: Plant, tmp_path: Path) -> None:
    one, other = (
        truth(tmp_path).score(plant.linear_policy(-1.0), plant.reward, episodes=2, steps=2, seed=seed)
        for seed in (0, 1)
    )
    assert other.series["x"][0, 0] == 2 * one.series["x"][0, 0]


def test_made_data_are_arrays(tmp_path: Path) -> None:
    made = truth(tmp_path).make_data()
    assert made["x"].shape == (2, 1)
    assert made["index"].tolist() == [2]


@pytest.mark.parametrize("part", ["Simulator", "make_data"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    with pytest.raises(UserError, match=f"no function '{part}'"):
        truth(tmp_path, SIMULATOR.replace(part, "Other"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("self.x = 0.9", "self.x = undefined", "line 12.*NameError"),
        (
            'return {"x": self.x, "wind"',
            'return {"other": self.x, "wind"',
            "x is not shown, but the policy needs it",
        ),
    ],
)
def test_what_goes_wrong_in_an_episode_is_explained(
    plant: Plant, tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in SIMULATOR
    with pytest.raises(UserError, match=said):
        truth(tmp_path, SIMULATOR.replace(old, new)).score(
            plant.linear_policy(-1.0), plant.reward, episodes=2, steps=2, seed=0
        )


@pytest.mark.parametrize(
    ("body", "said"), [("return 3", "returns no dict"), ("return 1 / 0", "line 17.*ZeroDivisionError")]
)
def test_what_goes_wrong_in_making_data_is_explained(tmp_path: Path, body: str, said: str) -> None:
    text = SIMULATOR.replace('return {"x": [[1.0], [2.0]], "index": np.array([2])}', body)
    with pytest.raises(UserError, match=said):
        truth(tmp_path, text).make_data()
