"""What is taken from an earlier venv: frozen nodes stay as they were, all others start from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem
from revive.venv.virtual_env import VirtualEnv
from tests.venv.learners.test_bc import BC
from tests.venv.plants import rows_of, train
from tests.venv.problems import multi_step, problem_of


def graph_of(frozen: tuple[str, ...] = (), inputs: tuple[str, ...] = ("x", "u")) -> DecisionGraph:
    columns = [{name: {"dim": name, "type": "continuous"}} for name in ("x", "y", "u")]
    graph = {"u": ["x"], "next_x": list(inputs), "next_y": ["y", "x"]}
    said = {"columns": columns, "graph": graph, "nodes": {name: {"freeze": True} for name in frozen}}
    return parse_description({"metadata": said}, "test")


def logs(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, y, u = np.zeros(301), np.zeros(301), rng.normal(size=300)
    for t in range(300):
        x[t + 1] = 0.8 * x[t] + 0.5 * u[t] + 0.1 * rng.normal()
        y[t + 1] = 0.9 * y[t] + np.tanh(x[t]) + 0.1 * rng.normal()
    plain = {"x": x[:-1], "y": y[:-1], "u": u, "next_x": x[1:], "next_y": y[1:]}
    return {name: value[:, None] for name, value in plain.items()}


def problem_with(graph: DecisionGraph, **changed: Any) -> VenvProblem:
    codec = Codec.fit(graph, logs(1))
    return problem_of(graph, codec, rows_of(graph, codec, logs(1), logs(2)), budget=60, keep=2, **changed)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> VirtualEnv:
    learner = BehaviourCloning(problem_with(graph_of()), **BC)
    train(learner, tmp_path_factory.mktemp("earlier"))
    return learner.result()


def weights(venv: VirtualEnv, node: str) -> dict[str, torch.Tensor]:
    return dict(venv.model(node).state_dict())


@pytest.mark.parametrize("kind", ["bc", "multi_step"])
def test_frozen_nodes_are_kept_bit_by_bit_and_the_others_learn(
    earlier: VirtualEnv, tmp_path: Path, kind: str
) -> None:
    problem = problem_with(graph_of(("u", "next_x")), earlier=earlier)
    steps = {"one_step_updates": 20, "curriculum": [[5, 10]]}
    learner = BehaviourCloning(problem, **BC) if kind == "bc" else multi_step(problem, **steps)
    train(learner, tmp_path)
    venv = learner.result()
    for node in ("u", "next_x"):
        for name, value in weights(venv, node).items():
            assert torch.equal(value, weights(earlier, node)[name]), (node, name)
    assert not torch.equal(venv.model("next_y").net.last, earlier.model("next_y").net.last)


def test_other_nodes_start_from_there(earlier: VirtualEnv, tmp_path: Path) -> None:
    learner = BehaviourCloning(
        problem_with(graph_of(), earlier=earlier), **{**BC, "lr": 1e-12, "weight_decay": 0.0}
    )
    assert learner.warm == {"u", "next_x", "next_y"}
    train(learner, tmp_path)
    for node in learner.warm:
        for name, value in earlier.model(node).net.named_parameters():
            found = learner.venv.model(node).net.get_parameter(name)
            torch.testing.assert_close(found, value, rtol=1e-5, atol=1e-7)


def test_a_node_of_other_inputs_starts_anew(earlier: VirtualEnv) -> None:
    _, taken = problem_with(graph_of(inputs=("x", "u", "y")), earlier=earlier).make(NetworkSpec(hidden=(8,)))
    assert taken == {"u", "next_y"}


@pytest.mark.parametrize(
    ("frozen", "network", "inputs", "said"),
    [
        (("next_x",), (5,), ("x", "u"), r"(?s)'next_x' .* other inputs, columns or network \(mlp, 8\)"),
        (("next_x",), (8,), ("x", "u", "y"), "'next_x' .* other inputs, columns or network"),
    ],
)
def test_a_frozen_node_that_does_not_fit_is_one_message(
    earlier: VirtualEnv, frozen: tuple[str, ...], network: tuple[int, ...], inputs: tuple[str, ...], said: str
) -> None:
    problem = problem_with(graph_of(frozen, inputs), earlier=earlier)
    with pytest.raises(UserError, match=said) as caught:
        problem.make(NetworkSpec(hidden=network))
    assert len(caught.value.problems) == 1


def test_frozen_nodes_without_an_earlier_venv_are_all_named() -> None:
    with pytest.raises(UserError, match="no earlier venv holds it") as caught:
        problem_with(graph_of(("u", "next_x"))).make(NetworkSpec(hidden=(8,)))
    assert [problem.place for problem in caught.value.problems] == ["nodes.freeze"] * 2
