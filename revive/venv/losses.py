"""One-step losses of the user: `nodes: {NODE: {loss_type: user_module.FUNCTION}}`, from the file `venv.user_module`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from revive.data.layout import Layout
from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.nn import heads
from revive.nn.heads import Outputs
from revive.user_code import load_module, raised_in, require_function

PREFIX = "user_module."


@dataclass(frozen=True)
class NodeDistribution:
    """What a model says about a node, in model space, for a user's loss."""

    outputs: Outputs
    layout: Layout

    @property
    def mean(self) -> Tensor:
        """Of the ordered dimensions, (M, B, ordered)."""
        return self.outputs.mean

    @property
    def std(self) -> Tensor:
        """Of the ordered dimensions, (M, B, ordered)."""
        return self.outputs.log_std.exp().expand_as(self.outputs.mean)

    @property
    def mode(self) -> Tensor:
        """The likeliest value, (M, B, width)."""
        return heads.mode(self.outputs, self.layout)

    def log_prob(self, value: Tensor) -> Tensor:
        """Of values (M, B, width), summed over dimensions: (M, B)."""
        return -heads.terms(self.outputs, self.layout, value).sum(-1)


class NodeLoss:
    """`function({"node_name", "node_dist", "expert_data", "graph"})`, a tensor (M, B) or (M, B, n) to be averaged."""

    def __init__(self, node: str, function: Callable[[dict[str, Any]], Tensor], path: Path, graph: DecisionGraph) -> None:
        self.node, self.function, self.path, self.graph = node, function, path, graph

    def __call__(self, outputs: Outputs, layout: Layout, target: Tensor) -> Tensor:
        """target (M, B, width) in model space -> (M, B, terms). Raises UserError for a wrong shape."""
        said = {
            "node_name": self.node,
            "node_dist": NodeDistribution(outputs, layout),
            "expert_data": target,
            "graph": self.graph,
        }
        try:
            loss = self.function(said)
        except Exception as error:
            raise UserError(raised_in(self.path, error)) from error
        if not isinstance(loss, Tensor) or loss.shape[:2] != target.shape[:2] or loss.dim() > 3:
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            wanted = f"{tuple(target.shape[:2])} or {tuple(target.shape[:2])} with a third axis"
            raise UserError(Problem(f"the loss of '{self.node}' is {shape}, wanted is {wanted}", self.path))
        per_row = loss if loss.dim() == 2 else loss.mean(-1)
        return per_row.unsqueeze(-1).expand(*per_row.shape, layout.ordered + len(layout.choices))


def load_losses(graph: DecisionGraph, path: Path | None) -> dict[str, NodeLoss]:
    """Node -> the user's loss. Raises UserError where a function is missing, or the file that should hold it."""
    wanted = {
        name: kind.removeprefix(PREFIX)
        for name in graph.learned
        if (kind := graph[name].loss_type) and kind.startswith(PREFIX)
    }
    if not wanted:
        return {}
    if path is None:
        nodes = ", ".join(wanted)
        remedy = "name the file of the functions: venv.user_module=FILE"
        raise UserError(Problem(f"the loss_type of {nodes} is a function of the user", place="venv.user_module", remedy=remedy))
    module, problems = load_module(path), Problems()
    for function in wanted.values():
        try:
            require_function(module, function, path)
        except UserError as error:
            problems.extend(error.problems)
    problems.raise_if_any()
    return {name: NodeLoss(name, getattr(module, function), path, graph) for name, function in wanted.items()}

