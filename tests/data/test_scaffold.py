"""A guessed description is one that the file can be read with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from revive.data.readers import ReadOptions, read_trajectories
from revive.data.roles import is_amount, is_code
from revive.data.scaffold import _attributes, guess
from revive.data.trajectories import Trajectories
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import read_description

LOGS = Path(__file__).parents[2].parent / "shared" / "data"
FILES = sorted(LOGS.glob("*.[nc][ps][zv]"))


def read_as_guessed(path: Path, folder: Path) -> tuple[DecisionGraph, Trajectories]:
    of = guess(path)
    (folder / "description.yaml").write_text(of.description)
    graph = read_description(folder / "description.yaml")
    return graph, read_trajectories(path, graph, ReadOptions(**of.dataset))


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_real_logs_can_be_read_with_their_guessed_description(path: Path, tmp_path: Path) -> None:
    graph, read = read_as_guessed(path, tmp_path)
    assert graph.decisions
    assert graph.transitions
    assert read.rows > 1000


def test_arrays_become_nodes_and_guesses_are_marked(
    tmp_path: Path, make_logs: Callable[..., dict[str, np.ndarray]]
) -> None:
    np.savez(tmp_path / "logs.npz", **make_logs(50, 60), rew=np.zeros(110))
    graph, read = read_as_guessed(tmp_path / "logs.npz", tmp_path)
    assert graph.states == ("temperature",)
    assert graph.exogenous == ("door_open",)
    assert graph.decisions == ("action",)
    assert read.lengths.tolist() == [50, 60]
    text = guess(tmp_path / "logs.npz").description
    assert "door_open: {dim: door_open, type: category, values: [0, 1]}  # GUESS" in text
    assert "no node: rew" in text


@pytest.mark.parametrize("write", ["to_csv", "to_parquet"])
def test_tables_are_read_by_their_episodes_and_times(tmp_path: Path, write: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "episode_id": np.repeat(["a", "b"], 100),
            "timestamp": pd.date_range("2024-01-01", periods=200, freq="s"),
            "tank level": rng.normal(size=200),
            "yes": rng.normal(size=200),
            "heater power": np.round(rng.uniform(0, 4, 200)) / 4,
        }
    )
    path = tmp_path / f"logs.{write.removeprefix('to_')}"
    getattr(frame, write)(path)
    graph, read = read_as_guessed(path, tmp_path)
    assert [column.name for column in graph.columns("state")] == ["tank level", "yes"]
    assert [column.name for column in graph.columns("action")] == ["heater power"]
    assert graph.columns("action")[0].type == "discrete"
    assert read.lengths.tolist() == [99, 99]
    assert guess(path).dataset == {"trajectory": "episode_id", "time": "timestamp"}


def test_beginnings_and_missing_values_are_seen(tmp_path: Path) -> None:
    state = np.random.default_rng(0).normal(size=(30, 3))
    state[4] = np.nan
    path = tmp_path / "logs.npz"
    np.savez(path, obs=state, act=state[:, :1] * 2, index=np.array([0, 12]))
    assert guess(path).dataset == {"index": "starts", "missing": "mask"}
    _, read = read_as_guessed(path, tmp_path)
    assert read.lengths.tolist() == [11, 17]


@pytest.mark.parametrize(
    "arrays",
    [
        {"index": np.array([3])},
        {"words": np.array(["a", "b"]), "index": np.array([2])},
        {"state": np.zeros((3, 2)), "index": np.array([3])},
    ],
)
def test_what_cannot_be_described_is_explained(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "logs.npz", **arrays)
    with pytest.raises(UserError, match=r"logs\.npz"):
        guess(tmp_path / "logs.npz")


def test_only_what_is_set_or_follows_gets_legal_limits() -> None:
    """The weather has none: a policy that is asked beyond what was logged is still to answer."""
    weather = np.linspace(-3.0, 31.5, 200)[np.random.default_rng(0).permutation(200)] ** 3
    assert "min" in _attributes(weather, False, True)[0]
    assert _attributes(weather, False, False)[0] == "type: continuous"


def test_numbers_that_stand_for_states_are_a_category_by_their_name() -> None:
    codes = np.repeat([0.0, 1.0, 4.0], 40)
    assert (
        _attributes(codes, False, True, code=is_code("Pump mode"))[0] == "type: category, values: [0, 1, 4]"
    )
    assert _attributes(codes, False, True, code=is_code("valve"))[0].startswith("type: continuous")


@pytest.mark.parametrize(
    ("name", "unit", "least"), [("biomass", "", "0"), ("X", "g/L", "0"), ("temperature", "degC", "-10")]
)
def test_there_is_no_less_than_nothing_of_an_amount(name: str, unit: str, least: str) -> None:
    grown = np.linspace(0.1, 40, 200) ** 1.1
    assert f"min: {least}," in _attributes(grown, False, True, amount=is_amount(name, unit))[0]
