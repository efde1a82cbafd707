"""In physical units x' = x + (u - 5) + wind, and the policy says u = 5 - 0.5 (x - 20)."""

from __future__ import annotations

import numpy as np
import pytest

from revive.deploy.guard import GuardedPolicy
from revive.deploy.policy_session import PolicySession
from revive.deploy.venv_session import VenvSession
from revive.errors import UserError


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
