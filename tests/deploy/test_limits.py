"""Declared limits are hard where values leave the house and where they enter it; frames and rewards beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from revive.data.codec import Codec
from revive.deploy import PolicySession, VenvSession
from revive.deploy.reading import legal
from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.graph.limits import beyond, clipped
from revive.policy.policy import Policy
from revive.venv.node_model import NetworkSpec
from tests.venv.plants import hand_set


def graph() -> DecisionGraph:
    columns = [
        Column("level", "x", "continuous", min=0.0, max=30.0),
        Column("power", "u", "continuous", min=0.0, max=0.1),
    ]
    return DecisionGraph.build(columns, {"u": ["x"], "next_x": ["x", "u"]})


@pytest.fixture
def venv() -> VenvSession:
    """x' = x + 10 u."""
    linear = {"next_x": ([[0.0], [10.0]], [0.0]), "u": ([[0.0]], [0.05])}
    return VenvSession(hand_set(graph(), linear))


@pytest.fixture
def policy() -> PolicySession:
    """u = x, as far as a model whose limits are a little too wide allows."""
    made = Policy(
        graph(), Codec.empty(graph()), "u", NetworkSpec(hidden=(4,)), 1, -torch.ones(1), torch.ones(1)
    )
    with torch.no_grad():
        made.net.last.zero_()
    made.net.put_linear(torch.ones(1, 1, 1), torch.zeros(1, 1, 1))
    return PolicySession(made)


def test_an_action_never_leaves_its_limits(policy: PolicySession) -> None:
    seen = {"x": np.array([[-5.0], [0.05], [30.0]])}
    for action in (policy.act(seen)["u"], policy.start()(seen)["u"]):
        assert action.min() >= 0.0
        assert action.max() <= 0.1
    assert policy.act({"x": [30.0]})["u"] == 0.1


def test_a_step_refuses_what_is_not_legal_or_clips_it_where_told(venv: VenvSession) -> None:
    row = {"x": [[10.0]], "u": [[50.0]]}
    with pytest.raises(UserError, match=r"'power' of 'u' is 50, beyond its max of 0\.1(.|\n)*outside='clip'"):
        venv.step(row)
    np.testing.assert_allclose(venv.step(row, outside="clip")["next_x"], [[11.0]], atol=1e-4)
    with pytest.raises(UserError, match="'level' of 'x' is -3"):
        venv.step({"x": [-3.0], "u": [0.0]})
    with pytest.raises(UserError, match="did you mean 'clip'"):
        venv.step(row, outside="clp")  # type: ignore[arg-type]
    rounded = {"x": [[10.0]], "u": [[0.1 + 5e-8]]}
    np.testing.assert_allclose(venv.step(rounded)["next_x"], [[11.0]], atol=1e-4)


def test_what_is_no_category_and_no_level_is_refused_or_the_nearest_is_taken() -> None:
    columns = (
        Column("door", "d", "category", values=(0.0, 2.0)),
        Column("gear", "d", "discrete", min=1.0, max=3.0, num=3),
        Column("angle", "d", "continuous", min=0.0, max=360.0, scale="cyclic"),
    )
    legal = np.array([[0.0, 1.0, -20.0], [2.0, 3.0 + 1e-5, 400.0]])
    assert list(beyond("d", columns, legal)) == []
    first, second = beyond("d", columns, np.array([[0.0, 1.0, 0.0], [3.0, 1.5, 0.0]]))
    assert first.what == "'door' of 'd' is 3, none of its values 0, 2"
    assert second.what == "'gear' of 'd' is 1.5, none of its values 1, 2, 3"
    assert clipped(columns, np.array([[3.0, 7.0, 400.0]])).tolist() == [[2.0, 3.0, 400.0]]


def test_histories_have_the_limits_of_their_source() -> None:
    described = {name: {"dim": name, "type": "continuous", "min": 0, "max": 30} for name in ("x", "u")}
    columns = [{name: described[name]} for name in described]
    metadata = {"columns": columns, "nodes": {"x": {"ts": 2}}, "graph": {"u": ["ts_x"], "next_x": ["x", "u"]}}
    graph = parse_description({"metadata": metadata}, "test")
    with pytest.raises(UserError, match="'x' of 'ts_x' is 31"):
        legal({"ts_x": np.array([[31.0, 2.0]])}, graph, "refuse")
    assert legal({"ts_x": np.array([[31.0, 2.0]])}, graph, "clip")["ts_x"].tolist() == [[30.0, 2.0]]


def test_a_rollout_stays_within_the_limits(venv: VenvSession) -> None:
    rolled = venv.rollout({"x": [[29.5]]}, {"u": np.full((5, 1, 1), 0.1)})
    assert rolled["next_x"].max() <= 30.0
    with pytest.raises(UserError, match="beyond its min"):
        venv.rollout({"x": [[29.5]]}, {"u": np.full((5, 1, 1), -0.1)})


def test_a_rollout_is_paid_beside_the_nodes(venv: VenvSession, tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text("def get_reward(data):\n    return -abs(data['next_x'][..., 0:1] - 11.0)\n")
    given = {"u": np.full((3, 2, 1), 0.1)}
    rolled = venv.rollout({"x": [[10.0], [12.0]]}, given, reward=file)
    np.testing.assert_allclose(rolled["reward"][..., 0], [[0, -2], [-1, -3], [-2, -4]], atol=1e-4)
    own = venv.rollout({"x": [[10.0], [12.0]]}, given, reward=lambda data: -data["u"])
    np.testing.assert_allclose(own["reward"], -given["u"], atol=1e-6)


def test_frames_are_taken_by_the_names_of_their_columns(venv: VenvSession, policy: PolicySession) -> None:
    frame = pd.DataFrame({"other": ["a", "b"], "level": [0.05, 10.0], "power": [0.1, 0.0]})
    np.testing.assert_allclose(policy.act(frame)["power"], [0.05, 0.1], atol=1e-3)
    after = venv.step(frame)
    np.testing.assert_allclose(after["next_level"], [1.05, 10.0], atol=1e-4)
    with pytest.raises(UserError, match="the frame has no column 'level' of the node 'x'"):
        policy.act(frame[["power"]])


def test_a_controller_takes_frames_and_lone_rows_and_says_what_is_missing(policy: PolicySession) -> None:
    control = policy.start()
    answer = control(pd.DataFrame({"level": [0.05, 10.0]}))
    np.testing.assert_allclose(answer["power"], [0.05, 0.1], atol=1e-3)
    assert policy.start()({"x": [0.05]})["u"].shape == (1,)
    with pytest.raises(
        UserError, match=r"the frame has no column 'level' of the node 'x'(.|\n)*did you mean 'levl'"
    ):
        control(pd.DataFrame({"levl": [0.05, 10.0]}))
    with pytest.raises(UserError, match="not finite"):
        policy.start()({"x": [[np.nan]]})


def test_a_frame_holds_the_steps_of_a_rollout(venv: VenvSession, policy: PolicySession) -> None:
    logs = pd.DataFrame({"power": [0.1, 0.0, 0.1], "level": [1.0, 2.0, 3.0]})
    rolled = venv.rollout(logs[["level"]][:1], logs)
    np.testing.assert_allclose(rolled["next_level"], [2.0, 2.0, 3.0], atol=1e-4)
    decided = venv.rollout(
        logs[["level"]][:1], logs, 2, policy
    )  # what was logged of its action is not asked for
    np.testing.assert_allclose(decided["power"], [0.1, 0.1], atol=1e-3)
    arrays = venv.rollout({"x": [[1.0]]}, logs)  # a frame of what is given alone changes nothing
    np.testing.assert_allclose(arrays["next_x"][:, 0, 0], [2.0, 2.0, 3.0], atol=1e-4)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_same_kind_comes_out_as_goes_in(library: str, venv: VenvSession, policy: PolicySession) -> None:
    frames = pytest.importorskip(library)
    seen = frames.DataFrame({"level": [0.05, 10.0]})
    assert type(policy.act(seen)) is frames.DataFrame
    assert list(policy.act(seen).columns) == ["power"]
    step = venv.step(frames.DataFrame({"level": [0.05, 10.0], "power": [0.1, 0.0]}))
    assert (type(step), list(step.columns)) == (frames.DataFrame, ["power", "next_level"])
    rolled = venv.rollout(seen, horizon=3, policy=policy, reward=lambda data: data["x"])
    assert list(rolled.columns) == ["branch", "step", "level", "power", "next_level", "reward"]
    arrays = venv.rollout({"x": [[0.05], [10.0]]}, horizon=3, policy=policy)
    assert list(rolled["branch"]) == [0, 0, 0, 1, 1, 1]
    assert list(rolled["step"]) == [0, 1, 2] * 2
    np.testing.assert_allclose(rolled["next_level"], arrays["next_x"][..., 0].T.reshape(-1))
    np.testing.assert_allclose(rolled["reward"], rolled["level"], rtol=1e-5)


def test_the_branches_of_a_frame_keep_their_names(venv: VenvSession, policy: PolicySession) -> None:
    named = pd.DataFrame({"level": [0.05, 10.0]}, index=["north", "south"])
    assert list(policy.act(named).index) == ["north", "south"]
    rolled = venv.rollout(named, horizon=2, policy=policy, nodes=["next_x"])
    assert list(rolled["branch"]) == ["north", "north", "south", "south"]
    assert list(rolled.columns) == ["branch", "step", "next_level"]
