"""What a venv learner is given: everything about the task, nothing about who learns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.scaling import robust_scale
from revive.data.windows import Rows
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.venv.functions import UserCode
from revive.venv.losses import NodeLoss
from revive.venv.node_model import NetworkSpec
from revive.venv.rules import Rule
from revive.venv.virtual_env import VirtualEnv


@dataclass(frozen=True)
class VenvProblem:
    """Logs of two halves, and the venv that is to be learned from each of them.

    rows: the training and the validation half, as two parts; model space.
    scales: per learned node the robust spread of what its model predicts.
    losses: one-step losses of the user, by node. rule: of the user, about what the venv says.
    earlier: a venv whose nodes are started from where they have the same inputs and shape.
    members, keep: models that are fitted to each half, and how many of them are kept.
    network: their shape; its `hidden` None where the learner is to choose it. nodes: of some nodes by themselves.
    row_weights: of some nodes how much each row counts in their one-step loss, (N,).
    budget: updates that may be spent. device: where all of it is computed.
    """

    graph: DecisionGraph
    codec: Codec
    rows: Rows
    scales: Mapping[str, list[float]]
    losses: Mapping[str, NodeLoss]
    rule: Rule | None
    code: UserCode
    earlier: VirtualEnv | None
    members: int
    keep: int
    network: NetworkSpec
    budget: int
    seed: int
    device: torch.device
    nodes: Mapping[str, NetworkSpec] = field(default_factory=dict)
    row_weights: Mapping[str, Tensor] = field(default_factory=dict)

    def generator(self) -> torch.Generator:
        """A fresh one on the device, from the seed."""
        return torch.Generator(self.device).manual_seed(self.seed)

    def make(self, network: NetworkSpec) -> tuple[VirtualEnv, set[str]]:
        """An untrained venv of both halves' members, and the nodes that were taken from the earlier one.

        Weights are drawn from the seed alone. Raises UserError for a frozen node that no earlier venv holds.
        """
        torch.manual_seed(self.seed)
        venv = VirtualEnv(
            self.graph, self.codec, 2 * self.members, network, self.scales, self.code, nodes=self.nodes
        )
        taken = venv.take_over(self.earlier) if self.earlier is not None else set()
        frozen = [name for name in self.graph.learned if self.graph[name].freeze]
        if missing := [self._lost(name) for name in frozen if name not in taken]:
            raise UserError(*missing)
        for name in frozen:  # rollouts pass gradients through it, which must not reach it
            venv.model(name).requires_grad_(False)
        return venv.to(self.device), taken

    def _lost(self, name: str) -> Problem:
        """Why a frozen node cannot be kept."""
        what = f"'{name}' is to be kept as it was learned before, but "
        if self.earlier is None or name not in self.earlier.models:
            remedy = "name that venv: venv_path=RUN_FOLDER/venv"
            return Problem(f"{what}no earlier venv holds it", place="nodes.freeze", remedy=remedy)
        own = self.earlier.network(name)
        shape = "x".join(map(str, own.layers)) or "linear"
        what += f"that of the earlier venv has other inputs, columns or network ({own.backbone}, {shape})"
        remedy = f"describe '{name}' as it was then, and give it that network: venv.nodes.{name}"
        return Problem(what, place="nodes.freeze", remedy=remedy)


def change_scales(rows: Rows, codec: Codec, graph: DecisionGraph) -> dict[str, list[float]]:
    """Per learned node the robust spread of what its model predicts, from the first part of `rows`."""
    part = torch.arange(rows.parts[0].start, rows.parts[0].stop, device=rows.device)
    scales = {}
    for name in graph.learned:
        ordered = codec.layout(name).ordered
        scales[name] = [1.0] * ordered
        if name in graph.transitions:
            data = rows.at(part, (name, graph.state_of(name)))
            if len(data) == 2:
                change = (data[name] - data[graph.state_of(name)])[:, :ordered]
                scales[name] = robust_scale(change.cpu().numpy()).tolist()
    return scales
