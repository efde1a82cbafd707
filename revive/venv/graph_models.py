"""The learned nodes of a decision flow graph: one ensemble of networks for each, and what is known of their weights.

Members of both halves lie side by side, in front of every parameter. `virtual_env` steps and rolls out what is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from revive.data.codec import Codec
from revive.data.declared import declared_effects
from revive.data.layout import Frames
from revive.graph.decision_graph import DecisionGraph
from revive.nn.ensemble import LinearSkipNet
from revive.nn.monotone import MonotoneNet
from revive.venv.columnwise import seen_dimensions
from revive.venv.first_principles import principles_of
from revive.venv.functions import UserCode
from revive.venv.node_model import NetworkSpec, NodeModel
from revive.venv.observer import BURN_IN, Observer


class GraphModels(nn.Module):
    """Graph + codec + node models with a member axis; members of both halves lie side by side.

    Members `0 .. M/2 - 1` learned from the training half, the rest from the validation half. `code` is the
    user's, for function nodes that are not built in and for custom networks.
    """

    halves = 2

    def __init__(
        self,
        graph: DecisionGraph,
        codec: Codec,
        members: int,
        spec: NetworkSpec,
        scales: Mapping[str, list[float]],
        code: UserCode | None = None,
        observed: Sequence[str] = (),
        nodes: Mapping[str, NetworkSpec] | None = None,
    ) -> None:
        super().__init__()
        self.graph = graph
        self.codec = codec
        self.members = members
        self.spec = spec.sized()
        self.nodes = {name: own.sized() for name, own in (nodes or {}).items()}
        self.scales = dict(scales)
        self.code = code or UserCode()
        self.models = nn.ModuleDict(
            {
                name: NodeModel(
                    members,
                    self.input_width(name),
                    codec.layout(name),
                    self.network(name),
                    scales[name],
                    self.code.networks.get(name),
                    seen_dimensions(graph, codec, name),
                    _at_zero(codec, name) if self.network(name).head == "zero_inflated" else None,
                    history_frames(graph, codec, name),
                    list(declared_effects(graph, name)) if self.network(name).backbone == "monotone" else (),
                    principles_of(graph, codec, self.code, name, members),
                )
                for name in graph.learned
            }
        )
        self.observers = nn.ModuleDict()
        self.observe(observed)

    def network(self, node: str) -> NetworkSpec:
        """The shape of a node's network; one that grows has the venv's size where the node has none of its own."""
        own = self.nodes.get(node, self.spec)
        return replace(own, hidden=self.spec.hidden) if own.hidden is None else own

    @property
    def observed(self) -> tuple[str, ...]:
        """The transitions whose values are readings of a latent state."""
        return tuple(self.observers)

    @property
    def burn_in(self) -> int:
        """Readings that a latent state is to be estimated from; 0 where all states are what was read."""
        return BURN_IN if self.observed else 0

    def observe(self, nodes: Sequence[str]) -> None:
        """Take the values of these transitions for readings of a latent state, each with a gain of its own."""
        for name in nodes:
            width, continuous = self.codec.width(name), self.codec.layout(name).continuous
            self.observers[name] = Observer(self.members, width, continuous).to(self.device)

    def observer(self, node: str) -> Observer:
        observer = self.observers[node]
        assert isinstance(observer, Observer)
        return observer

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.codec.buffers()).device

    def model(self, node: str) -> NodeModel:
        model = self.models[node]
        assert isinstance(model, NodeModel)
        return model

    def input_width(self, node: str) -> int:
        return sum(self.codec.width(name) for name in self.graph[node].inputs)

    def current_name(self, node: str) -> str | None:
        """The state node that a transition's change is added to; None where a function of the user stands there."""
        adds = node in self.graph.transitions and self.network(node).transition == "residual"
        adds = adds and self.graph[node].principles is None
        return self.graph.state_of(node) if adds else None

    def members_of(self, half: int) -> slice:
        per_half = self.members // self.halves
        return slice(half * per_half, (half + 1) * per_half)

    def subset(self, members: Tensor) -> Self:
        """A venv of some of the members: indices (m,), half of them of each half."""
        other = type(self)(
            self.graph,
            self.codec,
            len(members),
            self.spec,
            self.scales,
            self.code,
            self.observed,
            self.nodes,
        )
        own = {name for name, _ in self.named_parameters()}
        picked = {key: value[members] if key in own else value for key, value in self.state_dict().items()}
        other.load_state_dict(picked)
        return other.to(self.device).requires_grad_(any(p.requires_grad for p in self.parameters()))

    @torch.no_grad()
    def take_over(self, earlier: GraphModels) -> set[str]:
        """Copy the models of nodes with the same inputs, columns and network; returns their names.

        Members are taken in turn, half by half, where the earlier venv has fewer.
        """
        per_half = torch.arange(self.members // self.halves) % (earlier.members // earlier.halves)
        source = torch.cat([per_half, per_half + earlier.members // earlier.halves])
        taken = set()
        for name in self.graph.learned:
            if name not in earlier.models:
                continue
            mine, theirs = self.graph[name], earlier.graph[name]
            if (mine.inputs, mine.unseen) != (theirs.inputs, theirs.unseen):
                continue
            own, other = self.model(name), earlier.model(name)
            if own.spec.kind != other.spec.kind or (
                own.spec.backbone == "monotone" and mine.effects != theirs.effects
            ):
                continue
            shapes = {k: v.shape[1:] for k, v in own.named_parameters()}
            if shapes != {k: v.shape[1:] for k, v in other.named_parameters()}:
                continue
            for key, value in other.named_parameters():
                own.get_parameter(key).copy_(value[source])
            own.scale.copy_(other.scale)
            if isinstance(own.net, MonotoneNet) and isinstance(other.net, MonotoneNet):
                own.net.shift.copy_(other.net.shift)  # which follows from the scale
            self.scales[name] = earlier.scales[name]
            taken.add(name)
        return taken

    @torch.no_grad()
    def widen_from(self, narrower: GraphModels) -> None:
        """Say what a venv of the same graph and members with fewer hidden units says; user's networks are copied."""
        for name in self.graph.learned:
            own, other = self.model(name), narrower.model(name)
            if isinstance(own.net, LinearSkipNet) and isinstance(other.net, LinearSkipNet) and own.spec.grows:
                own.net.widen_from(other.net)
                own.free_log_std.copy_(other.free_log_std)
                if own.head is not None and other.head is not None:
                    own.head.load_state_dict(other.head.state_dict())
            else:
                own.load_state_dict(other.state_dict())
        self.observers.load_state_dict(narrower.observers.state_dict())

    def to_json(self) -> dict[str, Any]:
        """What `from_json` needs to make a venv of the same shape."""
        return {
            "graph": self.graph.to_json(),
            "members": self.members,
            "network": self.spec.to_json(),
            "scales": self.scales,
            "observed": list(self.observed),
            **({"nodes": {name: spec.to_json() for name, spec in self.nodes.items()}} if self.nodes else {}),
        }

    @classmethod
    def from_json(cls, spec: dict[str, Any], code: UserCode | None = None) -> Self:
        """An untrained venv, for `load_state_dict` to fill."""
        graph = DecisionGraph.from_json(spec["graph"])
        network = NetworkSpec.from_json(spec["network"])
        observed = spec.get("observed", ())
        nodes = {name: NetworkSpec.from_json(own) for name, own in spec.get("nodes", {}).items()}
        return cls(graph, Codec.empty(graph), spec["members"], network, spec["scales"], code, observed, nodes)


def _at_zero(codec: Codec, node: str) -> Tensor:
    """Where the continuous dimensions of a node lie in model space when its columns are zero."""
    one = codec[node]
    zero = one.encode(torch.zeros(1, len(one.columns), dtype=torch.float64, device=one.center.device))[0]
    continuous = codec.layout(node).continuous
    return zero[: one.layout.continuous].repeat(continuous // max(1, one.layout.continuous))


def history_frames(graph: DecisionGraph, codec: Codec, node: str) -> list[Frames]:
    """The histories among the inputs of a node."""
    found, start = [], 0
    for source in graph[node].inputs:
        width, one = codec.width(source), codec[source].width
        if width > one:
            state = graph.source_of(source)
            own = node in graph.transitions and state == graph.state_of(node)
            found.append(Frames(start, width // one, one, state in graph.states, own))
        start += width
    return found
