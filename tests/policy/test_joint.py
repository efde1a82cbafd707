"""A policy that decides two nodes of a small plant together: the second one sees what the first one does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive import runtime
from revive.deploy.bundle import load_policy, save_policy
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.graph.joint import apart, joint_name, together
from revive.policy.memory import controller
from revive.policy.policy import Policy
from revive.policy.reward import Reward
from revive.runtime.c99 import export_c99
from revive.venv.joint import JointModel, decided_together
from revive.venv.node_model import NetworkSpec
from tests.policy.problems import chosen_of, cloned_problem, first_order
from tests.policy.toys import CATEGORY, LEVELS, pair
from tests.runtime.test_c99 import Compiled
from tests.venv.plants import hand_set, train


def to_goals(data: dict[str, Tensor]) -> Tensor:
    """x is to be 0.4 and y -0.4, which needs both actions: alone, `a` moves both the same way."""
    return -((data["next_x"] - 0.4) ** 2) - (data["next_y"] + 0.4) ** 2


def problem_of_pair(**second: Any) -> Any:
    venv, rows, target = pair(**second)
    reward = Reward(to_goals, Path("reward.py"))
    return cloned_problem(venv, rows, venv.graph, target=target, reward=reward)


@pytest.mark.parametrize("second", [{}, CATEGORY], ids=["continuous", "category"])
def test_the_clone_does_what_both_controllers_do(second: dict[str, Any]) -> None:
    problem = problem_of_pair(**second)
    x = torch.tensor([[-1.0, 0.5], [0.0, 0.0], [1.0, -0.5]])
    action = problem.clone(x.expand(2, -1, -1))
    torch.testing.assert_close(action[..., 0], (-0.2 * x[:, 0]).expand(2, -1), rtol=0, atol=0.05)
    if not second:
        wanted = -0.2 * x[:, 1] + 0.1 * x[:, 0]
        torch.testing.assert_close(action[..., 1], wanted.expand(2, -1), rtol=0, atol=0.1)


def test_both_are_learned_together(tmp_path: Path) -> None:
    problem = problem_of_pair()
    learner = first_order(problem, iterations=80)
    train(learner, tmp_path)
    best = chosen_of(learner)
    assert best.fallback is None
    policy = best.candidate.policy
    rolled = problem.evaluation.roll(policy.actor())
    assert float(rolled["next_x"][-1].mean()) == pytest.approx(0.4, abs=0.1)
    assert float(rolled["next_y"][-1].mean()) == pytest.approx(-0.4, abs=0.1)
    torch.testing.assert_close(rolled[problem.target], torch.cat([rolled["a"], rolled["b"]], -1))


def test_the_model_of_both_draws_the_second_after_the_first() -> None:
    venv, _, target = pair()
    model = venv.model(target)
    assert isinstance(model, JointModel)
    x = torch.randn(venv.members, 4000, 2, generator=torch.Generator().manual_seed(0))
    eps = torch.randn(venv.members, 4000, 2, generator=torch.Generator().manual_seed(1))
    a, b = model.value(x, None, eps).unbind(-1)
    torch.testing.assert_close(a, -0.2 * x[..., 0] + 0.5 * eps[..., 0])
    torch.testing.assert_close(b, -0.2 * x[..., 1] - 0.5 * a + 0.5 * eps[..., 1])


def looking_back() -> tuple[DecisionGraph, str]:
    """`a` sees the last three x and what `b` was one and two steps ago; `b` sees y and what `a` is."""
    described = {
        "columns": [{n: {"dim": n, "type": "continuous"}} for n in ("x", "y", "a", "b")],
        "graph": {"a": ["ts_x", "ts_b"], "b": ["y", "a"], "next_x": ["x", "a"], "next_y": ["y", "a", "b"]},
        "nodes": {"x": {"ts": 3}, "b": {"ts": 2}},
    }
    graph = parse_description({"metadata": described}, "test")
    return together(graph, ("a", "b")), joint_name(graph, ("a", "b"))


@pytest.mark.parametrize("backbone", ["mlp", "gru"])
def test_a_session_decides_as_a_rollout_does(tmp_path: Path, backbone: Any) -> None:
    graph, target = looking_back()
    linear = {"a": ([[0.0]] * 5, [0.0]), "b": ([[0.0]] * 2, [0.0]), "next_x": ([[-0.2], [0.5]], [0.0])}
    linear["next_y"] = ([[-0.2], [0.5], [0.5]], [0.0])
    plain = hand_set(apart(graph), linear).requires_grad_(False)
    venv = decided_together(plain, ("a", "b"))
    edge = torch.full((2,), 3.0)
    torch.manual_seed(0)
    policy = Policy(graph, venv.codec, target, NetworkSpec(hidden=(8, 8), backbone=backbone), 1, -edge, edge)
    with torch.no_grad():
        for parameter in policy.net.parameters():
            parameter.normal_(0.0, 0.5)
    start = {"x": torch.full((2, 1, 1), 0.7), "y": torch.full((2, 1, 1), -0.4)}
    past = {"ts_b": torch.zeros(2, 1, 2), "ts_x": torch.full((2, 1, 2), 0.7)}
    rolled = venv.rollout(start, {}, 6, past=past, actor=policy.requires_grad_(False).actor())
    save_policy(policy, tmp_path / "policy", {})
    for session in (
        load_policy(tmp_path / "policy").session(),
        runtime.load_policy(tmp_path / "policy").session(),
    ):
        for t in range(6):
            done = session.act({name: rolled[name][t, 0, 0].numpy() for name in session.seen})
            for name, action in done.items():
                assert action == pytest.approx(rolled[name][t, 0, 0].numpy(), abs=1e-5)
    act = controller(policy)
    again = [act({n: rolled[n][t, 0].double().numpy() for n in ("x", "y")}) for t in range(6)]
    assert [step["a"].item() for step in again] == pytest.approx(rolled["a"][:, 0, 0, 0].tolist(), abs=1e-5)
    if shutil.which("gcc") is not None:
        made = Compiled(runtime.load_policy(tmp_path / "policy"), tmp_path)
        for t in range(6):
            seen = np.concatenate([rolled[name][t, 0, 0].double().numpy() for name in made.policy.seen])
            code, action = made.call("pump_step", seen, made.state)
            assert code == 0
            assert action == pytest.approx([float(rolled[name][t, 0, 0]) for name in ("a", "b")], abs=1e-5)


@pytest.mark.parametrize("second", [{}, CATEGORY, LEVELS], ids=["continuous", "category", "discrete"])
def test_c_says_what_numpy_does(tmp_path: Path, second: dict[str, Any]) -> None:
    """The export compiles the file and compares it by itself; the order is turned round, so that `a` sees `b`."""
    venv, _, _ = pair(**second)
    graph = apart(venv.graph).with_inputs("b", ["y"]).with_inputs("a", ["x", "b"])
    joint, target = together(graph, ("a", "b")), joint_name(graph, ("a", "b"))
    ordered = venv.codec.for_graph(joint).layout(target).ordered
    edge = torch.full((ordered,), 0.6)
    torch.manual_seed(0)
    policy = Policy(joint, venv.codec.for_graph(joint), target, NetworkSpec(hidden=(8,)), 1, -edge, edge)
    with torch.no_grad():
        for parameter in policy.net.parameters():
            parameter.normal_(0.0, 1.0)
    save_policy(policy, tmp_path / "policy", {})
    acting = runtime.load_policy(tmp_path / "policy")
    assert acting.decided == ("b", "a")
    said = export_c99(acting, tmp_path)
    assert "differs from numpy by at most" in said or "not compiled" in said
