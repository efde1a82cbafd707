"""Rollouts from what the user gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.description import parse_description
from revive.tuning.initial import InitialState
from revive.tuning.objective import Objective
from revive.tuning.rollout import segments
from revive.tuning.space import Space
from revive.tuning.tune import tune
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.tuning.conftest import METHODS, Plant

Make = Callable[..., Plant]
GIVEN: dict[str, Any] = {"x": [2.0], "wind": np.arange(9.0)[:, None]}


def scene_of(plant: Plant, given: Any, draws: int = 2, horizon: int = 4) -> Any:
    state = InitialState.of(plant.graph, given)
    return state.scene(plant.venv, plant.graph, draws=draws, horizon=horizon, seed=0, usual={})


def test_exogenous_values_per_step_set_the_horizon(plant: Make) -> None:
    made = plant(push=[[1.0]])
    scene = scene_of(made, GIVEN)
    assert scene.horizon == 9
    tuned = tune(
        made.venv,
        lambda data: -((data["p"] - 0.1 * data["wind"])[..., 0] ** 2),
        Space.of(made.graph, made.logged),
        scene,
        scene_of(made, GIVEN, draws=5),
        direction="max",
        method=METHODS["auto"],
        budget=1600,
    )
    assert tuned.horizon == 9
    assert tuned.values["p"]["p"] == pytest.approx(0.4, abs=1e-3)  # the mean of 0.0, 0.1, .. 0.8


def test_the_rollout_starts_where_it_is_told_to_and_meets_every_step(plant: Make) -> None:
    made, seen = plant(), []

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        seen.append({name: value.clone() for name, value in data.items()})
        return data["x"][..., 0]

    starts = {"x": [[2.0], [-1.0]], "wind": GIVEN["wind"]}
    objective = Objective(
        made.venv, reward, Space.of(made.graph, made.logged), scene_of(made, starts, draws=3), "max"
    )
    rewards = objective.rewards(torch.tensor([[0.5]], dtype=torch.float64))
    assert rewards.shape == (1, 4, 4)  # three draws are rounded up to two of each of two states
    (data,) = seen
    assert data["x"][0, 0, :, 0].tolist() == [2.0, -1.0, 2.0, -1.0]
    assert data["wind"][:, 0, 0, 0].tolist() == list(range(9))
    assert data["p"].unique().tolist() == [0.5]


def test_a_constant_exogenous_value_leaves_the_horizon_open(plant: Make) -> None:
    scene = scene_of(plant(), {"x": [2.0], "wind": [0.5]}, horizon=4)
    assert scene.horizon == 4
    assert scene.given["wind"].shape == (4, 4, 2, 1)


def test_a_file_is_as_good_as_a_mapping(plant: Make, tmp_path: Path) -> None:
    np.savez(tmp_path / "start.npz", **{k: np.asarray(v) for k, v in GIVEN.items()})
    graph = plant().graph
    assert InitialState.of(graph, tmp_path / "start.npz").digest() == InitialState.of(graph, GIVEN).digest()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"x": [1.0]}, ["'wind' is missing"]),
        ({}, ["'x' is missing", "'wind' is missing"]),
        ({**GIVEN, "x": [1.0, 2.0]}, ["'x' has the shape (2,)", "give (1,)"]),
        ({**GIVEN, "x": [[[1.0]]]}, ["'x' has the shape (1, 1, 1)"]),
        ({**GIVEN, "x": 1.0}, ["'x' has the shape ()"]),
        ({**GIVEN, "x": np.zeros((0, 1))}, ["'x' has the shape (0, 1)"]),
        ({**GIVEN, "x": [np.nan]}, ["'x' holds NaN"]),
        ({**GIVEN, "x": ["cold"]}, ["'x' holds no numbers"]),
        ({**GIVEN, "p": [0.5]}, ["'p' is tuned"]),
        ({**GIVEN, "wnd": [0.5]}, ["'wnd' is no state", "did you mean 'wind'?"]),
        ({**GIVEN, "u": [0.5]}, ["'u' is no state, no exogenous node and no history"]),
    ],
)
def test_wrong_states_are_refused(plant: Make, given: Any, expected: list[str]) -> None:
    with pytest.raises(UserError) as raised:
        InitialState.of(plant().graph, given)
    for text in expected:
        assert text in str(raised.value)


def test_a_value_that_a_category_does_not_have_is_refused(plant: Make) -> None:
    graph = plant(Column("p", "p", "continuous", min=0.0, max=1.0)).graph
    other = graph.to_json()
    for node in other["nodes"]:
        if node["name"] == "wind":
            node["columns"] = [{"name": "wind", "node": "wind", "type": "category", "values": [0.0, 1.0]}]
    with pytest.raises(UserError, match="possible: 0, 1"):
        InitialState.of(type(graph).from_json(other), {"x": [1.0], "wind": [0.5]})


@pytest.mark.parametrize("content", [b"nothing", b""])
def test_an_unreadable_file_is_refused(plant: Make, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "start.npz").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as npz"):
        InitialState.of(plant().graph, tmp_path / "start.npz")
    with pytest.raises(UserError, match="no such file"):
        InitialState.of(plant().graph, tmp_path / "other.npz")


REMEMBERS = {
    "metadata": {
        "columns": [{name: {"dim": name, "type": "continuous"}} for name in ("x", "a", "w", "k")],
        "tunable": ["k"],
        "nodes": {"x": {"ts": 3}, "a": {"ts": 2}},
        "graph": {"a": ["ts_x", "w"], "next_x": ["x", "ts_a", "k"]},
    }
}


def test_histories_are_what_they_are_given_as(tmp_path: Path) -> None:
    graph = parse_description(REMEMBERS, "test", tmp_path)
    scales = {name: [1.0] for name in graph.learned}
    venv = VirtualEnv(graph, Codec.empty(graph), 2, NetworkSpec(hidden=(4,)), scales)
    start = {
        "x": [[3.0], [30.0]],
        "w": [0.0],
        "ts_x": [[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]],
        "ts_a": [7.0, 8.0],
    }
    scene = InitialState.of(graph, start).scene(venv, graph, draws=4, horizon=3, seed=0, usual={})
    (rolled,) = segments(venv, scene, {"k": torch.zeros(1, 1)}, None, None)
    assert rolled["ts_x"][0, 0].tolist() == [[1, 2, 3], [10, 20, 30], [1, 2, 3], [10, 20, 30]]
    assert rolled["ts_a"][0, 0, :, 0].tolist() == [7.0] * 4  # before what is decided in the step itself
    assert rolled["ts_x"][1, 0, :, :2].tolist() == [[2, 3], [20, 30], [2, 3], [20, 30]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ts_x": [1.0, 2.0]}, "'ts_x' has the shape (2,)"),
        ({"ts_x": [3.0, 2.0, 1.0]}, "'ts_x' ends with [1.0], but 'x' is [3.0]"),
        (
            {"ts_x": [[0.0, 0.0, 3.0]] * 2, "ts_a": [[0.0, 0.0]] * 3},
            "different numbers of starts: ts_x 2, ts_a 3",
        ),
        ({"ts_w": [1.0]}, "did you mean 'ts_x'"),
    ],
)
def test_wrong_histories_are_refused(tmp_path: Path, given: Any, expected: str) -> None:
    graph = parse_description(REMEMBERS, "test", tmp_path)
    with pytest.raises(UserError) as raised:
        InitialState.of(graph, {"x": [3.0], "w": [0.0], **given})
    assert expected in str(raised.value)
