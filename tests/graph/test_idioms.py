"""Whole descriptions as they are found in the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from revive.errors import Problems
from revive.graph.decision_graph import DecisionGraph, NodeKind
from revive.graph.description import parse_description, read_description
from revive.graph.nodes import FunctionSpec, HistorySpec
from revive.graph.yaml_tree import read_yaml

Describe = Callable[[str], Path]

STACKED = """\
metadata:
  columns:
    - door_open: {dim: door_open, type: continuous}
    - temperature: {dim: temperature, type: continuous}
    - action: {dim: action, type: continuous}
  graph:
    action: [ts_temperature, ts_door_open, ts_action]
    next_temperature: [ts_temperature, ts_action, action, door_open]
    next_ts_temperature: [ts_temperature, next_temperature]
    next_ts_action: [ts_action, action]
  nodes:
    temperature: {ts: 6}
    door_open: {ts: 4}
    action: {ts: 3}
"""

SPLIT = """\
metadata:
  version: 1.2
  columns:
    - o0: {dim: obs, type: continuous}
    - o1: {dim: obs, type: continuous}
    - d0: {dim: delta_obs_1, type: continuous}
    - d1: {dim: delta_obs_2, type: continuous}
    - raw: {dim: raw_action, type: continuous}
    - a: {dim: action, type: category, values: [0, 1, 2]}
    - end: {dim: done, type: category, values: [0, 1]}
  graph:
    raw_action: [obs]
    action: [raw_action]
    delta_obs_1: [obs, action]
    delta_obs_2: [obs, delta_obs_1]
    next_obs: [obs, delta_obs_1, delta_obs_2]
    done: [next_obs]
  expert_functions:
    action: {node_function: plant.to_level}
    next_obs: {node_function: plant.merge}
    done: {node_function: plant.has_ended}
  nodes:
    delta_obs_1: {traj_id: pipeline}
    raw_action: {step_input: true}
"""

SLIDING = """\
metadata:
  columns:
    - v0: {dim: obs, type: continuous}
    - v1: {dim: obs, type: continuous}
    - newest: {dim: newest_obs, type: continuous}
    - steer: {dim: action, type: continuous, min: -1, max: 1}
  graph:
    action: [obs]
    newest_obs: [obs, action]
    next_obs: [obs, newest_obs]
  expert_functions:
    next_obs: {node_function: plant.shift}
  metric_nodes: [action, newest_obs]
"""

LEARNED = """\
metadata:
  columns:
    - temperature: {dim: temperature, type: continuous}
    - action: {dim: action, type: continuous}
  graph:
    action: [ts_temperature]
    next_ts_temperature: [ts_temperature, action]
  nodes:
    temperature: {ts: 10}
"""


@pytest.fixture(autouse=True)
def plant(tmp_path: Path) -> None:
    """The functions that the descriptions name."""
    names = ("to_level", "merge", "has_ended", "shift")
    text = "".join(f"def {name}(data):\n    return data\n" for name in names)
    (tmp_path / "plant.py").write_text(text, encoding="utf-8")


def both_ways(path: Path) -> DecisionGraph:
    """The graph of a file, which is the same when its content is given inline."""
    graph = read_description(path)
    assert parse_description(read_yaml(path, Problems()).value, "inline", path.parent) == graph
    return graph


def test_stacked_states_actions_and_exogenous_nodes(describe: Describe) -> None:
    graph = both_ways(describe(STACKED))
    specs = {name: graph[name].history for name in graph.histories}
    assert specs == {
        "ts_temperature": HistorySpec("temperature", 6),
        "ts_door_open": HistorySpec("door_open", 4),
        "ts_action": HistorySpec("action", 3, delay=1),
    }
    assert graph.default_target == "action"
    assert graph.states == ("temperature",)
    assert graph.exogenous == ("door_open",)
    assert graph.lookback == 5
    assert {name for name in graph.functions if graph[name].function == FunctionSpec("push")} == {
        "next_ts_temperature",
        "next_ts_action",
    }


def test_a_policy_that_sees_its_moves_and_pays_for_them_as_the_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "description.md").read_text(encoding="utf-8")
    story = page[page.index("A policy that sees what it did before") :]
    yaml_text, python = re.findall(r"```(?:yaml|python)\n(.*?)```", story, re.S)[:2]
    columns = [{name: {"dim": name, "type": "continuous"}} for name in ("temperature", "action")]
    metadata = {"columns": columns, **yaml.safe_load(yaml_text)}
    graph = parse_description({"metadata": metadata}, "page")
    assert graph["ts_action"].history == HistorySpec("action", 3, delay=1)
    names: dict[str, Any] = {}
    exec(compile(python, "page", "exec"), names)
    data = {"action": [[3.0]], "ts_action": [[0.0, 0.0, 1.0]], "next_temperature": [[5.0]]}
    earned = names["get_reward"]({name: np.array(value) for name, value in data.items()})
    assert earned.tolist() == [[-1.4]]  # 1 too warm, a move of 2


def test_parts_of_a_change_learned_apart_and_merged(describe: Describe) -> None:
    graph = both_ways(describe(SPLIT))
    assert graph.default_target == "raw_action"
    assert graph.changes == ("delta_obs_1", "delta_obs_2")
    assert graph.functions == ("action", "next_obs", "done")
    assert graph.transitions == ("next_obs",)
    assert graph["delta_obs_1"].inputs == ("obs", "action", "traj")
    assert graph["raw_action"].inputs == ("obs", "step_node_")
    assert graph.done == "done"
    assert graph.code_files == ("plant.py",)
    assert graph.metric_nodes == ("raw_action", "delta_obs_1", "delta_obs_2")


def test_a_window_that_a_function_shifts(describe: Describe) -> None:
    graph = both_ways(describe(SLIDING))
    assert graph["next_obs"].kind is NodeKind.FUNCTION
    assert graph.transitions == ("next_obs",)
    assert graph.metric_nodes == ("action", "newest_obs")


def test_of_a_learned_stack_the_newest_frame_is_learned(
    describe: Describe, caplog: pytest.LogCaptureFixture
) -> None:
    graph = both_ways(describe(LEARNED))
    assert graph.learned == ("action", "next_temperature")
    assert graph["next_temperature"].inputs == ("ts_temperature", "action")
    assert graph["next_ts_temperature"].function == FunctionSpec("push")
    assert graph.states == ("temperature",)
    assert graph.histories == ("ts_temperature",)
    assert "of 'next_ts_temperature' the newest frame is learned" in caplog.text
    assert graph.lookback == 9


PLANT = """\
metadata:
  columns:
    - x0: {dim: obs, type: continuous}
    - x1: {dim: obs, type: continuous}
    - %s: {dim: newest, type: continuous}
    - u: {dim: action, type: continuous}
  graph:
    action: [obs]
    newest: [%s]
    next_obs: [obs, newest]
  expert_functions:
    next_obs: {node_function: plant.shift}
"""


@pytest.mark.parametrize(
    ("column", "inputs", "is_plant"),
    [("y", "obs, action", True), ("x0", "obs", True), ("y", "obs", False)],
    ids=["after the action", "with the state's column", "a decision of its own"],
)
def test_a_learned_node_that_functions_turn_into_the_state_is_the_plants(
    describe: Describe, column: str, inputs: str, is_plant: bool, caplog: pytest.LogCaptureFixture
) -> None:
    graph = both_ways(describe(PLANT % (column, inputs)))
    assert graph.decisions == (("action",) if is_plant else ("action", "newest"))
    assert graph.changes == (("newest",) if is_plant else ())
    assert ("taken for a part of the plant" in caplog.text) == is_plant
    assert graph.metric_nodes == ("action", "newest")
