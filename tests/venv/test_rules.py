"""Rule files: what the user forbids the venv to say is mended, with or without a gradient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.windows import Rows, all_of, join_members
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.venv.functions import UserCode
from revive.venv.learners.multi_step import MultiStepLearner
from revive.venv.node_model import NetworkSpec
from revive.venv.rules import Rule, RulePenalty
from tests.venv.plants import columns, equal_weights, hand_set, rows_of, train, weights_of
from tests.venv.problems import multi_step, problem_of

SIGN = """
import copy
import torch

def get_reward(data, graph):
    moved = copy.deepcopy(data)
    change = torch.randn_like(data["u"])
    moved["u"] = moved["u"] + change
    if graph.get_node("next_x").node_type == "network":
        after = graph.compute_node("next_x", moved).mode
    else:
        after = graph.compute_node("next_x", moved)
    response = after - data["next_x"]
    return REWARD
"""
CONSTANT = "torch.where(change * response > 0, -0.2, 0.0)"
HINGE = "-torch.relu(change * response + 0.05 * change.square())"  # with a margin

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        file = tmp_path / "rule.py"
        file.write_text(text)
        return file

    return write


def two_nodes() -> DecisionGraph:
    return DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})


def hardly_moved(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Cooling by u, which the logs say little of: the controller answers x with next to no variation."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[list[float]]] = {"x": [], "u": [], "next_x": []}
    x = seen = 10.0
    for _ in range(rows):
        u = 0.15 * (seen + 5.0) + 0.002 * rng.normal()
        x = x - u + 0.1 * (15.0 - x + u)
        after = x + 0.1 * rng.normal()
        for name, value in (("x", seen), ("u", u), ("next_x", after)):
            found[name].append([value])
        seen = after
    return {name: np.array(value) for name, value in found.items()}


def learn(rule: Path | None, folder: Path, **changed: Any) -> MultiStepLearner:
    graph, halves = two_nodes(), (hardly_moved(120, 3), hardly_moved(120, 4))
    codec = Codec.fit(graph, halves[0])
    rows = rows_of(graph, codec, *halves)
    network = NetworkSpec(hidden=(16,))
    own = rule and Rule.load(rule, graph)
    problem = problem_of(graph, codec, rows, members=5, keep=5, network=network, rule=own, seed=1)
    made = multi_step(problem, **{"one_step_updates": 400, "curriculum": [[5, 50]], **changed})
    train(made, folder)
    return made


@torch.no_grad()
def share_of_cooling(learner: MultiStepLearner) -> Tensor:
    """In how many of the logged states more u lowers next_x, by member."""
    venv, values = learner.venv, learner.rows.values
    x, u = (values[name].expand(venv.members, -1, -1) for name in ("x", "u"))
    less, more = (venv.model("next_x").mode(torch.cat([x, u + by], -1), x) for by in (-1.0, 1.0))
    return (more < less).float().mean((1, 2))


def test_a_rule_of_comparisons_mends_the_sign_of_an_effect(write: Write, tmp_path: Path) -> None:
    free = share_of_cooling(learn(None, tmp_path))
    assert (free < 0.8).any()  # the logs alone leave members with the wrong sign
    learner = learn(write(SIGN.replace("REWARD", CONSTANT)), tmp_path)
    assert learner.charges.rule is not None
    assert not learner.charges.rule.has_gradient
    held = share_of_cooling(learner)
    assert held.mean() > free.mean() + 0.03
    assert (held > 0.97).all()


def test_a_rule_with_a_gradient_mends_it_as_well(write: Write, tmp_path: Path) -> None:
    learner = learn(write(SIGN.replace("REWARD", HINGE)), tmp_path, rule_weight=5.0)
    assert learner.charges.rule is not None
    assert learner.charges.rule.has_gradient
    assert (share_of_cooling(learner) > 0.97).all()


def test_the_weight_of_the_file_counts(write: Write, tmp_path: Path) -> None:
    weightless = "weight = 0.0\n" + SIGN.replace("REWARD", CONSTANT)
    short: dict[str, Any] = {"one_step_updates": 20, "curriculum": []}
    free, none = learn(None, tmp_path, **short), learn(write(weightless), tmp_path, **short)
    torch.testing.assert_close(none.held_out_error(), free.held_out_error(), rtol=0.3, atol=0)
    heavy = learn(write("weight = 40.0\n" + SIGN.replace("REWARD", CONSTANT)), tmp_path, **short)
    assert share_of_cooling(heavy).mean() > share_of_cooling(none).mean()


def test_learning_with_a_rule_repeats_itself_and_leaves_global_draws_alone(
    write: Write, tmp_path: Path
) -> None:
    file, short = write(SIGN.replace("REWARD", CONSTANT)), {"one_step_updates": 10, "curriculum": []}
    once = learn(file, tmp_path, **short)
    torch.manual_seed(99)
    np.random.seed(99)
    before = torch.get_rng_state(), np.random.get_state()[1]
    assert once.charges.rule is not None
    once.charges.rule.loss(torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    again = learn(file, tmp_path, **short)
    assert equal_weights(weights_of(once.venv), weights_of(again.venv))


# -- the penalty itself ------------------------------------------------------------------------


def penalty(
    file: Path, graph: DecisionGraph | None = None, slope: float = 0.5, code: UserCode | None = None
) -> RulePenalty:
    """Of a hand-set plant next_x = x + slope * u, u = 0, on logs over [-1, 1]; model space is physical."""
    graph = graph or two_nodes()
    venv = hand_set(graph, {"u": ([[0.0]], [0.0]), "next_x": ([[0.0], [slope]], [0.0])})
    if code is not None:
        venv.code = code
    logs = {name: np.linspace(-1.0, 1.0, 60)[:, None] for name in ("x", "u", "next_x")}
    logs["u"] = -logs["x"]
    rows: Rows = rows_of(graph, venv.codec, logs, logs)
    every = join_members(*(all_of(rows, part, 1) for part in rows.parts))
    return RulePenalty(venv, Rule.load(file, graph), rows, every)


@pytest.mark.parametrize(("slope", "charge"), [(0.5, 0.2), (-0.5, 0.0)])
def test_members_are_charged_for_what_the_rule_finds(write: Write, slope: float, charge: float) -> None:
    made = penalty(write("weight = 2.0\n" + SIGN.replace("REWARD", CONSTANT)), slope=slope)
    assert made.judged(made.seen, torch.Generator()).tolist() == pytest.approx([2 * charge] * 2)


def test_smoothing_finds_the_gradient_that_autograd_finds(write: Write) -> None:
    text = "def get_reward(data, graph):\n    return -(data['next_x'] - 3.0 * data['u']).square()\n"
    made = penalty(write(text))
    assert made.has_gradient

    def gradient(seed: int) -> Tensor:
        made.venv.zero_grad()
        made.loss(torch.Generator().manual_seed(seed)).sum().backward()
        grad = made.venv.model("next_x").net.skip.weight.grad  # type: ignore[union-attr]
        assert grad is not None
        return grad[..., 0].clone()

    exact = torch.stack([gradient(seed) for seed in range(40)]).mean(0)
    made.has_gradient = False
    drawn = torch.stack([gradient(seed) for seed in range(400)])
    off = (drawn.mean(0) - exact).abs()
    assert (off < 4.0 * drawn.std(0) / 20.0 + 0.02 * exact.abs()).all()
    assert exact.abs().min() > 0.5


def test_nodes_that_the_file_does_not_name_are_left_alone(write: Write) -> None:
    text = "def get_reward(data, graph):\n    return -graph.compute_node('u', data).mean - data['next_x']\n"
    for named, touched in (("[]", {"u", "next_x"}), ("['x', 'u']", {"u"})):
        made = penalty(write(f"matching_nodes = {named}\n{text}"))
        made.venv.zero_grad()
        made.loss(torch.Generator().manual_seed(0)).sum().backward()
        found = {
            name
            for name in ("u", "next_x")
            if any(p.grad is not None and p.grad.any() for p in made.venv.model(name).parameters())
        }
        assert found == touched


def test_a_rule_sees_nodes_distributions_and_functions(write: Write, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def double(data):\n    return 2 * data['x']\n")
    own = [{name: {"dim": name, "type": "continuous"}} for name in ("x", "u", "y")]
    described = {
        "columns": own,
        "graph": {"u": ["x"], "next_x": ["x", "u"], "y": ["x"]},
        "expert_functions": {"y": {"node_function": "own.double"}},
    }
    graph = parse_description({"metadata": described}, "test", tmp_path)
    file = write(
        "import torch\n"
        "def get_reward(data, graph):\n"
        "    assert [graph.get_node(n).node_type for n in ('x', 'y', 'u')] == ['leaf', 'function', 'network']\n"
        "    assert torch.allclose(graph.compute_node('y', data), 2 * data['x'])\n"
        "    assert torch.equal(graph.compute_node('x', data), data['x'])\n"
        "    said = graph.compute_node('next_x', data)\n"
        "    assert said.mode.shape == said.mean.shape == said.std.shape == data['x'].shape\n"
        "    assert torch.allclose(said.mode, data['x'] + 0.5 * data['u'], atol=1e-5)\n"
        "    assert said.log_prob(said.sample()).shape == said.rsample().shape == data['x'].shape\n"
        "    many = {name: torch.stack([value, -value]) for name, value in data.items()}\n"
        "    assert torch.allclose(graph.compute_node('next_x', many).mode[0], said.mode)\n"
        "    assert torch.allclose(graph.compute_node('next_x', many).mode[1], -said.mode, atol=1e-5)\n"
        "    return 0.0 * data['x']\n"
    )
    made = penalty(file, graph, code=UserCode.load(graph, tmp_path))
    assert made.judged(made.seen, torch.Generator()).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def reward(data, graph):\n    return data['x']\n", "no function 'get_reward'"),
        ("def get_reward(data, graph):\n    raise ValueError('no luck')\n", "line 2: ValueError: no luck"),
        ("def get_reward(data, graph):\n    return data['x'].mean()\n", r"shape \(\) for 128 rows"),
        ("def get_reward(data, graph):\n    return 1.0\n", "a float"),
        ("def get_reward(data, graph):\n    return data['x'] / 0.0\n", "not finite"),
        (
            "def get_reward(data, graph):\n    return graph.compute_node('next_u', data)\n",
            "did you mean 'next_x'",
        ),
        (
            "def get_reward(data, graph):\n"
            "    return graph.compute_node('u', {k: v[:9] for k, v in data.items()}).mode\n",
            "keep their number",
        ),
        ("weight = 'much'\ndef get_reward(data, graph):\n    return data['x']\n", "weight: is 'much'"),
        ("matching_nodes = ['y']\ndef get_reward(data, graph):\n    return data['x']\n", "no node 'y'"),
        ("import nowhere_at_all\n", "nowhere_at_all"),
    ],
)
def test_what_is_wrong_with_a_rule_file_is_one_message(write: Write, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        penalty(write(text))
    assert "rule.py" in str(caught.value)
