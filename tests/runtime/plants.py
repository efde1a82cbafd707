"""Policies of every kind of column, with random weights, for what runs without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.graph.joint import joint_name, together
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


def arrays_of(
    graph: DecisionGraph, rows: int, rng: np.random.Generator, nodes: Sequence[str] = ("x", "u")
) -> Arrays:
    """Legal values of the nodes, (rows, d)."""
    arrays = {}
    for node in nodes:
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
    codec = Codec.fit(graph, arrays := arrays_of(graph, 500, rng))
    spec = NetworkSpec(hidden, activation, backbone="gru" if kind == "recurrent" else "mlp")
    return _drawn(graph, codec, "u", arrays["u"], spec, spread)


def joint_policy(backbone: Any = "mlp", activation: Any = "silu") -> Policy:
    """One that decides u, then w, which sees u: values, levels and categories, histories of all, and the step."""
    described = {
        "columns": [
            *COLUMNS["mixed"],
            {"fan": {"dim": "w", "type": "category", "values": [1, 0]}},
            {"heat": {"dim": "w", "type": "continuous", "min": 0.5, "max": 12, "scale": "log"}},
            {"gate": {"dim": "w", "type": "discrete", "num": 3, "min": 0, "max": 2}},
        ],
        "nodes": {"x": {"ts": 3}, "u": {"ts": 2, "step_input": True}, "w": {"ts": 2}},
        "graph": {"u": ["ts_x", "ts_u", "ts_w"], "w": ["u", "x", "ts_w"], "next_x": ["x", "u", "w"]},
    }
    plain, rng = parse_description({"metadata": described}, "test"), np.random.default_rng(0)
    torch.manual_seed(0)
    graph, target = together(plain, ("u", "w")), joint_name(plain, ("u", "w"))
    arrays = arrays_of(plain, 500, rng, ("x", "u", "w"))
    codec = Codec.fit(plain, arrays).for_graph(graph)
    logged = np.hstack([arrays["u"], arrays["w"]])
    return _drawn(graph, codec, target, logged, NetworkSpec((32, 32), activation, backbone=backbone), 0.1)


def _drawn(
    graph: DecisionGraph,
    codec: Codec,
    target: str,
    logged: np.ndarray,
    spec: NetworkSpec,
    spread: float,
) -> Policy:
    encoded = codec[target].encode(torch.as_tensor(logged))
    low, high = action_range(graph, codec, target, encoded.amin(0), encoded.amax(0))
    policy = Policy(graph, codec, target, spec, 1, low, high, noise=0.1)
    with torch.no_grad():
        for weight in policy.net.parameters():
            weight.add_(torch.randn_like(weight) * spread)
    return policy.requires_grad_(False).eval()


def remembered(graph: DecisionGraph, rows: int, seed: int) -> Arrays:
    """Legal values of all that a policy sees, histories and the step counter as well."""
    rng = np.random.default_rng(seed)
    nodes = [name for name in ("x", "u", "w") if name in graph]
    frames = [arrays_of(graph, rows, rng, nodes) for _ in range(3)]
    looked = {
        name: np.hstack([frame[spec.source] for frame in frames[: spec.length]])
        for name in graph.histories
        if (spec := graph[name].history) is not None
    }
    return {**frames[-1], **looked, "step_node_": rng.integers(0, 50, (rows, 1)).astype(float)}


def envelope_of(policy: Policy) -> dict[str, Any]:
    """What was logged of what a policy of these sees, as its bundle says it."""
    rng = np.random.default_rng(3)
    tensors = {name: value.numpy() for name, value in policy.state_dict().items()}
    acting = NumpyPolicy(policy.graph, policy.target, policy.spec.activation, tensors)
    train, validation = (arrays_of(policy.graph, 500, rng) for _ in range(2))
    return Envelope.fit(acting, train, validation, seed=0).to_json()
