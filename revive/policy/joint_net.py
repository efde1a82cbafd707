"""The network of a policy; of one that decides several nodes, a network for each of them.

Nodes are decided one after the other. Each network sees what its own node sees; what an earlier node was decided to be
reaches a later one as it is before exploration is added, so that explored actions are independent given what is seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from revive.data.codec import Codec
from revive.data.joint import places_of
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import apart
from revive.nn import heads
from revive.nn.backbones import make_net
from revive.nn.heads import Outputs
from revive.policy.bounds import bounded
from revive.venv.graph_models import history_frames
from revive.venv.joint import input_slices
from revive.venv.node_model import NetworkSpec


def net_of(
    graph: DecisionGraph,
    codec: Codec,
    target: str,
    spec: NetworkSpec,
    copies: int,
    low: Tensor,
    high: Tensor,
) -> nn.Module:
    """(P, B, inputs) -> (P, B, width) of `target`. low, high: the legal range of its ordered dimensions."""
    if not graph[target].parts:
        return _net_of_one(graph, codec, target, spec, copies)
    own = apart(graph)
    codec_of_parts = codec.for_graph(own)
    nets = {name: _net_of_one(own, codec_of_parts, name, spec, copies) for name, _ in graph[target].parts}
    return JointNet(graph, codec, target, nets, low, high)


def _net_of_one(graph: DecisionGraph, codec: Codec, target: str, spec: NetworkSpec, copies: int) -> nn.Module:
    return make_net(
        spec.backbone,
        copies,
        sum(codec.width(name) for name in graph[target].inputs),
        codec.layout(target).width,
        hidden=spec.layers,
        activation=spec.activation,
        norm=False,
        frames=history_frames(graph, codec, target),
    )


class JointNet(nn.Module):
    """The networks of the parts of the joint decision `target`, in the order of decision.

    nets: part -> its network. low, high: (ordered,) the legal range of `target`, in model space.
    """

    def __init__(
        self,
        graph: DecisionGraph,
        codec: Codec,
        target: str,
        nets: Mapping[str, nn.Module],
        low: Tensor,
        high: Tensor,
    ) -> None:
        super().__init__()
        seen, where = dict(graph[target].parts), places_of(graph, target)
        self.names = tuple(where)
        self.inputs = tuple(seen[name] for name in self.names)
        self.layouts = tuple(codec.layout(name) for name in self.names)
        self.parts = nn.ModuleList(nets[name] for name in self.names)
        self.slices = input_slices(codec, graph[target].inputs)
        self.seen_later = {source for inputs in self.inputs for source in inputs if source in where}
        order = torch.tensor([i for name in self.names for i in where[name]], device=low.device)
        self._keep("order", order.argsort())
        for number, name in enumerate(self.names):
            edges = where[name][: self.layouts[number].ordered]
            self._keep(f"low_{number}", low[edges])
            self._keep(f"high_{number}", high[edges])

    def _keep(self, name: str, value: Tensor) -> None:
        """Beside the weights, all of which have an axis of copies in front."""
        self.register_buffer(name, value.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """What the networks say side by side, before bounds, as one node says it; see `net_of`."""
        said, decided = [], dict[str, Tensor]()
        for number, (name, inputs) in enumerate(zip(self.names, self.inputs, strict=True)):
            seen = [decided[s] if s in decided else x[..., self.slices[s]] for s in inputs]
            said.append(self.parts[number](torch.cat(seen, dim=-1)))
            if name in self.seen_later:
                decided[name] = self._decided(number, said[-1])
        return torch.cat(said, dim=-1)[..., self.get_buffer("order")]

    def _decided(self, number: int, said: Tensor) -> Tensor:
        layout = self.layouts[number]
        logits = None if layout.width == layout.ordered else said[..., layout.ordered :]
        mean = said[..., : layout.ordered]
        action = heads.mode(Outputs(mean, torch.zeros_like(mean), logits), layout)
        return bounded(action, layout, self.get_buffer(f"low_{number}"), self.get_buffer(f"high_{number}"))
