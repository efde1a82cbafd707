"""One-step losses of the user: `nodes: {NODE: {loss_type: user_module.FUNCTION}}`, from the file `venv.user_module`.

The function is asked member by member, so that it sees rows (B, d) as in REVIVE and may return their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from revive.data.layout import Layout
from revive.errors import Problem, Problems, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.nn.distribution import NodeDistribution
from revive.nn.heads import Outputs
from revive.user_code import load_module, raised_in, require_function

PREFIX = "user_module."


class NodeLoss:
    """`function({"node_name", "node_dist", "expert_data", "graph"})`, a scalar, or (B,) or (B, n) to be averaged.

    expert_data: node -> its logged values (B, width) in model space, those of all nodes of a time step.
    """

    def __init__(
        self, node: str, function: Callable[[dict[str, Any]], Tensor], path: Path, graph: DecisionGraph
    ) -> None:
        self.node, self.function, self.path, self.graph = node, function, path, graph

    def __call__(self, outputs: Outputs, layout: Layout, batch: Mapping[str, Tensor]) -> Tensor:
        """batch: node -> (M, B, width) in model space -> (M, B, terms). Raises UserError for a wrong shape."""
        members, rows = batch[self.node].shape[:2]
        terms = layout.ordered + len(layout.choices)
        each = [self._of_member(member, outputs, layout, batch) for member in range(members)]
        return torch.stack(each).unsqueeze(-1).expand(members, rows, terms)

    def _of_member(
        self, member: int, outputs: Outputs, layout: Layout, batch: Mapping[str, Tensor]
    ) -> Tensor:
        """The loss of one member on its rows, (B,)."""
        rows = batch[self.node].shape[1]
        own = outputs.mapped(lambda part: part[member])
        said = {
            "node_name": self.node,
            "node_dist": NodeDistribution(own, layout),
            "expert_data": {name: value[member] for name, value in batch.items()},
            "graph": self.graph,
        }
        try:
            loss = self.function(said)
        except (Exception, SystemExit) as error:
            raise UserError(raised_in(self.path, error)) from error
        if not isinstance(loss, Tensor) or loss.dim() > 2 or (loss.dim() > 0 and len(loss) != rows):
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            wanted = f"a single number, ({rows},) or ({rows}, n)"
            what = f"the loss of '{self.node}' is {shape} for {rows} rows, wanted is {wanted}"
            raise UserError(Problem(what, self.path, remedy="reduce over the last axis, or over everything"))
        if own.mean.requires_grad and torch.is_grad_enabled() and not loss.requires_grad:
            what = f"the loss of '{self.node}' passes on no gradient, so nothing can be learned from it"
            remedy = "compute it from node_dist with torch functions, without detach, item or numpy"
            raise UserError(Problem(what, self.path, remedy=remedy))
        per_row = loss.mean(-1) if loss.dim() == 2 else loss
        return per_row.expand(rows)


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
        raise UserError(
            Problem(
                f"the loss_type of {nodes} is a function of the user", place="venv.user_module", remedy=remedy
            )
        )
    module, problems = load_module(path), Problems()
    for function in wanted.values():
        try:
            require_function(module, function, path)
        except UserError as error:
            problems.extend(error.problems)
    problems.raise_if_any()
    return {name: NodeLoss(name, getattr(module, function), path, graph) for name, function in wanted.items()}
