"""What node names and options mean: histories, changes, steps, trajectories, functions, terminations."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph, NodeKind
from revive.graph.description import parse_description
from revive.graph.nodes import DataOrigin, FunctionSpec, HistorySpec, Origin


def graph_of(
    graph: str, nodes: str = "{}", columns: str = "", more: str = "", folder: Path | None = None
) -> DecisionGraph:
    """The graph of a system with state s (2 columns), exogenous w and action a, and what is added to them."""
    text = f"""
metadata:
  columns:
    - s0: {{dim: s, type: continuous}}
    - s1: {{dim: s, type: continuous}}
    - w: {{dim: w, type: continuous}}
    - a: {{dim: a, type: continuous, min: -1, max: 1}}
{columns}
  graph: {graph}
  nodes: {nodes}
{more}
"""
    graph_ = parse_description(yaml.safe_load(text), "inline", folder)
    check_round_trips(graph_)
    return graph_


def check_round_trips(graph: DecisionGraph) -> None:
    copy = DecisionGraph.from_json(json.loads(json.dumps(graph.to_json())))
    assert copy == graph
    assert copy.metric_nodes == graph.metric_nodes
    assert pickle.loads(pickle.dumps(graph)) == graph
    drawn, told = graph.mermaid(), repr(graph)
    for name, node in graph.nodes.items():
        assert f'"{name} ({node.width})"' in drawn
        assert f":::{node.kind.value}" in drawn
        assert f"{node.kind.value} " in told


def history(graph: DecisionGraph, node: str) -> HistorySpec:
    spec = graph[node].history
    assert spec is not None
    return spec


def complaint(**parts: Any) -> str:
    with pytest.raises(UserError) as caught:
        graph_of(**parts)
    return str(caught.value)


def test_a_pushed_state_history_ends_with_the_present_state() -> None:
    graph = graph_of("{a: [ts_s], next_s: [s, a], next_ts_s: [ts_s, next_s]}", "{s: {ts: 3}}")
    assert history(graph, "ts_s") == HistorySpec("s", 3, 0)
    assert graph["ts_s"].inputs == ("s",)
    assert graph["next_ts_s"].function == FunctionSpec("push")
    assert graph.transitions == ("next_s",)
    assert graph.histories == ("ts_s",)
    assert graph.lookback == 2


def test_an_undeclared_history_is_kept_by_itself() -> None:
    graph = graph_of("{a: [ts_s, ts_w], next_s: [s, a]}", "{s: {ts: 3}, w: {ts: 2}}")
    assert history(graph, "ts_w") == HistorySpec("w", 2, 0)
    assert graph.exogenous == ("w",)  # only its history is used, and that comes from it
    assert "next_ts_s" not in graph


def test_history_columns_stand_oldest_first_and_only_the_newest_count() -> None:
    graph = graph_of("{a: [ts_s], next_s: [s, a]}", "{s: {ts: 2}}")
    assert [column.name for column in graph.columns("ts_s")] == [
        "ts-1_s0",
        "ts-1_s1",
        "ts-0_s0",
        "ts-0_s1",
    ]
    assert [column.fit for column in graph.columns("ts_s")] == [False, False, True, True]
    assert graph["ts_s"].width == 4


def test_the_history_of_an_action_ends_before_it_where_it_is_decided_from_it() -> None:
    graph = graph_of("{a: [s, ts_a], next_s: [s, a]}", "{a: {ts: 3}}")
    assert history(graph, "ts_a") == HistorySpec("a", 3, 1)
    assert "ts_a" in graph.leaves
    assert "ts_a" not in graph.exogenous


def test_the_history_of_an_action_holds_it_where_it_is_only_used_behind_it() -> None:
    graph = graph_of("{a: [s], next_s: [s, ts_a]}", "{a: {ts: 3}}")
    assert history(graph, "ts_a") == HistorySpec("a", 3, 0)
    assert graph.order == ("a", "ts_a", "next_s")


def test_a_declared_push_of_the_present_action_says_that_its_history_ends_before_it() -> None:
    graph = graph_of("{a: [s], next_s: [s, ts_a], next_ts_a: [ts_a, a]}", "{a: {ts: 3}}")
    assert history(graph, "ts_a").delay == 1
    assert graph["next_ts_a"].function == FunctionSpec("push")
    assert graph.source_of("next_ts_a") == "a"


def test_windows_end_before_the_present_step() -> None:
    graph = graph_of("{a: [s, ts_w], next_s: [s, a]}", "{w: {ts: 3, ts_length: 2}}")
    assert history(graph, "ts_w") == HistorySpec("w", 2, 1)
    assert [column.name for column in graph.columns("ts_w")] == ["ts-2_w", "ts-1_w"]
    assert graph.lookback == 2


def test_two_actions_that_see_each_others_past_have_no_loop() -> None:
    column = "    - b: {dim: b, type: continuous}"
    graph = graph_of("{a: [s, ts_b], b: [s, ts_a], next_s: [s, a, b]}", "{a: {ts: 2}, b: {ts: 2}}", column)
    assert {history(graph, name).delay for name in ("ts_a", "ts_b")} == {1}


def test_a_history_that_a_network_of_the_user_computes_is_a_state(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Net:\n    pass\n", encoding="utf-8")
    graph = graph_of(
        "{a: [ts_s], next_ts_s: [ts_s, a]}",
        "{s: {ts: 3}}",
        more="  custom_nodes: {next_ts_s: mine.Net}",
        folder=tmp_path,
    )
    assert graph.states == ("ts_s",)
    assert graph.transitions == ("next_ts_s",)
    assert graph["next_ts_s"].kind is NodeKind.TRANSITION
    assert graph["s"].function == FunctionSpec("newest")
    assert graph["s"].inputs == ("ts_s",)
    assert graph.data_of("ts_s") == DataOrigin(Origin.STACK, "s")
    assert graph.data_of("next_ts_s") == DataOrigin(Origin.NEXT, "ts_s")
    assert graph.data_of("s") == DataOrigin(Origin.LOGGED)


def test_of_a_learned_history_the_newest_frame_is_learned() -> None:
    graph = graph_of("{a: [ts_s], next_ts_s: [ts_s, a, w]}", "{s: {ts: 3}, next_ts_s: {loss_type: mae}}")
    assert graph.states == ("s",)
    assert graph.learned == ("a", "next_s")
    assert graph["next_s"].inputs == ("ts_s", "a", "w")
    assert graph["next_s"].loss_type == "mae"
    assert graph["next_ts_s"].inputs == ("ts_s", "next_s")
    assert graph.data_of("next_s") == DataOrigin(Origin.NEXT, "s")


@pytest.mark.parametrize("ts", [0, 1])
def test_a_history_of_one_is_the_node_itself(ts: int) -> None:
    graph = graph_of(
        "{a: [ts_s, w, s], next_s: [ts_s, a], next_ts_s: [ts_s, next_s]}",
        f"{{s: {{ts: {ts}}}, a: {{effects: {{ts_s: {{a: increasing}}}}}}}}",
    )
    assert graph["a"].inputs == ("s", "w")
    assert graph.order == ("a", "next_s")
    assert [effect.input for effect in graph["a"].effects] == ["s", "s"]


def test_a_history_option_stacks_every_input_that_changes() -> None:
    graph = graph_of("{a: [s, w, g], next_s: [s, a]}", "{a: {history: 3, step_input: true, traj_id: yes}}",
                     "    - g: {dim: g, type: continuous}", "  tunable: [g]")  # fmt: skip
    assert graph["a"].inputs == ("ts3_s", "ts3_w", "g", "step_node_", "traj")
    assert history(graph, "ts3_w") == HistorySpec("w", 3, 0)
    assert graph["next_s"].inputs == ("s", "a")
    assert graph.tunables == ("g",)
    assert graph.exogenous == ("w", "g")


def test_steps_and_trajectories_are_leaves_of_their_own() -> None:
    graph = graph_of("{a: [s], next_s: [s, a]}", "{a: {step_input: true}, next_s: {traj_id: name}}")
    assert (graph.step, graph.trajectory) == ("step_node_", "traj")
    assert graph["a"].inputs == ("s", "step_node_")
    assert graph["next_s"].inputs == ("s", "a", "traj")
    assert graph.exogenous == ()
    assert graph.data_of("step_node_").how is Origin.STEP
    assert graph.data_of("traj").how is Origin.TRAJECTORY


def test_a_declared_step_counter_counts() -> None:
    graph = graph_of("{a: [s, step_node_], next_s: [s, a], next_step_node_: [step_node_]}")
    assert graph["next_step_node_"].function == FunctionSpec("step")
    assert graph.states == ("s",)


def test_a_change_is_added_and_its_data_are_derived() -> None:
    graph = graph_of("{a: [s], delta_s: [s, a], next_s: [delta_s, s]}")
    assert graph.changes == ("delta_s",)
    assert graph.decisions == ("a",)
    assert graph.learned == ("a", "delta_s")
    assert graph["next_s"].function == FunctionSpec("add")
    assert graph.transitions == ("next_s",)
    assert graph.data_of("delta_s") == DataOrigin(Origin.CHANGE, "s")
    assert [column.name for column in graph.columns("delta_s")] == ["s0", "s1"]
    assert graph.source_of("delta_s") == "delta_s"
    assert graph.metric_nodes == ("a", "delta_s")


def test_a_transition_with_more_inputs_than_state_and_change_is_learned() -> None:
    graph = graph_of("{a: [s], delta_s: [s, a], next_s: [delta_s, s, w]}")
    assert graph["next_s"].kind is NodeKind.TRANSITION


def test_done_may_be_in_the_data_alone() -> None:
    done = "    - end: {dim: done, type: category, values: [0, 1]}"
    graph = graph_of("{a: [s], next_s: [s, a]}", columns=done)
    assert graph.done == "done"
    assert graph["done"].kind is NodeKind.TERMINATION
    assert "done" in graph.leaves
    assert "done" not in graph.exogenous
    learned = graph_of("{a: [s], next_s: [s, a], done: [next_s]}", columns=done)
    assert learned["done"].kind is NodeKind.TERMINATION
    assert "done" in learned.learned
    assert "done" not in learned.decisions
    state = graph_of("{a: [s, done], next_s: [s, a], next_done: [next_s, done]}", columns=done)
    assert state.done == "next_done"
    assert state.states == ("s", "done")


def test_without_a_policy_the_action_is_exogenous() -> None:
    graph = graph_of("{next_s: [s, a, w]}")
    assert graph.exogenous == ("w", "a")
    assert graph.decisions == ()


def test_one_transition_may_feed_another() -> None:
    column = "    - o: {dim: o, type: continuous}"
    graph = graph_of("{a: [s], next_o: [o, next_s], next_s: [s, a]}", columns=column)
    assert graph.order == ("a", "next_s", "next_o")
    assert graph.transitions == ("next_s", "next_o")


def test_nodes_without_data_are_flagged() -> None:
    column = "    - m: {dim: m, type: continuous}"
    graph = graph_of("{a: [s], m: [s, a], next_s: [s, m]}", "{m: {data: false}}", column)
    assert [node.name for node in graph.all_nodes if not node.logged] == ["m"]
    assert graph.metric_nodes == ("a", "next_s")
    assert graph.data_of("m").how is Origin.NONE
    assert [node.name for node in graph.without_data(["a"]).all_nodes if not node.logged] == ["a", "m"]
    with pytest.raises(UserError, match="nothing computes it"):
        graph.without_data(["s"])
    with pytest.raises(UserError, match="judged"):
        graph.without_data(["a", "next_s"])


def test_metric_nodes_are_those_of_the_named_that_are_learned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "revive"):
        graph = graph_of("{a: [s], next_s: [s, a]}", more="  metric_nodes: [s, next_s]")
    assert graph.metric_nodes == ("next_s",)
    assert "no model is judged by: s" in caplog.text


def test_a_history_that_nothing_takes_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "revive"):
        graph_of("{a: [s], next_s: [s, a]}", "{s: {ts: 3}}")
    assert "nothing takes ts_s" in caplog.text


def test_node_options_arrive() -> None:
    graph = graph_of(
        "{a: [s], next_s: [s, a]}", "{a: {freeze: true, loss_type: nll}, next_s: {loss_type: user_module.f}}"
    )
    assert graph["a"].freeze
    assert graph["a"].loss_type == "log_prob"
    assert graph["next_s"].loss_type == "user_module.f"


def test_circles_follow_their_columns_into_derived_nodes() -> None:
    for place in ("circle: [s0, s1]", "circle: [[s.s1, s0]]"):
        graph = graph_of("{a: [ts_s], next_s: [s, a]}", "{s: {ts: 2}}", more=f"  {place}")
        pair = (0, 1) if "[[" not in place else (1, 0)
        assert graph["s"].circles == graph["next_s"].circles == (pair,)
        assert graph["ts_s"].circles == (pair, (pair[0] + 2, pair[1] + 2))
        assert graph["a"].circles == ()
    graph = graph_of("{a: [s], next_s: [s, a]}", "{s: {circle: [[s0, s1]]}}")
    assert graph["next_s"].circles == ((0, 1),)


def test_derived_nodes_name_the_node_whose_columns_they_use() -> None:
    graph = graph_of("{a: [s], next_s: [s, a], next_ts_s: [ts_s, next_s]}", "{s: {ts: 2}, a: {history: 2}}")
    sources = {name: graph.source_of(name) for name in graph.nodes}
    assert sources == {**dict.fromkeys(("s", "ts_s", "ts2_s", "next_s", "next_ts_s"), "s"), "a": "a"}


def test_an_ordinary_node_may_have_a_name_like_a_history() -> None:
    column = "    - t: {dim: ts_x, type: continuous}"
    graph = graph_of("{a: [s, ts_x], next_s: [s, a], next_ts_x: [ts_x, a]}", columns=column)
    assert graph.states == ("s", "ts_x")
    assert graph["ts_x"].history is None


BAD = {
    "endless history": ({"graph": "{a: [ts_s], next_s: [s, a]}"}, ["'ts_s'", "how many", "'s: {ts: 4}'"]),
    "computed history": (
        {"graph": "{a: [s], next_s: [s, a], ts_s: [a]}", "nodes": "{s: {ts: 3}}"},
        ["'ts_s' is kept up by itself", "metadata.graph.ts_s"],
    ),
    "described history": (
        {
            "graph": "{a: [ts_s], next_s: [s, a]}",
            "nodes": "{s: {ts: 3}}",
            "columns": "    - t: {dim: ts_s, type: continuous}",
        },
        ["columns describe one of this name"],
    ),
    "long window": (
        {"graph": "{a: [ts_s], next_s: [s, a]}", "nodes": "{s: {ts: 2, ts_length: 3}}"},
        ["'ts_length' 3", "metadata.nodes.s.ts_length"],
    ),
    "window with a wrong push": (
        {
            "graph": "{a: [ts_s], next_s: [s, a], next_ts_s: [ts_s, next_s]}",
            "nodes": "{s: {ts: 3, ts_length: 2}}",
        },
        ["'next_ts_s' pushes 'next_s'", "1 steps before now", "drop 'next_ts_s'"],
    ),
    "learned window": (
        {
            "graph": "{a: [ts_s], next_s: [s, a], next_ts_s: [ts_s, a]}",
            "nodes": "{s: {ts: 3, ts_length: 2}}",
        },
        ["'next_ts_s' is learned"],
    ),
    "history of one, twice": (
        {"graph": "{a: [s], next_s: [s, a], next_ts_s: [ts_s, a]}", "nodes": "{s: {ts: 1}}"},
        ["'next_ts_s' is 'next_s'"],
    ),
    "loop through a history of one": (
        {"graph": "{a: [ts_a, s], next_s: [s, a]}", "nodes": "{a: {ts: 1}}"},
        ["a -> a"],
    ),
    "ts of a transition": (
        {"graph": "{a: [s], next_s: [s, a]}", "nodes": "{next_s: {ts: 3}}"},
        ["'ts'", "write it under 's'"],
    ),
    "huge history": (
        {"graph": "{a: [ts_s], next_s: [s, a]}", "nodes": "{s: {ts: 1000000000}}"},
        ["metadata.nodes.s.ts"],
    ),
    "negative ts": ({"graph": "{a: [s], next_s: [s, a]}", "nodes": "{s: {ts: -1}}"}, ["'ts' cannot be -1"]),
    "ts as a bool": (
        {"graph": "{a: [s], next_s: [s, a]}", "nodes": "{s: {ts: true}}"},
        ["True", "number"],
    ),
    "unknown option": (
        {"graph": "{a: [s], next_s: [s, a]}", "nodes": "{a: {stepinput: true}}"},
        ["'stepinput'", "did you mean 'step_input'"],
    ),
    "options of nobody": (
        {"graph": "{a: [s], next_s: [s, a]}", "nodes": "{next_a: {freeze: true}, sx: {ts: 2}}"},
        ["'next_a'", "'sx'", "did you mean"],
    ),
    "freeze of a leaf": (
        {"graph": "{a: [s], next_s: [s, a]}", "nodes": "{s: {freeze: true}}"},
        ["nothing computes 's'", "under 'next_s'"],
    ),
    "loss of a sum": (
        {"graph": "{a: [s], delta_s: [s, a], next_s: [s, delta_s]}", "nodes": "{next_s: {loss_type: mae}}"},
        ["'loss_type' says nothing"],
    ),
    "unknown loss": (
        {"graph": "{a: [s], next_s: [s, a]}", "nodes": "{a: {loss_type: log_porb}}"},
        ["did you mean 'log_prob'"],
    ),
    "change of another width": (
        {
            "graph": "{a: [s], delta_s: [s, a], next_s: [s, delta_s]}",
            "columns": "    - d: {dim: delta_s, type: continuous}",
        },
        ["1 columns", "of 2"],
    ),
    "change of a category": (
        {
            "graph": "{a: [s], delta_c: [c, a], next_c: [c, delta_c]}",
            "columns": "    - c: {dim: c, type: category, values: [0, 1]}",
        },
        ["is a category"],
    ),
    "wide done": (
        {
            "graph": "{a: [s], next_s: [s, a]}",
            "columns": "    - d: {dim: done, type: continuous}\n    - e: {dim: done, type: continuous}",
        },
        ["'done' has 2 columns"],
    ),
    "step counter from others": (
        {"graph": "{a: [s, step_node_], next_s: [s, a], next_step_node_: [step_node_, a]}"},
        ["plus one"],
    ),
    "described trajectory": (
        {
            "graph": "{a: [s, traj], next_s: [s, a]}",
            "nodes": "{a: {traj_id: true}}",
            "columns": "    - d: {dim: traj, type: continuous}",
        },
        ["'traj_id'", "keep one"],
    ),
    "tunable transition": (
        {"graph": "{a: [s], next_s: [s, a]}", "more": "  tunable: [next_s, w, q, a]"},
        ["'next_s'", "nothing in the graph takes the tunable 'w'", "'q'", "'a' cannot be tunable"],
    ),
    "unknown metric node": (
        {"graph": "{a: [s], next_s: [s, a]}", "more": "  metric_nodes: [nxt_s]"},
        ["'nxt_s'", "did you mean 'next_s'", "metadata.metric_nodes.0"],
    ),
    "nothing to judge by": (
        {"graph": "{a: [s], next_s: [s, a]}", "more": "  metric_nodes: [s]"},
        ["none of the metric_nodes"],
    ),
    "leaf without data": (
        {"graph": "{a: [s], next_s: [s, a]}", "nodes": "{s: {data: false}}"},
        ["'s' has no data"],
    ),
    "circle of unknown columns": (
        {"graph": "{a: [s], next_s: [s, a]}", "more": "  circle: [[s0, s2], [s0, w], [s0, s0]]"},
        ["'s2' is no column", "different nodes", "one column"],
    ),
    "circle that is none": (
        {"graph": "{a: [s], next_s: [s, a]}", "more": "  circle: [s0, s1, w]"},
        ["no pair of columns"],
    ),
    "column on two circles": (
        {"graph": "{a: [s], next_s: [s, a]}", "more": "  circle: [[s0, s1], [s1, s0]]"},
        ["on a circle already"],
    ),
}


@pytest.mark.parametrize(("parts", "said"), BAD.values(), ids=BAD.keys())
def test_contradictions_are_explained(parts: dict[str, str], said: list[str]) -> None:
    message = complaint(**parts)
    for words in said:
        assert words in message, message
