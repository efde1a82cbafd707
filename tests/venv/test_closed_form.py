"""A linear system with every kind of node, rolled out, equals what numpy says it must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.readers import from_arrays
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.venv.functions import UserCode
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv

STEPS = 30
DESCRIPTION = {
    "metadata": {
        "columns": [
            {"p": {"dim": "x", "type": "continuous"}},
            {"q": {"dim": "x", "type": "continuous"}},
            {"a": {"dim": "a", "type": "continuous"}},
            {"w": {"dim": "w", "type": "continuous"}},
            {"k": {"dim": "k", "type": "continuous"}},
            {"c": {"dim": "c", "type": "continuous"}},
            {"m": {"dim": "m", "type": "continuous"}},
        ],
        "tunable": ["k"],
        "expert_functions": {"c": {"node_function": "cost.product"}},
        "nodes": {
            "x": {"ts": 3},
            "a": {"ts": 2, "step_input": True},
            "delta_x": {"traj_id": True},
        },
        "graph": {
            "a": ["ts_x", "w"],
            "c": ["a", "k"],
            "m": ["c", "x"],
            "delta_x": ["x", "ts_a", "m"],
            "next_x": ["x", "delta_x"],
        },
    }
}
COST = "def product(data):\n    return data['a'] * 0.5 + data['k']\n"


@pytest.fixture
def system(tmp_path: Path) -> tuple[DecisionGraph, VirtualEnv, Rows, dict[str, np.ndarray]]:
    """The venv with weights that are known, and logs of random numbers to fit its codec on."""
    (tmp_path / "cost.py").write_text(COST)
    graph = parse_description(DESCRIPTION, "test", tmp_path)
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(1.0, 2.0, (80, width)) for name, width in {"x": 2, "a": 1, "w": 1, "m": 1}.items()
    }
    arrays["k"] = np.repeat([[0.3], [0.7]], 40, axis=0)
    arrays["index"] = np.array([40, 80])
    logs = from_arrays(arrays, graph, "test")
    codec = Codec.fit(graph, logs.arrays)
    scales = {name: [1.0] * codec.layout(name).ordered for name in graph.learned}
    venv = VirtualEnv(graph, codec, 2, NetworkSpec(hidden=(4,)), scales, UserCode.load(graph, tmp_path))
    parts = [logs.select([i]) for i in range(2)]
    return graph, venv, Rows.of(codec, graph, *parts), dict(logs.arrays)


def _set_linear(venv: VirtualEnv, node: str, weights: dict[str, np.ndarray], bias: np.ndarray) -> None:
    """Make the node `sum_i value_i W_i + bias` in physical units, in every member."""
    model, codec = venv.model(node), venv.codec
    with torch.no_grad():
        model.net.last.zero_()
        out_scale, out_center = codec[node].scale.double(), codec[node].center.double()
        total = torch.as_tensor(bias, dtype=torch.float64) - out_center
        rows = []
        for name in venv.graph[node].inputs:
            frames = venv.codec.width(name) // codec[name].width
            w = torch.as_tensor(weights[name], dtype=torch.float64)
            total = total + codec[name].center.double().repeat(frames) @ w
            rows.append(codec[name].scale.double().repeat(frames)[:, None] * w / out_scale)
        model.net.skip.weight.copy_(torch.cat(rows).expand(venv.members, -1, -1))
        model.net.skip.bias.copy_((total / out_scale).expand(venv.members, 1, -1))


W = {
    "a": {
        "ts_x": np.array([[0.1], [-0.2], [0.05], [0.1], [-0.3], [0.2]]),
        "w": np.array([[0.4]]),
        "step_node_": np.array([[0.01]]),
    },
    "m": {"c": np.array([[0.7]]), "x": np.array([[0.1], [-0.1]])},
    "delta_x": {
        "x": np.array([[-0.2, 0.05], [0.0, -0.3]]),
        "ts_a": np.array([[0.1, 0.0], [0.2, -0.1]]),
        "m": np.array([[0.3, 0.1]]),
        "traj": np.array([[0.02, -0.01]]),
    },
}
BIAS = {"a": np.array([0.1]), "m": np.array([-0.2]), "delta_x": np.array([0.05, 0.0])}


def _expected(
    arrays: dict[str, np.ndarray], first: int, start: int, traj: float
) -> dict[str, list[np.ndarray]]:
    """Straight from the description, one step after another, in numpy."""
    x_past = [arrays["x"][max(first - age, start)] for age in (2, 1)]
    a_past = [arrays["a"][max(first - 1, start)]]
    x, seen = arrays["x"][first], {"x": [], "a": [], "m": [], "c": []}  # type: ignore[var-annotated]
    for t in range(STEPS):
        w, k = arrays["w"][first + t], arrays["k"][first + t]
        ts_x = np.concatenate([*x_past, x])
        count = np.array([first - start + t], dtype=float)
        a = ts_x @ W["a"]["ts_x"] + w @ W["a"]["w"] + count @ W["a"]["step_node_"] + BIAS["a"]
        c = 0.5 * a + k
        m = c @ W["m"]["c"] + x @ W["m"]["x"] + BIAS["m"]
        ts_a = np.concatenate([*a_past, a])
        change = x @ W["delta_x"]["x"] + ts_a @ W["delta_x"]["ts_a"] + m @ W["delta_x"]["m"]
        change = change + np.array([traj]) @ W["delta_x"]["traj"] + BIAS["delta_x"]
        for name, value in (("x", x), ("a", a), ("m", m), ("c", c)):
            seen[name].append(value)
        x_past, a_past, x = [x_past[1], x], [a], x + change
    return seen


@pytest.mark.parametrize("offset", [0, 1, 5])
def test_rollout_equals_the_closed_form(
    system: tuple[DecisionGraph, VirtualEnv, Rows, dict[str, np.ndarray]], offset: int
) -> None:
    graph, venv, rows, arrays = system
    assert set(W) == set(graph.learned)
    for node in W:
        assert set(W[node]) == set(graph[node].inputs)
        _set_linear(venv, node, W[node], BIAS[node])
    starts = rows.starts.tolist()  # the last row of each trajectory went into next_x
    first = torch.tensor([[start + offset] for start in starts])  # member i in trajectory i
    index, _ = rows.windows(first, STEPS)
    given = rows.at(index, venv.replayed_nodes)
    rolled = venv.rollout(rows.at(first, venv.start_nodes), given, STEPS, past=rows.past(first))
    physical: dict[str, Tensor] = venv.codec.decode(rolled)
    for member, start in enumerate(starts):
        expected = _expected(arrays, start + offset, start, float(member))
        for name, values in expected.items():
            np.testing.assert_allclose(
                physical[name][:, member, 0].detach().numpy(), np.stack(values), atol=1e-5, rtol=1e-5
            )


def test_the_tunable_node_is_replayed_and_reaches_the_function(
    system: tuple[DecisionGraph, VirtualEnv, Rows, dict[str, np.ndarray]],
) -> None:
    graph, venv, rows, _ = system
    assert graph.tunables == ("k",)
    first = torch.tensor([[0], [40]])
    index, _ = rows.windows(first, 3)
    given = rows.at(index, venv.replayed_nodes)
    past, start = rows.past(first), rows.at(first, venv.start_nodes)
    before = venv.codec.decode(venv.rollout(start, given, 3, past=past))
    given["k"] = venv.codec["k"].encode(venv.codec["k"].decode(given["k"]) + 1.0)
    after = venv.codec.decode(venv.rollout(start, given, 3, past=past))
    torch.testing.assert_close(after["c"][0], before["c"][0] + 1.0)
