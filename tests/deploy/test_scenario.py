"""What a venv bundle carries so that it can be stepped alone: rows, trusted horizon, reward."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from revive.bundles.show import show
from revive.data.scenario import MOST_BYTES, Scenario, Source, sampled
from revive.data.trajectories import Trajectories
from revive.deploy import load_venv, save_venv
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.venv.virtual_env import VirtualEnv
from tests.bundles.forging import rewrite, sign
from tests.deploy.scenarios import REWARD, logs, scenario
from tests.made_runs import EXPERIMENTS, made_run
from tests.venv.plants import columns, plant_graph

MARKED = b"from pathlib import Path\nPath(__file__).parent.parent.joinpath('RAN').touch()\n"


@pytest.fixture
def bundle(tmp_path: Path, venv: VirtualEnv) -> Path:
    save_venv(venv, tmp_path / "venv", {"run_id": "r"}, scenario=scenario())
    return tmp_path / "venv"


# -- what is sampled ---------------------------------------------------------------------------


def test_logs_that_fit_are_taken_whole() -> None:
    made = scenario()
    assert made.rows == 80
    assert made.ends.tolist() == [20, 40, 60, 80]
    assert made.begins.all()
    np.testing.assert_array_equal(made.arrays["wind"][:40], logs().arrays["wind"])


@pytest.mark.parametrize(("rows", "trajectories"), [(400_000, 2), (400_000, 4000), (400_000, 400_000)])
def test_of_larger_logs_pieces_are_taken_from_all_over(rows: int, trajectories: int) -> None:
    found = sampled([plant_graph()], [logs(rows, trajectories)] * 2)
    assert found is not None
    arrays, ends, begins = found
    assert MOST_BYTES / 3 < sum(value.nbytes for value in arrays.values()) <= MOST_BYTES
    assert begins.any()
    assert all(len(value) == ends[-1] for value in arrays.values())


def test_a_small_limit_still_gives_a_start() -> None:
    found = sampled([plant_graph()], [logs(), logs()], limit=10)
    assert found is not None
    assert found[1].tolist() == [1, 2]


def test_without_the_data_of_a_leaf_there_is_no_sample() -> None:
    lacking = Trajectories({"x": np.zeros((4, 1)), "u": np.zeros((4, 1))}, np.array([4]))
    assert sampled([plant_graph()], [lacking]) is None


def test_a_piece_that_does_not_begin_a_trajectory_is_started_from_where_its_history_is_known() -> None:
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]}).with_inputs(
        "u", ["x"], 4
    )
    arrays = {"x": np.arange(20.0)[:, None], "u": np.zeros((20, 1))}
    cut = Scenario(arrays, np.array([10, 20]), np.array([True, False]), 20)
    assert cut.starts(graph).tolist() == [*range(10), *range(13, 20)]
    assert cut.starts(graph, "first").tolist() == [0]
    history = next(name for name in graph.nodes if graph[name].history is not None)
    np.testing.assert_array_equal(
        cut.values(graph, history, np.array([1, 13])), [[0, 0, 0, 1], [10, 11, 12, 13]]
    )


def test_series_turn_round_at_the_ends_of_a_piece() -> None:
    cut = Scenario({"x": np.zeros((7, 1))}, np.array([3, 7]), np.ones(2, bool), 4)
    assert cut.ahead(np.array([1, 5]), np.arange(6)[:, None]).T.tolist() == [
        [1, 2, 1, 0, 1, 2],
        [5, 6, 5, 4, 3, 4],
    ]


# -- what a bundle carries ---------------------------------------------------------------------


def test_a_bundle_brings_back_what_was_written(bundle: Path) -> None:
    loaded, made = load_venv(bundle).scenario, scenario()
    assert loaded is not None
    for name, value in made.arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], value)
    assert (loaded.longest, loaded.trusted, loaded.targets, loaded.seen, loaded.history) == (
        20,
        7,
        ("u",),
        ("x", "wind"),
        2,
    )
    assert loaded.ranges == made.ranges
    assert loaded.reward == Source("reward.py", REWARD)


def test_the_reward_runs_only_where_it_is_trusted(tmp_path: Path, venv: VirtualEnv) -> None:
    save_venv(venv, tmp_path / "venv", {}, scenario=scenario(MARKED + REWARD))
    assert load_venv(tmp_path / "venv").reward is None
    assert not (tmp_path / "RAN").exists()
    untrusted = load_venv(tmp_path / "venv")
    with pytest.raises(UserError, match="this venv has no reward"):
        untrusted.rollout({"x": [[20.0]]}, {"wind": np.zeros((1, 1, 1))}, reward=True)
    trusted = load_venv(tmp_path / "venv", trust=True)
    rolled = trusted.rollout({"x": [[20.0]]}, {"wind": np.zeros((1, 1, 1))}, reward=True)
    np.testing.assert_allclose(rolled["reward"], -abs(rolled["next_x"]), rtol=1e-5)


def test_a_folder_of_ones_own_comes_before_the_bundles_source(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "reward.py").write_text("def get_reward(data):\n    return data['u'] * 0 + 5\n")
    own = load_venv(bundle, code=tmp_path / "own")
    rolled = own.rollout({"x": [[20.0]]}, {"wind": np.zeros((1, 1, 1))}, reward=True)
    assert rolled["reward"].item() == 5.0


def test_show_prints_the_reward_and_what_it_is_started_from(bundle: Path) -> None:
    said = show(bundle)
    assert "get_reward" in said
    assert "80 logged rows" in said


def test_a_bundle_of_the_former_format_is_read_and_says_what_it_lacks(bundle: Path) -> None:
    rewrite(bundle, lambda spec: spec.pop("scenario") and None)
    made = json.loads((bundle / "manifest.json").read_text())
    made["format"] = 2
    for name in ("scenario.safetensors", "code/reward.py"):
        del made["files"][name]
    sign(bundle, made)
    former = load_venv(bundle, trust=True)
    assert former.scenario is None
    former.step({"x": [20.0], "wind": [0.0]})
    with pytest.raises(UserError, match=r"carries no logged rows(.|\n)*resume=fresh"):
        former.start(3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodes": ["x", "wynd", "u"]}, "wynd"),
        ({"target": "x"}, "speaks of 'x'"),
        ({"lengths": [20, 20, 20, 21]}, "rows|F64"),
        ({"begins": [True]}, "different pieces"),
        ({"reward": "other.py"}, "does not carry its reward"),
        ({"reward": "../reward.py"}, "reward"),
        ({"ranges": {"u": [[1.0, 2.0], [3.0, 4.0]]}}, "one value for each column"),
        ({"ranges": {"u": [[5.0], [3.0]]}}, "an end below its begin"),
        ({"trusted": 0}, "trusted"),
        ({"more": 1}, "more"),
    ],
)
def test_a_scenario_that_does_not_fit_is_refused(bundle: Path, change: dict[str, object], said: str) -> None:
    rewrite(bundle, lambda spec: spec["scenario"].update(change))
    with pytest.raises(UserError, match=said):
        load_venv(bundle)


def test_a_changed_row_is_refused(bundle: Path) -> None:
    file = bundle / "scenario.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="was changed"):
        load_venv(bundle)


def test_a_reward_of_the_name_of_a_function_file_gets_another_name(tmp_path: Path, venv: VirtualEnv) -> None:
    save_venv(venv, tmp_path / "venv", {}, scenario=scenario(file="my reward-2.py"))
    loaded = load_venv(tmp_path / "venv", trust=True)
    assert loaded.scenario is not None
    assert loaded.scenario.reward is not None
    assert loaded.scenario.reward.file == "my_reward_2.py"
    assert loaded.reward is not None


# -- shipped experiments -----------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_copied_bundle_runs_alone(name: str, tmp_path: Path) -> None:
    shutil.copytree(made_run(name) / "venv", tmp_path / "elsewhere")
    plants = load_venv(tmp_path / "elsewhere", trust=True).start(4, seed=0)
    columns = plants.graph.columns(plants.target)
    action = np.array([[c.values[1] if c.values else 0.5 for c in columns]] * 4)
    for _ in range(5):
        seen, found = plants.observe(), plants.step({plants.target: action})
        assert all(np.isfinite(value).all() for value in (*seen.values(), *found.values()))
    assert found["reward"].shape == (4, 1)
