"""REVIVE's verbs, and the same kind out as in: arrays, tensors with gradients, frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from revive.deploy import PolicySession, VenvSession
from revive.errors import UserError
from tests.made_runs import EXPERIMENTS, made_run

ROWS = {"x": np.array([[18.0], [24.0]]), "wind": np.array([[0.5], [-1.0]])}


# -- policies ----------------------------------------------------------------------------------


def test_infer_returns_the_action_alone(policy_session: PolicySession) -> None:
    np.testing.assert_allclose(policy_session.infer({"x": [[20.0], [24.0]]}), [[5.0], [3.0]], atol=1e-3)
    assert policy_session.infer({"x": [24.0]}).shape == (1,)
    policy_session.post_process = lambda state, action: action + state["x"]
    np.testing.assert_allclose(policy_session.infer({"x": np.array([24.0])}), [27.0], atol=1e-3)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_is_answered_by_a_frame(
    library: str, policy_session: PolicySession, venv_session: VenvSession
) -> None:
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({"x0": [18.0, 24.0], "wind0": [0.5, -1.0]})
    action = policy_session.infer(frame)
    assert type(action) is frames.DataFrame
    np.testing.assert_allclose(action["u0"].to_numpy(), [6.0, 3.0], atol=1e-3)
    step = venv_session.infer_one_step(frame)
    assert type(step) is frames.DataFrame
    assert list(step.columns) == ["x0", "wind0", "u0", "next_x0"]
    np.testing.assert_allclose(step["next_x0"].to_numpy(), [16.5, 27.0], atol=1e-4)
    assert venv_session.node_infer("u", frame)["u0"].to_numpy()[0] == pytest.approx(3.0, abs=1e-4)


def test_a_frame_keeps_its_index(venv_session: VenvSession) -> None:
    frame = pd.DataFrame({"x0": [18.0], "wind0": [0.5]}, index=["pump 7"])
    assert list(venv_session.infer_one_step(frame).index) == ["pump 7"]


def test_tensors_carry_gradients_through_policy_and_venv(
    policy_session: PolicySession, venv_session: VenvSession
) -> None:
    x = torch.tensor([[18.0], [24.0]], requires_grad=True)
    action = policy_session.act({"x": x})["u"]
    assert action.dtype == torch.float32
    (slope,) = torch.autograd.grad(action.sum(), x)
    np.testing.assert_allclose(slope, [[-0.5], [-0.5]], atol=1e-3)
    following = venv_session.step({"x": x, "wind": torch.zeros(2, 1), "u": 5.0 + 0.0 * x})["next_x"]
    (slope,) = torch.autograd.grad(following.sum(), x)
    np.testing.assert_allclose(slope, [[1.0], [1.0]], atol=1e-4)
    rolled = venv_session.rollout({"x": x}, {"wind": torch.zeros(4, 2, 1)}, policy=policy_session)
    (slope,) = torch.autograd.grad(rolled["next_x"][-1].sum(), x)
    np.testing.assert_allclose(slope, [[0.5**4], [0.5**4]], atol=2e-2)
    with torch.no_grad():
        assert not policy_session.act({"x": x})["u"].requires_grad


# -- one step ----------------------------------------------------------------------------------


def test_one_step_returns_the_state_and_all_that_is_computed(venv_session: VenvSession) -> None:
    step = venv_session.infer_one_step(ROWS)
    assert list(step) == ["x", "wind", "u", "next_x"]
    np.testing.assert_allclose(step["next_x"], [[16.5], [27.0]], atol=1e-4)


def test_what_is_in_the_state_is_not_computed(venv_session: VenvSession) -> None:
    forced = venv_session.infer_one_step({**ROWS, "u": [[7.0], [5.0]]})
    np.testing.assert_allclose(forced["next_x"], [[20.5], [23.0]], atol=1e-4)
    following = venv_session.infer_one_step({**ROWS, "next_x": [[1.0], [2.0]]})
    np.testing.assert_array_equal(following["next_x"], [[1.0], [2.0]])


def test_draws_go_on_from_call_to_call_until_they_are_reset(venv_session: VenvSession) -> None:
    first, second = (venv_session.infer_one_step(ROWS, deterministic=False)["next_x"] for _ in range(2))
    assert not np.allclose(first, second)
    venv_session.reset()
    np.testing.assert_array_equal(venv_session.infer_one_step(ROWS, deterministic=False)["next_x"], first)


# -- many steps --------------------------------------------------------------------------------


def test_k_steps_carry_the_state(venv_session: VenvSession) -> None:
    states = [{**ROWS, "u": np.full((2, 1), 6.0)} for _ in range(3)]
    steps = venv_session.infer_k_steps(states)
    assert len(steps) == 3
    np.testing.assert_allclose([s["x"][0, 0] for s in steps], [18.0, 19.5, 21.0], atol=1e-4)
    np.testing.assert_allclose(steps[2]["next_x"], [[22.5], [24.0]], atol=1e-4)
    assert len(venv_session.infer_k_steps(states, 2)) == 2
    frames = venv_session.infer_k_steps([pd.DataFrame({"x0": [18.0], "wind0": [0.0], "u0": [6.0]})] * 2)
    assert frames[1]["x0"][0] == pytest.approx(19.0, abs=1e-4)


def test_k_steps_ask_for_what_no_graph_computes(venv_session: VenvSession) -> None:
    with pytest.raises(
        UserError, match=r"'wind' has to be given in each of the 4 steps(.|\n)*a list with a dict"
    ):
        venv_session.infer_k_steps(ROWS, 4)
    with pytest.raises(UserError, match="1 states are given for 2 steps"):
        venv_session.infer_k_steps([ROWS], 2)


def test_a_rollout_records_only_what_is_asked_for(venv_session: VenvSession) -> None:
    given = {"wind": np.zeros((5, 3, 1))}
    start = {"x": np.full((3, 1), 20.0)}
    whole = venv_session.rollout(start, given)
    some = venv_session.rollout(start, given, nodes=["next_x"], reward=lambda data: -data["u"])
    assert some.keys() == {"next_x", "reward"}
    np.testing.assert_array_equal(some["next_x"], whole["next_x"])
    np.testing.assert_allclose(some["reward"], -whole["u"], atol=1e-5)
    with pytest.raises(UserError, match=r"there is no node 'nxt_x'(.|\n)*next_x"):
        venv_session.rollout(start, given, nodes=["nxt_x"])


# -- single nodes ------------------------------------------------------------------------------


def test_a_node_needs_only_what_it_follows_from(venv_session: VenvSession) -> None:
    np.testing.assert_allclose(venv_session.node_infer("u", {"x": [18.0]}), [3.0], atol=1e-4)
    alone = venv_session.node_infer("next_x", {**ROWS, "u": [[7.0], [5.0]]})
    np.testing.assert_allclose(alone, [[20.5], [23.0]], atol=1e-4)
    np.testing.assert_allclose(venv_session.node_infer("next_x", ROWS), [[16.5], [27.0]], atol=1e-4)
    with pytest.raises(UserError, match="node 'wind' is missing"):
        venv_session.node_infer("next_x", {"x": [18.0]})
    with pytest.raises(UserError, match="there is no node 'nextx'"):
        venv_session.node_infer("nextx", ROWS)


def test_a_distribution_is_told_by_every_member(venv_session: VenvSession) -> None:
    told = venv_session.node_dist("next_x", {**ROWS, "u": [[5.0], [5.0]]})
    assert told.mean.shape == told.std.shape == (4, 2, 1)
    np.testing.assert_allclose(told.std, 0.05, rtol=1e-5)
    assert told.probabilities == []
    np.testing.assert_allclose(told.mode.mean(0), [[18.5], [23.0]], atol=1e-4)
    drawn = told.sample(torch.Generator().manual_seed(0))
    assert 0 < abs(drawn - told.mode).max() < 1.0
    with pytest.raises(UserError, match="'wind' is no learned node"):
        venv_session.node_dist("wind", ROWS)


def test_a_policy_takes_the_behaviours_place_until_it_is_taken_out(
    venv_session: VenvSession, policy_session: PolicySession
) -> None:
    assert venv_session.replace_policy(policy_session) is venv_session
    np.testing.assert_allclose(venv_session.infer_one_step(ROWS)["u"], [[6.0], [3.0]], atol=1e-3)
    np.testing.assert_allclose(venv_session.node_infer("u", {"x": [18.0]}), [6.0], atol=1e-3)
    assert venv_session.node_dist("u", {"x": [[18.0]]}).mean.shape == (1, 1, 1)
    given = {"wind": np.zeros((4, 2, 1))}
    rolled = venv_session.rollout({"x": ROWS["x"]}, given)
    np.testing.assert_allclose(rolled["u"], 5.0 - 0.5 * (rolled["x"] - 20.0), atol=1e-2)
    recorded = venv_session.rollout({"x": ROWS["x"]}, {**given, "u": np.full((4, 2, 1), 5.0)})
    np.testing.assert_allclose(recorded["u"], 5.0, atol=1e-4)
    venv_session.replace_policy(None)
    np.testing.assert_allclose(venv_session.infer_one_step(ROWS)["u"], [[3.0], [9.0]], atol=1e-4)


def test_a_session_can_be_moved(venv_session: VenvSession, policy_session: PolicySession) -> None:
    assert venv_session.to("cpu") is venv_session
    assert policy_session.to("cpu") is policy_session


# -- bundles of experiments --------------------------------------------------------------------


def loaded(name: str) -> tuple[VenvSession, PolicySession]:
    from revive.deploy import load_policy, load_venv

    return load_venv(made_run(name) / "venv", trust=True), load_policy(made_run(name) / "policy")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_bundle_rolls_out_from_its_own_starts(name: str) -> None:
    venv, policy = loaded(name)
    start, given = venv.starts(6, 12, seed=1)
    options: dict[str, Any] = {"horizon": 12, "deterministic": False, "seed": 2, "reward": True}
    rolled = venv.rollout(start, given, policy=policy, **options)
    again = venv.rollout(start, given, policy=policy, **options)
    assert rolled["reward"].shape == (12, 6, 1)
    for node, value in rolled.items():
        assert np.isfinite(value).all()
        np.testing.assert_array_equal(value, again[node])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_chain_of_steps_is_a_rollout(name: str) -> None:
    """Also where histories are kept, and where what was read is not the state."""
    venv, _ = loaded(name)
    venv.model.observers.clear()  # without a latent state a step is a function of what is shown
    start, given = venv.starts(3, 5, seed=1)
    target = venv.target_policy_name
    column = venv.graph.columns(target)[0]
    action = np.full((3, 1), column.values[0] if column.values else 0.5)
    states = [{**{n: v[t] for n, v in given.items()}, target: action} for t in range(5)]
    steps = venv.infer_k_steps([{**start, **states[0]}, *states[1:]])
    recorded = {**given, target: np.tile(action, (5, 1, 1))}
    rolled = venv.rollout(start, recorded, 5)
    for node in venv.graph.transitions:
        np.testing.assert_allclose(np.stack([s[node] for s in steps]), rolled[node], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_session_of_plants_controls_plants_of_the_venv(name: str) -> None:
    venv, policy = loaded(name)
    plants = venv.start(5, seed=3)
    session = policy.session(5, before=plants.before())
    assert session.assumed == {}
    for _ in range(4):
        action = session.act(plants.observe(session.seen))
        np.testing.assert_allclose(
            action[policy.target], policy.act(plants.observe())[policy.target], atol=1e-5
        )
        found = plants.step(action)
    assert found["reward"].shape == (5, 1)
    with pytest.raises(UserError, match="not known before"):
        plants.observe([venv.graph.transitions[0]])
