"""A venv as the one who decides several of its nodes together meets it (see `revive.graph.joint`)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Self

import torch
from torch import Tensor, nn

from revive.data.codec import Codec
from revive.data.joint import places_of
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import apart, together
from revive.nn.heads import Outputs
from revive.venv.graph_models import GraphModels
from revive.venv.node_model import NodeModel
from revive.venv.virtual_env import VirtualEnv


class JointEnv(VirtualEnv):
    """The models of `plain`, in whose graph the decisions `targets` are one node. Weights are shared."""

    def __init__(self, plain: VirtualEnv, targets: tuple[str, ...]) -> None:
        nn.Module.__init__(self)
        graph = together(plain.graph, targets)
        self.graph, self.codec, self.targets = graph, plain.codec.for_graph(graph), targets
        self.members, self.spec, self.nodes = plain.members, plain.spec, plain.nodes
        self.scales, self.code, self._plain = plain.scales, plain.code, [plain]
        self.models = nn.ModuleDict(
            {
                name: JointModel(plain, graph, name) if graph[name].parts else plain.models[name]
                for name in graph.learned
            }
        )
        self.observers = plain.observers

    @property
    def plain(self) -> VirtualEnv:
        """The venv in whose graph each of the targets is a decision of its own."""
        return self._plain[0]

    def subset(self, members: Tensor) -> Self:
        return type(self)(self.plain.subset(members), self.targets)


def decided_together(venv: VirtualEnv, targets: tuple[str, ...]) -> VirtualEnv:
    """The venv in which `targets` are one decision, itself where there is only one."""
    return JointEnv(venv, targets) if len(targets) > 1 else venv


class JointOutputs(Outputs):
    """What the parts say, side by side, each with the likeliest value of those before it; and what they saw."""

    seen: Tensor


class JointModel(NodeModel):
    """The logs' controllers of several nodes as the model of one: drawn one after the other."""

    def __init__(self, venv: GraphModels, graph: DecisionGraph, joint: str) -> None:
        nn.Module.__init__(self)
        own, where = apart(graph), places_of(graph, joint)
        self.names, self.spec = tuple(where), venv.spec
        self.layout = venv.codec.for_graph(graph).layout(joint)
        self.inputs = {name: own[name].inputs for name in where}
        self.parts = nn.ModuleList(venv.model(name) for name in where)
        self.slices = input_slices(venv.codec, graph[joint].inputs)
        self.where = {name: torch.tensor(index) for name, index in where.items()}
        self.register_buffer("scale", torch.ones(self.layout.ordered, device=venv.device), persistent=False)

    def forward(self, x: Tensor, current: Tensor | None) -> Outputs:
        said, _ = self._said(x, None)
        full = self._joint([_side_by_side(out.mean, out.logits) for out in said])
        std = self._joint([_side_by_side(out.log_std.expand_as(out.mean), out.logits) for out in said])
        o = self.layout.ordered
        logits = full[..., o:] if full.shape[-1] > o else None
        made = JointOutputs(full[..., :o], std[..., :o], logits)
        made.seen = x
        return made

    def drawn(self, out: Outputs, eps: Tensor | None) -> Tensor:
        assert isinstance(out, JointOutputs)
        return self._joint(self._said(out.seen, eps)[1])

    def _joint(self, values: list[Tensor]) -> Tensor:
        """What the parts have, side by side, as the one node has it."""
        order = torch.cat([self.where[name] for name in self.names]).argsort()
        return torch.cat(values, -1)[..., order]

    def mean(self, x: Tensor) -> Tensor:
        return self(x, None).mean

    def _said(self, x: Tensor, eps: Tensor | None) -> tuple[list[Outputs], list[Tensor]]:
        """What each part says, and its value: drawn with its share of the noise, or the likeliest."""
        said, values = [], dict[str, Tensor]()
        for name, part in zip(self.names, self.parts, strict=True):
            assert isinstance(part, NodeModel)
            seen = [values[s] if s in values else x[..., self.slices[s]] for s in self.inputs[name]]
            said.append(part(torch.cat(seen, dim=-1), None))
            values[name] = part.drawn(said[-1], None if eps is None else eps[..., self.where[name]])
        return said, list(values.values())


def input_slices(codec: Codec, inputs: Sequence[str]) -> dict[str, slice]:
    """Where each input stands among those of a network."""
    stops = accumulate(codec.width(name) for name in inputs)
    return {name: slice(stop - codec.width(name), stop) for name, stop in zip(inputs, stops, strict=True)}


def _side_by_side(ordered: Tensor, logits: Tensor | None) -> Tensor:
    return ordered if logits is None else torch.cat([ordered, logits], dim=-1)
