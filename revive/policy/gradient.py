"""Whether autograd leads from the reward back to what a policy decides, along the graph and through the steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from revive.data.trajectories import FloatArray
from revive.graph.decision_graph import DecisionGraph
from revive.policy.reward import Reward
from revive.venv.functions import ExpertFunction

_ROWS = 64  # that a function is tried on


def leads_to_action(
    reward: Reward,
    graph: DecisionGraph,
    target: str,
    functions: Mapping[str, ExpertFunction],
    arrays: Mapping[str, FloatArray],
) -> bool:
    """False where a function of the user stops the gradient of anything that the action moves: a part of it alone
    would point the wrong way; and where the reward reads nothing that the action moves, or compares only.

    arrays: node -> (N, d) in physical units.
    """
    moved = moved_by(graph, target)
    for name in moved & functions.keys():
        if not passes_gradient(functions[name], {n: arrays.get(n) for n in graph[name].inputs}):
            return False
    return reward.has_gradient(arrays, sorted(moved))


def moved_by(graph: DecisionGraph, target: str) -> set[str]:
    """The nodes that depend on the action, in its step or in later ones, itself included."""
    moved = {target}
    while True:
        more = {name for name in graph.nodes if name not in moved and _follows(graph, name, moved)}
        if not more:
            return moved
        moved |= more


def _follows(graph: DecisionGraph, name: str, moved: Collection[str]) -> bool:
    node = graph[name]
    causes = [*node.inputs, *([node.history.source] if node.history else [])]
    causes += [graph.next_of(name)] if name in graph.states else []
    return any(cause in moved for cause in causes)


def passes_gradient(function: ExpertFunction, arrays: Mapping[str, FloatArray | None]) -> bool:
    """Whether what the function returns for logged rows depends on its inputs in the eyes of autograd.

    arrays: each of its inputs -> (N, d), None where there are no data; then a function of tensors is trusted.
    """
    inputs = {
        name: torch.as_tensor(array[:_ROWS], dtype=torch.float32).requires_grad_()
        for name, array in arrays.items()
        if array is not None
    }
    if len(inputs) < len(arrays):
        return function.uses_torch
    return bool(function(inputs).requires_grad)
