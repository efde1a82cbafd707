from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from revive.deploy import PolicySession, VenvSession
from revive.errors import UserError
from revive.policy.policy import Policy
from revive.venv.modes import MODES
from tests.venv.plants import scaled

# -- policies ----------------------------------------------------------------------------------


def test_a_policy_acts_in_physical_units(policy_session: PolicySession) -> None:
    action = policy_session.act({"x": np.array([[20.0], [24.0], [16.0]])})
    assert action.keys() == {"u"}
    assert action["u"].dtype == np.float64
    np.testing.assert_allclose(action["u"], [[5.0], [3.0], [7.0]], atol=1e-3)


def test_a_lone_row_is_answered_by_a_lone_row(policy_session: PolicySession) -> None:
    assert policy_session.act({"x": [24.0]})["u"].shape == (1,)
    assert policy_session.act({"x": [[24.0]]})["u"].shape == (1, 1)
    np.testing.assert_allclose(policy_session.act({"x": [24.0]})["u"], [3.0], atol=1e-3)


def test_nodes_that_a_policy_does_not_see_are_ignored(policy_session: PolicySession) -> None:
    alone = policy_session.act({"x": [24.0]})["u"]
    np.testing.assert_array_equal(policy_session.act({"x": [24.0], "wind": ["?", 1, 2]})["u"], alone)


def test_exploring_differs_stays_in_bounds_and_is_of_the_stated_size(policy_session: PolicySession) -> None:
    x = np.full((4000, 1), 20.0)
    first, second = (policy_session.act({"x": x}, deterministic=False)["u"] for _ in range(2))
    assert not np.allclose(first, second)
    assert first.std() == pytest.approx(0.3 * 2.0, rel=0.1)
    far = policy_session.act({"x": np.linspace(-500, 500, 400)[:, None]}, deterministic=False)["u"]
    assert far.min() >= 5.0 - 20.0 - 1e-3
    assert far.max() <= 5.0 + 20.0 + 1e-3
    assert far.max() - far.min() > 35


def test_a_deterministic_action_is_always_the_same(policy_session: PolicySession) -> None:
    first = policy_session.act({"x": [[21.0]]})["u"]
    policy_session.act({"x": [[21.0]]}, deterministic=False)
    np.testing.assert_array_equal(policy_session.act({"x": [[21.0]]})["u"], first)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({}, "node 'x' is missing"),
        ({"y": [1.0]}, "node 'x' is missing"),
        ({"X": [1.0]}, "needed: x|did you mean it by 'X'"),
        ({"x": [[1.0, 2.0]]}, r"node 'x': has shape \(1, 2\), not \(B, 1\)"),
        ({"x": [1.0, 2.0]}, r"has shape \(2,\), not \(B, 1\)"),
        ({"x": 3.0}, r"has shape \(\), not \(B, 1\)"),
        ({"x": [[[1.0]]]}, r"has shape \(1, 1, 1\), not \(B, 1\)"),
        ({"x": [[float("nan")]]}, "node 'x': holds values that are not finite"),
        ({"x": [[float("inf")]]}, "node 'x': holds values that are not finite"),
        ({"x": [["warm"]]}, "node 'x': holds values that are no numbers"),
        ({"x": None}, "node 'x': "),
    ],
)
def test_what_a_policy_cannot_act_on_is_explained(
    policy_session: PolicySession, seen: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        policy_session.act(seen)


# -- one step of a venv ------------------------------------------------------------------------


def test_a_step_is_the_members_mean_in_physical_units(venv_session: VenvSession) -> None:
    step = venv_session.step({"x": [[18.0], [24.0]], "wind": [[0.5], [-1.0]]})
    np.testing.assert_allclose(step["u"], [[3.0], [9.0]], atol=1e-4)
    np.testing.assert_allclose(step["next_x"], [[16.5], [27.0]], atol=1e-4)


def test_a_step_of_a_lone_row(venv_session: VenvSession) -> None:
    step = venv_session.step({"x": [18.0], "wind": [0.5]})
    assert step["next_x"].shape == step["u"].shape == (1,)
    np.testing.assert_allclose(step["next_x"], [16.5], atol=1e-4)


def test_a_decision_that_is_given_is_honoured(venv_session: VenvSession) -> None:
    step = venv_session.step({"x": [18.0], "wind": [0.0], "u": [7.0]})
    np.testing.assert_allclose(step["u"], [7.0], atol=1e-4)
    np.testing.assert_allclose(step["next_x"], [20.0], atol=1e-4)


def test_a_sampled_step_is_one_members_answer_with_noise(venv_session: VenvSession) -> None:
    rows = {"x": np.full((4000, 1), 20.0), "wind": np.zeros((4000, 1)), "u": np.full((4000, 1), 5.0)}
    sampled = venv_session.step(rows, deterministic=False, seed=1)["next_x"]
    high = sampled[:, 0] > 20.0
    assert high.mean() == pytest.approx(0.5, abs=0.05)
    assert sampled[high].mean() == pytest.approx(22.0, abs=0.05)
    assert sampled[~high].mean() == pytest.approx(18.0, abs=0.05)
    assert sampled[high].std() == pytest.approx(0.05 * 4.0, rel=0.1)


def test_a_seed_repeats_a_sample(venv_session: VenvSession) -> None:
    rows = {"x": np.full((8, 1), 20.0), "wind": np.zeros((8, 1))}
    one, same, other, free = (
        venv_session.step(rows, deterministic=False, seed=seed)["next_x"] for seed in (1, 1, 2, None)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert not np.allclose(one, free)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"wind": None}, "node 'wind' is missing"),
        ({"wind": [[1.0], [2.0], [3.0]]}, "differ in their number of rows: x 2, wind 3"),
        ({"x": [[np.nan], [1.0]]}, "node 'x': holds values that are not finite"),
        ({"u": [[1.0, 2.0], [1.0, 2.0]]}, "node 'u': has shape"),
    ],
)
def test_what_cannot_be_stepped_is_explained(
    venv_session: VenvSession, changed: dict[str, Any], said: str
) -> None:
    rows: dict[str, Any] = {"x": [[18.0], [24.0]], "wind": [[0.0], [0.0]], **changed}
    with pytest.raises(UserError, match=said):
        venv_session.step({name: value for name, value in rows.items() if value is not None})


def test_everything_that_is_wrong_is_said_at_once(venv_session: VenvSession) -> None:
    with pytest.raises(UserError) as caught:
        venv_session.step({"x": [[np.nan]]})
    assert len(caught.value.problems) == 2


# -- rollouts ----------------------------------------------------------------------------------

START = {"x": np.array([[20.0], [21.0], [22.0]])}


def still(steps: int, rows: int = 3) -> dict[str, Any]:
    return {"wind": np.zeros((steps, rows, 1))}


def test_a_rollout_returns_every_node_over_time(venv_session: VenvSession) -> None:
    rolled = venv_session.rollout(START, still(6))
    assert rolled.keys() == {"x", "wind", "u", "next_x"}
    assert all(value.shape == (6, 3, 1) for value in rolled.values())
    np.testing.assert_allclose(rolled["x"][0], START["x"], atol=1e-4)
    np.testing.assert_allclose(rolled["x"][1:], rolled["next_x"][:-1], atol=1e-4)


def test_a_horizon_cuts_what_is_given(venv_session: VenvSession) -> None:
    long, short = venv_session.rollout(START, still(9)), venv_session.rollout(START, still(9), horizon=4)
    np.testing.assert_allclose(short["next_x"], long["next_x"][:4])


def test_recorded_decisions_are_replayed(venv_session: VenvSession) -> None:
    actions = np.random.default_rng(0).uniform(4, 6, (5, 3, 1))
    rolled = venv_session.rollout(START, {**still(5), "u": actions})
    np.testing.assert_allclose(rolled["u"], actions, atol=1e-4)
    np.testing.assert_allclose(rolled["next_x"], START["x"] + (actions - 5.0).cumsum(0), atol=1e-3)


def test_a_policy_takes_the_place_of_the_behaviour(
    venv_session: VenvSession, policy_session: PolicySession
) -> None:
    rolled = venv_session.rollout(START, still(12), policy=policy_session)
    np.testing.assert_allclose(rolled["u"], 5.0 - 0.5 * (rolled["x"] - 20.0), atol=1e-2)
    assert (abs(rolled["x"][-1] - 20.0) < 0.1).all()
    assert (abs(venv_session.rollout(START, still(12))["x"][-1, 1:] - 20.0) > 1000).all()


def test_a_sampled_rollout_follows_one_member_and_repeats_with_its_seed(venv_session: VenvSession) -> None:
    given = {**still(10), "u": np.full((10, 3, 1), 5.0)}
    one, same, other = (
        venv_session.rollout(START, given, deterministic=False, seed=seed)["next_x"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    drift = abs(one[-1] - START["x"])
    np.testing.assert_allclose(drift, 20.0, atol=3.0)  # ten steps of 2, all in one direction


@pytest.mark.parametrize(
    ("start", "given", "horizon", "said"),
    [
        (START, {}, 3, "node 'wind' is missing"),
        ({}, still(3), 3, "node 'x' is missing"),
        (START, still(3), 4, r"given\['wind'\]: has 3 steps, 4 are needed"),
        (START, {"wind": np.zeros((3, 1))}, None, r"has shape \(3, 1\), not \(T, B, 1\)"),
        (START, {**still(3), "u": np.full((3, 3, 1), np.nan)}, None, "not finite"),
        (START, {**still(5), "u": np.zeros((3, 3, 1))}, None, r"given\['u'\]: has 3 steps, 5 are needed"),
    ],
)
def test_what_cannot_be_rolled_out_is_explained(
    venv_session: VenvSession, start: dict[str, Any], given: dict[str, Any], horizon: int | None, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        venv_session.rollout(start, given, horizon)


def test_start_and_given_must_have_the_same_rows(venv_session: VenvSession) -> None:
    with pytest.raises(UserError, match=r"given\['wind'\]: has 2 branches, the start has 3"):
        venv_session.rollout(START, still(4, rows=2))


@pytest.mark.parametrize("horizon", [0, -2])
def test_a_horizon_without_steps_is_refused(venv_session: VenvSession, horizon: int) -> None:
    with pytest.raises(UserError, match="horizon"):
        venv_session.rollout(START, still(4), horizon)


def test_a_policy_of_another_run_acts_in_its_own_units(venv_session: VenvSession, policy: Policy) -> None:
    codec = policy.codec
    codec.nodes["x"] = scaled(policy.graph.columns("x"), [10.0], [1.0])
    stranger = PolicySession(policy)
    rolled = venv_session.rollout(START, still(1), policy=stranger)
    np.testing.assert_allclose(rolled["u"][0], stranger.act(START)["u"], atol=1e-3)


def test_a_step_returns_what_it_computed(venv_session: VenvSession) -> None:
    assert venv_session.step({"x": [18.0], "wind": [0.5]}).keys() == {"u", "next_x"}


def test_rollout_modes_say_who_answers_and_what_is_drawn(venv_session: VenvSession) -> None:
    given = {"wind": np.zeros((20, 3, 1)), "u": np.full((20, 3, 1), 5.0)}
    start = {"x": np.full((3, 1), 20.0)}
    mean = venv_session.rollout(start, given, mode="mean")["next_x"]
    assert mean[-1, 0, 0] == pytest.approx(20.0)  # two members add 2 at every step, two take it away
    drawn = {mode: venv_session.rollout(start, given, mode=mode, seed=1)["next_x"] for mode in MODES}
    assert np.ptp(drawn["sample"][-1]) < 6.0  # noise alone
    assert np.abs(drawn["member"][-1] - 20.0).min() > 30.0  # one member all along, 40 off
    assert np.abs(drawn["mixture"][-1] - 20.0).max() < 38.0
    with pytest.raises(UserError, match="no rollout mode 'median'"):
        venv_session.rollout(start, given, mode="median")
