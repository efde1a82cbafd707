"""Plants whose agent decides two nodes: as simulations, as environments, and in the bundle's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from revive.data.scenario import Scenario, logged_ranges, sampled
from revive.data.trajectories import Trajectories
from revive.deploy import PolicySession, load_venv, save_venv
from revive.deploy.venv_session import VenvSession
from revive.errors import UserError
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.venv.joint import JointEnv
from revive.venv.node_model import NetworkSpec
from tests.policy.toys import CATEGORY, LEVELS, pair
from tests.venv.plants import logs_of

KINDS: list[dict[str, Any]] = [{}, LEVELS, CATEGORY]


def session_of(targets: tuple[str, ...] = ("a", "b"), **second: Any) -> VenvSession:
    """The venv of `pair` with logs to start from, whose run decided `targets`; b sees y and what a is."""
    joint, _, _ = pair(**second)
    assert isinstance(joint, JointEnv)
    found = logs_of(joint.plain, 40, seed=1)
    logs = Trajectories({name: np.asarray(v, dtype=np.float64) for name, v in found.items()}, np.array([40]))
    made = sampled([joint.plain.graph], [logs])
    assert made is not None
    ranges = logged_ranges(joint.plain.graph, [logs])
    scenario = Scenario(*made, 30, 10, targets, None, 1, ranges)
    return VenvSession(joint.plain, scenario, Reward.of(lambda data: -(data["next_x"] ** 2)))


@pytest.mark.parametrize("second", KINDS, ids=["continuous", "discrete", "category"])
def test_plants_of_two_nodes_step_as_the_venv_does(second: dict[str, Any]) -> None:
    venv = session_of(**second)
    plants = venv.start(6, noise=False, seed=0)
    assert plants.decided == ("a", "b")
    assert {*plants.observe()} == {"x", "y"}  # what a is, is no part of what is seen before
    rng = np.random.default_rng(0)
    choices = {"discrete": [-2.0, 0.0, 2.0], "category": [1.0, 2.0, 3.0]}
    for _ in range(3):
        b = rng.choice(choices[second["type"]], (6, 1)) if second else rng.uniform(-1, 1, (6, 1))
        seen, action = plants.observe(), {"a": rng.uniform(-1, 1, (6, 1)), "b": b}
        found, wanted = plants.step(action), venv.step({**seen, **action})
        assert {*found} == {"x", "y", "a", "b", "next_x", "next_y", "reward"}
        for name in ("a", "b", "next_x", "next_y"):
            np.testing.assert_allclose(found[name], wanted[name], atol=1e-5)


def test_who_decides_what_can_be_said() -> None:
    venv = session_of(("a",))
    assert venv.start(2).decided == ("a",)
    assert venv.start(2, target=["b", "a", "b"]).decided == ("a", "b")
    assert venv.start(2, target=["a", "b"], observe=["y"]).view.seen == ("y",)
    with pytest.raises(UserError, match="'x' is no decision node"):
        venv.start(2, target=["a", "x"])


def test_what_is_wrong_with_an_action_is_said_node_by_node() -> None:
    plants = session_of().start(2)
    with pytest.raises(UserError) as told:
        plants.step({"a": np.zeros((3, 1))})
    assert "node 'a': has shape (3, 1), not (2, 1)" in str(told.value)
    assert "node 'b' is missing" in str(told.value)


def test_beyond_a_limit_the_limit_is_taken_in_either_node() -> None:
    found = session_of().start(1).step({"a": [[-9.0]], "b": [[9.0]]})
    assert (found["a"], found["b"]) == (-2.0, 2.0)


def test_a_bundle_knows_that_two_nodes_were_decided(tmp_path: Path) -> None:
    venv = session_of()
    save_venv(venv.model, tmp_path / "venv", {"run_id": "r"}, scenario=venv.scenario)
    again = load_venv(tmp_path / "venv")
    assert again.scenario is not None
    assert again.scenario.targets == ("a", "b")
    assert again.target_policy_name == "a,b"
    assert again.start(2).decided == ("a", "b")


@pytest.mark.parametrize("second", KINDS, ids=["continuous", "discrete", "category"])
def test_an_agent_decides_both(second: dict[str, Any]) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    from gymnasium.utils.env_checker import check_env

    from revive.gym.env import VenvEnv

    env = VenvEnv(session_of(**second), horizon=5)
    assert env.observation_space.shape == (2,)
    assert isinstance(env.action_space, gymnasium.spaces.Dict if second else gymnasium.spaces.Box)
    check_env(env, skip_render_check=True)


@pytest.mark.parametrize("second", KINDS, ids=["continuous", "discrete", "category"])
def test_each_node_of_a_policy_has_a_distribution_of_its_own(second: dict[str, Any]) -> None:
    venv, policy = session_of(**second), policy_session(**second)
    seen = {"x": np.linspace(-1, 1, 5)[:, None], "y": np.linspace(1, 0, 5)[:, None]}
    venv.replace_policy(policy)
    a, b = (venv.node_dist(name, seen) for name in ("a", "b"))
    done = policy.act(seen)
    np.testing.assert_allclose(a.mode[0].numpy(), done["a"], atol=1e-5)
    np.testing.assert_allclose(b.mode[0].numpy(), done["b"], atol=1e-5)
    value = torch.cat([policy.model.codec[n].encode(torch.as_tensor(done[n])) for n in ("a", "b")], -1)[None]
    apart = a.log_prob(value[..., :1]) + b.log_prob(value[..., 1:])
    torch.testing.assert_close(policy.node_dist(seen).log_prob(value), apart)
    with pytest.raises(UserError, match="does not decide 'x'"):
        policy.node_dist(seen, "x")


def test_a_node_of_a_policy_is_inferred_whatever_the_other_one_was() -> None:
    venv, policy = session_of(), policy_session()
    seen = {"x": np.linspace(-1, 1, 5)[:, None], "y": np.linspace(1, 0, 5)[:, None]}
    venv.replace_policy(policy)
    done = policy.act(seen)
    logged = np.full((5, 1), 0.7)
    for name, row in (("a", seen), ("b", seen), ("a", {**seen, "a": logged, "b": logged})):
        np.testing.assert_allclose(venv.node_infer(name, row), done[name], atol=1e-5)
    with pytest.raises(UserError, match="'b' sees 'a', which the policy decides together with it") as told:
        venv.node_infer("b", {**seen, "a": logged})
    assert "leave 'a' out" in str(told.value)


def policy_session(**second: Any) -> PolicySession:
    """With random weights, far inside its bounds."""
    joint, _, target = pair(**second)
    edge = torch.full((joint.codec.layout(target).ordered,), 20.0)
    policy = Policy(joint.graph, joint.codec, target, NetworkSpec(hidden=(4,)), 1, -edge, edge, noise=0.2)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in policy.net.parameters():
            weight.normal_(0.0, 0.05)
    return PolicySession(policy.requires_grad_(False))


def test_columns_of_one_name_are_told_apart() -> None:
    pytest.importorskip("gymnasium")
    from revive.graph.columns import Column
    from revive.graph.decision_graph import DecisionGraph
    from revive.gym.spaces import actions_of

    columns = [
        Column("x", "x", "continuous"),
        Column("set", "a", "continuous", min=0.0, max=1.0),
        Column("set", "b", "category", values=(3.0, 5.0)),
    ]
    graph = DecisionGraph.build(columns, {"a": ["x"], "b": ["x"], "next_x": ["x", "a", "b"]})
    space = actions_of(graph, ("a", "b"), {})
    assert {*space.space} == {"a.set", "b.set"}  # type: ignore[misc]
    np.testing.assert_array_equal(space.physical(space.of(np.array([[0.5, 5.0]]))), [[0.5, 5.0]])
