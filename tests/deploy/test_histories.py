"""Sessions over graphs and policies that look back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.deploy import PolicySession, VenvSession
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.policy.policy import Policy
from revive.venv.node_model import NetworkSpec
from tests.venv.plants import columns, hand_set, scaled


def looking_back(nodes: dict[str, Any], graph: dict[str, list[str]]) -> DecisionGraph:
    described = [{name: {"dim": name, "type": "continuous"}} for name in ("x", "u")]
    return parse_description({"metadata": {"columns": described, "nodes": nodes, "graph": graph}}, "test")


def codec_of(graph: DecisionGraph) -> Codec:
    """Numbers around 10, in twos, and around 3, in fives."""
    codec = Codec.empty(graph)
    codec.nodes["x"] = scaled(graph.columns("x"), [10.0], [2.0])
    codec.nodes["u"] = scaled(graph.columns("u"), [3.0], [5.0])
    return codec


@pytest.fixture
def states() -> VenvSession:
    """u is the x of two steps ago, x counts up by one."""
    graph = looking_back({"x": {"ts": 3}}, {"u": ["ts_x"], "next_x": ["x", "u"]})
    linear = {"u": ([[2 / 5], [0.0], [0.0]], [7 / 5]), "next_x": ([[0.0], [0.0]], [1 / 2])}
    return VenvSession(hand_set(graph, linear, codec=codec_of(graph)))


@pytest.fixture
def actions() -> VenvSession:
    """x rises by the u of two steps ago; u follows from x and stays its twentieth part."""
    graph = looking_back({"u": {"ts": 2}}, {"u": ["x", "ts_u"], "next_x": ["x", "ts_u"]})
    assert graph["ts_u"].history is not None
    assert graph["ts_u"].history.delay == 1
    linear = {
        "u": ([[2 / 100], [0.0], [0.0]], [0.5 / 5 - 3 / 5]),
        "next_x": ([[0.0], [5 / 2], [0.0]], [3 / 2]),
    }
    return VenvSession(hand_set(graph, linear, codec=codec_of(graph)))


def test_without_a_history_the_first_value_stands_for_the_ones_before(states: VenvSession) -> None:
    rolled = states.rollout({"x": [[20.0], [40.0]]}, horizon=5)
    np.testing.assert_allclose(rolled["x"][:, 0, 0], [20, 21, 22, 23, 24], atol=1e-4)
    np.testing.assert_allclose(rolled["u"][:, 0, 0], [20, 20, 20, 21, 22], atol=1e-4)
    np.testing.assert_allclose(rolled["u"][:, 1, 0], [40, 40, 40, 41, 42], atol=1e-4)
    np.testing.assert_allclose(rolled["ts_x"][3, 0], [21, 22, 23], atol=1e-4)


def test_a_given_history_is_where_a_rollout_comes_from(states: VenvSession) -> None:
    start = {"x": [[20.0]], "ts_x": [[7.0, 13.0, 20.0]]}
    rolled = states.rollout(start, horizon=4)
    np.testing.assert_allclose(rolled["u"][:, 0, 0], [7, 13, 20, 21], atol=1e-4)
    np.testing.assert_allclose(rolled["ts_x"][0, 0], [7, 13, 20], atol=1e-4)


def test_a_history_of_actions_is_given_or_held(actions: VenvSession) -> None:
    start = {"x": [[20.0]], "ts_u": [[4.0, 6.0]]}
    rolled = actions.rollout(start, {"u": np.full((4, 1, 1), 9.0)})
    np.testing.assert_allclose(rolled["x"][:, 0, 0], [20, 24, 30, 39], atol=1e-4)
    np.testing.assert_allclose(rolled["ts_u"][:, 0], [[4, 6], [6, 9], [9, 9], [9, 9]], atol=1e-4)
    recorded = actions.rollout({"x": [[20.0]]}, {"u": np.full((3, 1, 1), 9.0)})
    np.testing.assert_allclose(recorded["x"][:, 0, 0], [20, 29, 38], atol=1e-4)


def test_a_history_of_actions_that_nobody_knows_is_asked_for(actions: VenvSession) -> None:
    with pytest.raises(UserError, match="'ts_u' needs the values of 'u' before the first step"):
        actions.rollout({"x": [[20.0]]}, horizon=3)


def test_where_the_actuator_stands_is_held(actions: VenvSession) -> None:
    held = actions.rollout({"x": [[20.0]], "u": [[4.0]]}, horizon=3)
    told = actions.rollout({"x": [[20.0]], "ts_u": [[4.0, 4.0]]}, horizon=3)
    np.testing.assert_allclose(held["x"], told["x"], atol=1e-4)
    recorded = actions.rollout({"x": [[20.0]], "u": [[4.0]]}, {"u": np.full((3, 1, 1), 9.0)})
    np.testing.assert_allclose(recorded["x"][:, 0, 0], [20, 24, 28], atol=1e-4)


def test_a_history_of_another_width_is_refused(states: VenvSession) -> None:
    with pytest.raises(UserError, match=r"node 'ts_x': has shape \(1, 2\), not \(B, 3\)"):
        states.rollout({"x": [[20.0]], "ts_x": [[1.0, 2.0]]}, horizon=3)


def test_a_step_takes_the_present_value_for_a_history_that_is_not_given(states: VenvSession) -> None:
    step = states.step({"x": [20.0]})
    np.testing.assert_allclose(step["u"], [20.0], atol=1e-4)
    np.testing.assert_allclose(step["next_x"], [21.0], atol=1e-4)


def test_a_step_takes_a_history_that_is_given(states: VenvSession) -> None:
    step = states.step({"x": [20.0], "ts_x": [7.0, 13.0, 20.0]})
    np.testing.assert_allclose(step["u"], [7.0], atol=1e-4)


def test_a_step_takes_a_history_of_actions(actions: VenvSession) -> None:
    step = actions.step({"x": [20.0], "ts_u": [4.0, 6.0]})
    np.testing.assert_allclose(step["next_x"], [24.0], atol=1e-4)
    np.testing.assert_allclose(step["u"], [1.0], atol=1e-4)


# -- policies ----------------------------------------------------------------------------------


@pytest.fixture
def braking() -> PolicySession:
    """u = 3 - 4 (x - former x)."""
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    seeing = graph.with_inputs("u", ["x"], history=2)
    codec = Codec.empty(seeing)
    codec.nodes["x"] = scaled(graph.columns("x"), [10.0], [2.0])
    codec.nodes["u"] = scaled(graph.columns("u"), [3.0], [5.0])
    edge = torch.tensor([100.0])
    policy = Policy(seeing, codec, "u", NetworkSpec(hidden=(4,)), 1, -edge, edge)
    with torch.no_grad():
        policy.net.last.zero_()
    gain = 4.0 * 2.0 / 5.0
    policy.net.put_linear(torch.tensor([[[gain], [-gain]]]), torch.zeros(1, 1, 1))
    return PolicySession(policy)


def test_a_policy_asks_for_its_history(braking: PolicySession) -> None:
    assert braking.inputs == ("ts2_x",)
    np.testing.assert_allclose(braking.act({"ts2_x": [12.0, 13.0]})["u"], [-1.0], atol=1e-3)
    with pytest.raises(UserError, match=r"what was before \(ts2_x\)(.|\n)*policy.start\(\)"):
        braking.act({"x": [13.0]})


def test_a_started_policy_remembers_by_itself(braking: PolicySession) -> None:
    act = braking.start()
    seen = [np.array([[x], [2 * x]]) for x in (12.0, 13.0, 13.5, 20.0)]
    decided = [act({"x": x})["u"] for x in seen]
    np.testing.assert_allclose(np.stack(decided)[:, 0, 0], [3.0, -1.0, 1.0, -23.0], atol=1e-2)
    np.testing.assert_allclose(np.stack(decided)[:, 1, 0], [3.0, -5.0, -1.0, -49.0], atol=1e-2)
    other = braking.start()  # of another run: it knows nothing of the first
    np.testing.assert_allclose(other({"x": seen[3]})["u"], [[3.0], [3.0]], atol=1e-3)


def test_a_started_policy_that_is_shown_too_little_says_so(braking: PolicySession) -> None:
    with pytest.raises(UserError, match="node 'x' is missing"):
        braking.start()({"y": np.zeros((1, 1))})


def test_a_policy_that_looks_back_acts_in_a_venv_that_does_not(braking: PolicySession) -> None:
    """x keeps what the action adds; the scales of the venv are others than the policy's."""
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    venv = VenvSession(hand_set(graph, {"u": ([[0.0]], [0.0]), "next_x": ([[0.0], [0.2]], [0.0])}))
    rolled = venv.rollout({"x": [[15.0]]}, horizon=6, policy=braking)
    x = rolled["x"][:, 0, 0]
    former = np.concatenate([x[:1], x[:-1]])
    np.testing.assert_allclose(rolled["u"][:, 0, 0], 3.0 - 4.0 * (x - former), atol=1e-2)
    np.testing.assert_allclose(rolled["next_x"][:, 0, 0], x + 0.2 * rolled["u"][:, 0, 0], atol=1e-3)
    assert abs(x[-1] - x[0]) > 0.5
