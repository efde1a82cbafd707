"""Plants whose action is a category or a level, and one whose policy has to look back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import joint_name
from revive.venv.joint import decided_together
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import columns, hand_set, logs_of, rows_of

PUSH = (-0.5, 0.0, 0.5)


def chooser(action: Column) -> tuple[VirtualEnv, Rows]:
    """x' = 0.8 x + push, of the action one of three pushes, under a controller that chooses at random."""
    graph = DecisionGraph.build([*columns(x=1), action], {"u": ["x"], "next_x": ["x", "u"]})
    width = 3 if action.type == "category" else 1
    effect = [[p] for p in PUSH] if width == 3 else [[PUSH[2]]]
    none = torch.zeros(1, 0 if width == 3 else 1)
    linear = {"u": (none, torch.zeros(none.shape[1])), "next_x": ([[-0.2], *effect], [0.0])}
    venv = hand_set(graph, linear, members=4, std=0.05)
    with torch.no_grad():
        venv.model("u").net.skip.bias.zero_()  # type: ignore[union-attr]
        venv.model("u").free_log_std.zero_()
    venv.requires_grad_(False)
    return venv, rows_of(graph, venv.codec, *(logs_of(venv, 200, seed=s) for s in (1, 2)))


KINDS = [
    Column("u", "u", "category", values=(10.0, 20.0, 30.0)),
    Column("u", "u", "discrete", min=10.0, max=30.0, num=3),
]


def mixer() -> tuple[VirtualEnv, Rows]:
    """x' = 0.8 x + 0.3 flow + 0.3 stage + push of the mode: one action of a value, a level and a category."""
    parts = [
        Column("flow", "u", "continuous", min=-2.0, max=2.0),
        Column("stage", "u", "discrete", min=-1.0, max=1.0, num=3),
        Column("mode", "u", "category", values=(10.0, 20.0, 30.0)),
    ]
    graph = DecisionGraph.build([*columns(x=1), *parts], {"u": ["x"], "next_x": ["x", "u"]})
    effect = [[-0.2], [0.3], [0.3], *[[p] for p in PUSH]]
    linear = {"u": (torch.zeros(1, 2), torch.zeros(2)), "next_x": (effect, [0.0])}
    venv = hand_set(graph, linear, members=4, std=0.05)
    with torch.no_grad():
        venv.model("u").net.skip.bias.zero_()  # type: ignore[union-attr]
        venv.model("u").free_log_std.zero_()
    venv.requires_grad_(False)
    return venv, rows_of(graph, venv.codec, *(logs_of(venv, 200, seed=s) for s in (1, 2)))


CATEGORY: dict[str, Any] = {"type": "category", "values": (1.0, 2.0, 3.0), "min": None, "max": None}
LEVELS: dict[str, Any] = {"type": "discrete", "num": 3}


def pair(**second: Any) -> tuple[VirtualEnv, Rows, str]:
    """x' = 0.8 x + 0.5 a, y' = 0.8 y + 0.5 (a + push of b): `a` sees x, `b` sees y and what `a` does.

    The venv in which both are one decision, its rows, and what that is called. second: of the column of `b`.
    """
    own = Column("b", "b", **{"type": "continuous", "min": -2.0, "max": 2.0, **second})
    graph = DecisionGraph.build(
        [*columns(x=1, y=1), Column("a", "a", "continuous", min=-2.0, max=2.0), own],
        {"a": ["x"], "b": ["y", "a"], "next_x": ["x", "a"], "next_y": ["y", "a", "b"]},
    )
    push = [[p] for p in PUSH] if own.type == "category" else [[0.5]]
    ordered = 0 if own.type == "category" else 1
    linear = {
        "a": ([[-0.2]], [0.0]),
        "b": (torch.tensor([[-0.2], [-0.5]])[:, :ordered], torch.zeros(ordered)),
        "next_x": ([[-0.2], [0.5]], [0.0]),
        "next_y": ([[-0.2], [0.5], *push], [0.0]),
    }
    venv = hand_set(graph, linear, members=4, std=0.05)
    with torch.no_grad():
        for name in ("a", "b"):
            venv.model(name).net.skip.bias.zero_()  # type: ignore[union-attr]
            venv.model(name).free_log_std.fill_(np.log(0.5))
    joint = decided_together(venv.requires_grad_(False), ("a", "b"))
    logs = [logs_of(venv, 200, seed=s) for s in (1, 2)]
    return joint, rows_of(joint.graph, joint.codec, *logs), joint_name(venv.graph, ("a", "b"))


def cart() -> tuple[VirtualEnv, Rows]:
    """A cart whose place is seen and whose speed is not: only the last places tell the speed."""
    graph = DecisionGraph.build(
        columns(x=1, speed=1, u=1), {"u": ["x"], "next_x": ["x", "speed"], "next_speed": ["speed", "u"]}
    )
    linear = {
        "u": ([[-0.05]], [0.0]),
        "next_x": ([[0.0], [0.3]], [0.0]),
        "next_speed": ([[0.0], [0.3]], [0.0]),
    }
    venv = hand_set(graph, linear, members=4, std=0.05)
    with torch.no_grad():
        venv.model("u").free_log_std.fill_(np.log(0.5))
    venv.requires_grad_(False)
    logs = []
    for seed in (1, 2):  # short ones, for nothing holds the cart
        parts = [logs_of(venv, 20, seed=10 * seed + i, start=0.5) for i in range(10)]
        logs.append({name: np.concatenate([p[name] for p in parts]) for name in parts[0]})
    ends = list(range(20, 201, 20))
    return venv, rows_of(graph, venv.codec, *logs, ends=[ends, ends])


def seen_with(venv: VirtualEnv, rows: Rows, history: int) -> tuple[DecisionGraph, Rows]:
    graph = venv.graph.with_inputs("u", ["x"], history=history)
    specs = {name: spec for name in graph.nodes if (spec := graph[name].history) is not None}
    return graph, replace(rows, histories=specs)
