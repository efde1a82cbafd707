"""In physical units x' = x + (u - 5) + wind, and the policy says u = 5 - 0.5 (x - 20)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from revive.deploy.guard import GuardedPolicy
from revive.deploy.policy_session import PolicySession
from revive.deploy.venv_session import VenvSession
from revive.errors import UserError
from revive.graph.columns import Column
from revive.policy.policy import Policy
from revive.venv.joint import JointEnv
from revive.venv.node_model import NetworkSpec
from tests.policy.toys import CATEGORY, LEVELS, chooser, pair


def seen(*x: float) -> dict[str, np.ndarray]:
    return {"x": np.array(x).reshape(-1, 1), "wind": np.zeros((len(x), 1))}


def test_an_action_that_the_venv_allows_is_left_alone(
    policy_session: PolicySession, venv_session: VenvSession
) -> None:
    guard = GuardedPolicy(policy_session, venv_session, ["next_x > 0"])
    np.testing.assert_allclose(guard.act(seen(10.0, 30.0))["u"], policy_session.act(seen(10.0, 30.0))["u"])
    assert (guard.steps, guard.interventions) == (2, 0)
    assert guard.act({"x": [10.0], "wind": [0.0]})["u"].shape == (1,)


def test_one_that_it_does_not_is_moved_no_farther_than_needed(
    policy_session: PolicySession, venv_session: VenvSession
) -> None:
    guard = GuardedPolicy(policy_session, venv_session, ["next_x < 22"])
    action = guard.act(seen(20.0, 30.0))["u"]  # unguarded 5 and 0: the next x would be 20 and 25
    assert action[0, 0] == pytest.approx(5.0, abs=1e-4)
    assert action[1, 0] == pytest.approx(-3.0, abs=0.05)
    assert guard.last is not None
    assert guard.last.moved.tolist() == [False, True]
    assert guard.last.wanted[1, 0] == pytest.approx(0.0, abs=1e-4)
    assert (guard.last.excess <= 0).all()
    assert "acted 1 of 2 times" in repr(guard)


def test_bounds_hold_where_no_action_is_allowed(
    policy_session: PolicySession, venv_session: VenvSession
) -> None:
    guard = GuardedPolicy(policy_session, venv_session, ["next_x < -100"])
    action = guard.act(seen(30.0))["u"]
    assert guard.low[0] - 1e-9 <= action[0, 0] == pytest.approx(guard.low[0], abs=1e-6)
    assert guard.last is not None
    assert guard.last.excess[0, 0] > 0  # and it says so


def test_what_cannot_be_guarded_is_refused(policy_session: PolicySession, venv_session: VenvSession) -> None:
    with pytest.raises(UserError, match="no column 'next_y'"):
        GuardedPolicy(policy_session, venv_session, ["next_y < 1"])
    with pytest.raises(UserError, match="no limit"):
        GuardedPolicy(policy_session, venv_session, [])


def guarded(
    limits: Sequence[str], spread: float = 0.0, edge: float = 2.0, **second: Any
) -> tuple[GuardedPolicy, VenvSession]:
    """x' = 0.8 x + 0.5 a, y' = 0.8 y + 0.5 (a + b), a policy of both that says 0, or what random weights say.

    second: of the column of b; as a category its values 1, 2, 3 push y' by -0.5, 0 and 0.5.
    """
    joint, _, target = pair(**second)
    ordered = joint.codec.layout(target).ordered
    bound = torch.full((ordered,), edge)
    policy = Policy(joint.graph, joint.codec, target, NetworkSpec(hidden=(4,)), 1, -bound, bound)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in policy.net.parameters():
            weight.normal_(0.0, spread) if spread else weight.zero_()
    assert isinstance(joint, JointEnv)
    venv = VenvSession(joint.plain)
    return GuardedPolicy(PolicySession(policy), venv, limits), venv


def at(*y: float) -> dict[str, np.ndarray]:
    return {"x": np.zeros((len(y), 1)), "y": np.array(y)[:, None]}


def test_several_nodes_are_moved_together_and_no_farther_than_needed() -> None:
    guard, venv = guarded(["next_y < -0.5"])
    action = guard.act(at(0.0, -2.0))
    assert {name: value.shape for name, value in action.items()} == {"a": (2, 1), "b": (2, 1)}
    assert guard.last is not None
    assert guard.last.moved.tolist() == [True, False]
    assert float(venv.step({**at(0.0, -2.0), **action})["next_y"].max()) <= -0.5
    assert np.hypot(action["a"][0], action["b"][0]) < 1.1  # the nearest one is at 0.71: -0.5 and -0.5
    assert (action["a"][1], action["b"][1]) == (0.0, 0.0)
    assert guard.act({"x": [0.0], "y": [0.0]})["b"].shape == (1,)
    assert "GuardedPolicy(a, b; " in repr(guard)


def test_a_limit_of_one_node_moves_that_node_alone() -> None:
    guard, _ = guarded(["b < -0.3"])
    action = guard.act(at(0.0))
    assert action["a"][0, 0] == 0.0
    assert action["b"][0, 0] == pytest.approx(-0.3, abs=0.01)


@pytest.mark.parametrize("second", [{}, LEVELS, CATEGORY], ids=["continuous", "discrete", "category"])
@pytest.mark.parametrize("edge", [2.0, 0.7])
def test_no_node_leaves_its_bounds_or_its_choices(edge: float, second: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    seen = {name: rng.normal(scale=3.0, size=(300, 1)) for name in ("x", "y")}
    guard, venv = guarded(["next_x < 0.2", "next_y > -0.1"], spread=1.0, edge=edge, **second)
    action = guard.act(seen)
    assert np.abs(action["a"]).max() <= edge + 1e-6
    if second:
        legal = {1.0, 2.0, 3.0} if second is CATEGORY else {-2.0, 0.0, 2.0}
        assert set(action["b"].ravel()) <= legal
    else:
        assert np.abs(action["b"]).max() <= edge + 1e-6
    assert guard.last is not None
    kept = (guard.last.excess <= 0).all(1)
    assert 0 < kept.sum() < 300  # some cannot be kept by any action
    found = venv.step({name: value[kept] for name, value in {**seen, **action}.items()})
    assert float(found["next_x"].max()) < 0.2 + 1e-5
    assert float(found["next_y"].min()) > -0.1 - 1e-5
    before = venv.step({**seen, **guard.policy.act(seen)})
    fine = (before["next_x"] <= 0.2) & (before["next_y"] >= -0.1)
    assert not guard.last.moved[fine[:, 0]].any()


def test_a_category_is_left_where_the_other_node_can_do_it() -> None:
    guard, _ = guarded(["next_y > 0.4"], **CATEGORY)  # the policy says 1, which pushes y by -0.5
    action = guard.act(at(0.0))
    assert action["b"][0, 0] == 1.0
    assert action["a"][0, 0] == pytest.approx(1.8, abs=0.01)
    guard, _ = guarded(["next_y > 0.6"], **CATEGORY)
    action = guard.act(at(0.0))
    assert action["b"][0, 0] == 3.0
    assert action["a"][0, 0] == pytest.approx(0.2, abs=0.01)


def test_of_choices_alone_the_nearest_allowed_one_is_taken() -> None:
    action = Column("u", "u", "discrete", min=-2.0, max=2.0, num=5)
    venv, _ = chooser(action)
    policy = Policy(venv.graph, venv.codec, "u", NetworkSpec(hidden=(4,)), 1, *2 * [torch.ones(1)])
    with torch.no_grad():
        for weight in policy.net.parameters():
            weight.zero_()
    guard = GuardedPolicy(PolicySession(policy), VenvSession(venv), ["next_x > 0.2"])
    assert guard.act({"x": [0.0]})["u"].tolist() == [1.0]  # x' is 0.25 with 1, and 0.5 with 2
