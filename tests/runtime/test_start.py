"""Where the actuator stands when a policy takes over: told, tracked, or assumed and said so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from revive import runtime
from revive.deploy import PolicySession, load_policy, save_policy
from revive.errors import UserError
from tests.runtime.plants import policy_of
from tests.runtime.test_policy import observations

Acting = runtime.Policy | PolicySession


@pytest.fixture(params=["numpy", "torch"])
def acting(request: pytest.FixtureRequest, tmp_path: Path) -> Acting:
    """A policy that sees three x, the last two u and the number of the step."""
    save_policy(policy_of("history"), tmp_path / "history", {})
    load = runtime.load_policy if request.param == "numpy" else load_policy
    return load(tmp_path / "history")


def full(x: np.ndarray, past_x: np.ndarray, past_u: np.ndarray, step: float = 0.0) -> dict[str, np.ndarray]:
    """What `act` is to be given: (B, 2), (T, B, 2) and (T, B, 1), the oldest first."""
    return {
        "ts_x": np.hstack([*past_x[-2:], x]),
        "ts_u": np.hstack([*past_u[-2:]]),
        "step_node_": np.full((len(x), 1), step),
    }


def seen(plants: int, step: int) -> np.ndarray:
    return observations("plain", plants, seed=step)["x"]


def test_the_position_of_the_actuator_stands_for_what_was_done_before(acting: Acting) -> None:
    x = seen(3, 0)
    wanted = acting.act(full(x, np.stack([x, x]), np.full((2, 3, 1), 8.0)))["u"]
    for before in ({"u": 8.0}, {"u": [8.0]}, {"u": [[8.0]] * 3}, {"u": [[[8.0]] * 3] * 5}):
        session = acting.session(3, before=before)
        np.testing.assert_allclose(session.act({"x": x})["u"], wanted, atol=1e-6)
        assert session.assumed == {"x": "the first value seen stands for what was before the first step"}
    assert not np.allclose(acting.session(3).act({"x": x})["u"], wanted, atol=1e-3)


def test_rows_of_the_past_are_what_the_policy_remembers(acting: Acting) -> None:
    past_x, past_u, x = seen(4, 1)[:, None], np.array([[[1.0]], [[2.0]], [[3.0]], [[9.0]]]), seen(1, 2)
    wanted = acting.act(full(x, past_x, past_u))["u"]
    logged = pd.DataFrame({"level": past_x[:, 0, 0], "flow": past_x[:, 0, 1], "valve": past_u[:, 0, 0]})
    for before in ({"x": past_x, "u": past_u}, {"x": past_x[:, 0], "u": past_u[:, 0].tolist()}, logged):
        session = acting.session(before=before)
        assert session.assumed == {}
        np.testing.assert_allclose(session.act({"x": x})["u"], wanted, atol=1e-6)
    short = acting.session(before={"x": past_x[-1:], "u": past_u[-1:]}).act({"x": x})["u"]
    held = acting.act(full(x, np.stack([past_x[-1]] * 2), np.stack([past_u[-1]] * 2)))["u"]
    np.testing.assert_allclose(short, held, atol=1e-6)


def test_a_session_says_what_it_assumes(acting: Acting) -> None:
    session = acting.session(4)
    assert session.assumed["x"] == "the first value seen stands for what was before the first step"
    assert session.assumed["u"].startswith("the middle of the logged values (valve ")
    session.act({"x": seen(4, 0)})
    assert "u" in session.assumed
    session.reset([1, 2], before={"u": [4.0], "x": seen(2, 3)})
    assert session.assumed["u"].endswith("stands for what was before the first step, in 2 of 4 plants")
    session.reset(before={"u": [4.0]})
    assert [*session.assumed] == ["x"]


def test_plants_that_begin_anew_are_told_alone(acting: Acting) -> None:
    session, fresh = acting.session(3), acting.session(2, before={"u": [[1.0], [9.0]]})
    for step in range(3):
        session.act({"x": seen(3, step)})
    session.reset([2, 0], before={"u": [[1.0], [9.0]]})
    x = seen(3, 7)
    after, wanted = session.act({"x": x})["u"], fresh.act({"x": x[[2, 0]]})["u"]
    np.testing.assert_allclose(after[[2, 0]], wanted, atol=1e-6)


def test_what_an_operator_does_is_tracked(acting: Acting) -> None:
    xs, us = np.stack([seen(2, step) for step in range(4)]), np.arange(8.0).reshape(4, 2, 1)
    session = acting.session(2)
    for x, u in zip(xs[:3], us[:3], strict=True):
        session.track({"x": x}, {"u": u})
    assert [*session.assumed] == ["x"]
    wanted = acting.act(full(xs[3], xs[:3], us[:3], step=3.0))["u"]
    np.testing.assert_allclose(session.act({"x": xs[3]})["u"], wanted, atol=1e-6)
    once = acting.session(2)
    once.track({"x": xs[0]}, {"u": us[0]})
    held = acting.act(full(xs[1], np.stack([xs[0]] * 2), np.stack([us[0]] * 2), step=1.0))["u"]
    np.testing.assert_allclose(once.act({"x": xs[1]})["u"], held, atol=1e-6)


def test_a_step_that_was_refused_leaves_no_trace(acting: Acting) -> None:
    session, x = acting.session(1), seen(1, 0)
    with pytest.raises(UserError):
        session.act({"x": [[np.nan, 1.0]]})
    with pytest.raises(UserError):
        session.act({"y": [[1.0, 1.0]]})
    np.testing.assert_array_equal(session.act({"x": x})["u"], acting.session(1).act({"x": x})["u"])


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ({"valve": 3.0}, "before: there is no node 'valve'"),
        ({"u": [1.0, 2.0]}, r"before\['u'\]: has shape \(2,\), not \(1,\), \(3, 1\) or \(T, 3, 1\)"),
        ({"u": [[1.0]] * 2}, "has shape"),
        ({"u": ["open"]}, "no numbers"),
        ({"u": [np.nan]}, "not finite"),
        ({"x": np.zeros((0, 3, 2))}, "has shape"),
    ],
)
def test_a_past_that_cannot_be_is_refused(acting: Acting, before: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        acting.session(3, before=before)


def test_rows_that_there_are_not_cannot_begin_anew(acting: Acting) -> None:
    with pytest.raises(UserError, match="there are only plants 0 to 2"):
        acting.session(3).reset([3])


def test_a_policy_without_a_memory_takes_it_and_assumes_nothing(tmp_path: Path) -> None:
    save_policy(policy_of("plain"), tmp_path / "plain", {})
    session = runtime.load_policy(tmp_path / "plain").session(before={"u": [3.0]})
    assert session.assumed == {}
    assert session.act({"x": [5.0, 5.0]})["u"].shape == (1,)


def test_a_started_policy_is_told_before_it_knows_how_many_plants_there_are(tmp_path: Path) -> None:
    save_policy(policy_of("history"), tmp_path / "history", {})
    policy = load_policy(tmp_path / "history")
    x = seen(5, 0)
    started, session = policy.start(before={"u": [8.0]}), policy.session(5, before={"u": [8.0]})
    np.testing.assert_array_equal(started({"x": x})["u"], session({"x": x})["u"])
    assert started.plants == 5
    lone = policy.start(before={"u": [8.0]})
    assert lone({"x": x[0]})["u"].shape == (1,)
