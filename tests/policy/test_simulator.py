from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.policy.simulator import GroundTruth, histories_of
from tests.policy.conftest import B, Plant
from tests.venv.plants import columns

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
    ("body", "said"),
    [("return 3", "returns int, no dict of arrays"), ("return 1 / 0", "line 17.*ZeroDivisionError")],
)
def test_what_goes_wrong_in_making_data_is_explained(tmp_path: Path, body: str, said: str) -> None:
    text = SIMULATOR.replace('return {"x": [[1.0], [2.0]], "index": np.array([2])}', body)
    with pytest.raises(UserError, match=said):
        truth(tmp_path, text).make_data()


EPISODIC = SIMULATOR.replace("import numpy as np\n", "import numpy as np\n\nEPISODE = 6\n").replace(
    'return {"next_x": self.x}', 'return {"next_x": self.x, "done": (self.x < 0.5) * 1.0}'
)


def with_done(graph: DecisionGraph) -> DecisionGraph:
    """The plant's graph with an end that follows from the next state."""
    described = [
        *columns(x=1, wind=1, u=1),
        Column("over", "done", "category", values=(0, 1)),
    ]
    return DecisionGraph.build(described, {"u": ["x"], "next_x": ["x", "u", "wind"], "done": ["next_x"]})


def test_an_episode_ends_with_done_and_what_follows_does_not_count(plant: Plant, tmp_path: Path) -> None:
    """x is multiplied by 0.4 in every step: from 1, 2, 3 it falls below 0.5 in 1, 2, 2 steps."""
    policy = plant.linear_policy(-1.0)
    policy.graph = with_done(plant.graph)
    scored = truth(tmp_path, EPISODIC).score(policy, plant.reward, episodes=3, steps=100, seed=0)
    assert scored.lengths.tolist() == [1, 2, 2]
    assert scored.ended.all()
    assert scored.reward.shape == (6, 3)
    assert (scored.reward[2:] == 0).all()
    assert (scored.reward[:1] < 0).all()
    np.testing.assert_allclose(scored.returns, scored.reward.sum(0))
    assert scored.mean == pytest.approx(scored.reward.mean())
    assert len(scored.series["x"]) == 1
    cut = scored.first(1)
    assert cut.to_json()["length"] == 1
    assert cut.to_json()["ended"] == pytest.approx(1 / 3)


def test_a_plant_without_an_end_runs_for_the_steps_of_an_episode(plant: Plant, tmp_path: Path) -> None:
    scored = truth(tmp_path, EPISODIC).score(
        plant.linear_policy(-1.0), plant.reward, episodes=2, steps=100, seed=0
    )
    assert scored.lengths.tolist() == [6, 6]
    assert not scored.ended.any()


@pytest.mark.parametrize("value", ["0", "2.5", "'long'"])
def test_an_episode_is_a_number_of_steps(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match="EPISODE is"):
        truth(tmp_path, EPISODIC.replace("EPISODE = 6", f"EPISODE = {value}"))


def test_an_end_of_the_wrong_shape_is_explained(plant: Plant, tmp_path: Path) -> None:
    policy = plant.linear_policy(-1.0)
    policy.graph = with_done(plant.graph)
    text = EPISODIC.replace("(self.x < 0.5) * 1.0", "(self.x[:, 0] < 0.5) * 1.0")
    with pytest.raises(UserError, match="shape \\(2,\\), not \\(2, 1\\)"):
        truth(tmp_path, text).score(policy, plant.reward, episodes=2, steps=5, seed=0)


def test_a_reward_may_look_back_at_what_the_plant_does_not_keep() -> None:
    said = {
        "columns": [{"x": {"dim": "x", "type": "continuous"}}, {"u": {"dim": "u", "type": "continuous"}}],
        "graph": {"u": ["x", "ts_u"], "next_x": ["x", "ts_u", "u"]},
        "nodes": {"u": {"ts": 3}},
    }
    graph = parse_description({"metadata": said}, "generated", Path())
    found = histories_of(graph, {"u": np.arange(5.0).reshape(5, 1, 1)})
    assert set(found) == {"ts_u"}
    np.testing.assert_array_equal(
        found["ts_u"][:, 0], [[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]]
    )
