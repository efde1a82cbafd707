"""Policies of every kind of column, with random weights, for what runs without torch."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.policy.policy import Policy, action_range
from revive.runtime.envelope import Envelope
from revive.runtime.policy import Policy as NumpyPolicy
from revive.venv.node_model import NetworkSpec

Kind = Literal["plain", "mixed", "history", "category", "recurrent"]
Arrays = dict[str, np.ndarray]

COLUMNS: dict[str, list[dict[str, Any]]] = {
    "plain": [
        {"level": {"dim": "x", "type": "continuous"}},
        {"flow": {"dim": "x", "type": "continuous"}},
        {"valve": {"dim": "u", "type": "continuous", "min": 0, "max": 10}},
    ],
    "mixed": [
        {"kind": {"dim": "x", "type": "category", "values": [3, 1, 2]}},
        {"level": {"dim": "x", "type": "continuous", "scale": "quantile"}},
        {"angle": {"dim": "x", "type": "continuous", "scale": "cyclic", "period": 360}},
        {"steps": {"dim": "x", "type": "discrete", "num": 5, "min": 0, "max": 4}},
        {"rate": {"dim": "x", "type": "continuous", "scale": "log"}},
        {"share": {"dim": "x", "type": "continuous", "scale": "minmax"}},
        {"mode": {"dim": "u", "type": "category", "values": [0, 7, 9]}},
        {"valve": {"dim": "u", "type": "continuous", "min": 0, "max": 10}},
        {"stage": {"dim": "u", "type": "discrete", "num": 4, "min": 0, "max": 3}},
    ],
}
COLUMNS["history"] = COLUMNS["recurrent"] = COLUMNS["plain"]
COLUMNS["category"] = [
    *COLUMNS["plain"][:2],
    {"mode": {"dim": "u", "type": "category", "values": [0, 1, 2, 3]}},
]


def graph_of(kind: Kind) -> DecisionGraph:
    """u is decided from x; looking back from the last three x, the last two u and the number of the step."""
    looks_back = kind in ("history", "recurrent")
    inputs = ["ts_x", "ts_u", "step_node_"] if looks_back else ["x"]
    nodes: dict[str, Any] = {"x": {"ts": 3}, "u": {"ts": 2, "step_input": True}} if looks_back else {}
    graph = {"u": [name for name in inputs if name != "step_node_"], "next_x": ["x", "u"]}
    return parse_description({"metadata": {"columns": COLUMNS[kind], "nodes": nodes, "graph": graph}}, "test")


def arrays_of(graph: DecisionGraph, rows: int, rng: np.random.Generator) -> Arrays:
    """Legal values of x and u, (rows, d)."""
    arrays = {}
    for node in ("x", "u"):
        parts = []
        for column in graph.columns(node):
            if column.choices:
                parts.append(rng.choice(column.choices, rows))
            elif column.scale == "log":
                parts.append(np.exp(rng.normal(size=rows) * 2))
            elif column.scale == "cyclic":
                parts.append(rng.uniform(-400, 800, rows))
            else:
                parts.append(rng.normal(5.0, 2.0, rows))
        arrays[node] = np.stack(parts, axis=1)
    return arrays


def policy_of(
    kind: Kind,
    activation: Any = "silu",
    hidden: tuple[int, ...] = (64, 64),
    seed: int = 0,
    spread: float = 0.05,
) -> Policy:
    """A policy of one copy with random weights, `spread` wider than those that training begins with."""
    graph, rng = graph_of(kind), np.random.default_rng(seed)
    torch.manual_seed(seed)
    arrays = arrays_of(graph, 500, rng)
    codec = Codec.fit(graph, arrays)
    encoded = codec["u"].encode(torch.as_tensor(arrays["u"]))
    low, high = action_range(graph, codec, "u", encoded.amin(0), encoded.amax(0))
    spec = NetworkSpec(hidden, activation, backbone="gru" if kind == "recurrent" else "mlp")
    policy = Policy(graph, codec, "u", spec, 1, low, high, noise=0.1)
    with torch.no_grad():
        for weight in policy.net.parameters():
            weight.add_(torch.randn_like(weight) * spread)
    return policy.requires_grad_(False).eval()


def envelope_of(policy: Policy) -> dict[str, Any]:
    """What was logged of what a policy of these sees, as its bundle says it."""
    rng = np.random.default_rng(3)
    tensors = {name: value.numpy() for name, value in policy.state_dict().items()}
    acting = NumpyPolicy(policy.graph, policy.target, policy.spec.activation, tensors)
    train, validation = (arrays_of(policy.graph, 500, rng) for _ in range(2))
    return Envelope.fit(acting, train, validation, seed=0).to_json()
