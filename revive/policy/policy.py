"""A policy: what it sees, a linear-skip network, and the legal range its action stays in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.nn import heads
from revive.nn.ensemble import LinearSkipNet
from revive.nn.heads import Outputs
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import Actor

SOFTNESS = 0.3  # of the bounds, in model space


def soft_clip(x: Tensor, low: Tensor, high: Tensor, softness: float = SOFTNESS) -> Tensor:
    """`x` between the bounds, smooth at both, and `x` itself (to 1 % of it) five `softness` away from them.

    A controller that is affine inside its range stays affine, which a tanh over a wide legal range would
    bend; a gradient remains near the bounds, which a hard clamp would cut. In a narrow range the softness is a
    tenth of it.
    """
    soft = ((high - low) / 10.0).clamp(1e-6, softness)
    inside = low + soft * (softplus((x - low) / soft) - softplus((x - high) / soft))
    return torch.minimum(torch.maximum(inside, low), high)  # against rounding far outside


class Policy(nn.Module):
    """`copies` policies of one shape on the member axis: (P, B, inputs) -> action (P, B, width), model space.

    `low` and `high` bound its ordered dimensions, `noise` is the standard deviation that exploration adds
    before the bounds; all in model space.
    """

    low: Tensor
    high: Tensor
    noise: Tensor

    def __init__(
        self,
        graph: DecisionGraph,
        codec: Codec,
        target: str,
        spec: NetworkSpec,
        copies: int,
        low: Tensor,
        high: Tensor,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.graph, self.codec, self.target, self.spec, self.copies = graph, codec, target, spec, copies
        self.inputs = graph[target].inputs
        self.layout = codec.layout(target)
        inputs = sum(codec.width(name) for name in self.inputs)
        self.net = LinearSkipNet(copies, inputs, self.layout.width, spec.hidden, spec.activation)
        self.register_buffer("low", low.clone())
        self.register_buffer("high", high.clone())
        self.register_buffer("noise", torch.tensor(float(noise)))

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x (P, B, inputs) -> the action; with a generator, exploration is added."""
        out = self.distribution(x)
        if generator is None:
            action = heads.mode(out, self.layout)
        else:
            action = heads.sample(
                out, self.layout, torch.randn(*x.shape[:-1], self.layout.width, generator=generator)
            )
        if self.layout.is_plain:
            return soft_clip(action, self.low, self.high)
        c = self.layout.continuous
        bounded = soft_clip(action[..., :c], self.low[:c], self.high[:c])
        return torch.cat([bounded, action[..., c:]], dim=-1)

    def distribution(self, x: Tensor) -> Outputs:
        """What exploration samples from, before the bounds: (P, B, ...)."""
        out, ordered = self.net(x), self.layout.ordered
        logits = out[..., ordered:] if ordered < self.layout.width else None
        return Outputs(out[..., :ordered], self.noise.clamp_min(1e-6).log().expand(ordered), logits)

    def actor(self, *, swap: bool = False, generator: torch.Generator | None = None) -> Actor:
        """As a part of a rollout over (M, B): copy i decides under the i-th of `copies` runs of members.

        swap: the copies change places, so that each acts in the half that it did not learn in.
        generator: explore with it.
        """

        def decide(x: Tensor) -> Tensor:
            own = x.reshape(self.copies, -1, x.shape[-1])
            own = own.flip(0) if swap else own
            action = self(own, generator)
            action = action.flip(0) if swap else action
            return action.reshape(*x.shape[:-1], -1)

        return Actor(self.target, self.inputs, decide, self.graph, self.codec)

    def single(self, copy: int, state: dict[str, Tensor] | None = None) -> Policy:
        """One of the copies, with the weights of `state` where given, as a policy of one copy."""
        source = state or self.state_dict()
        names = {name for name, _ in self.net.named_parameters(prefix="net")}
        picked = {k: v[copy : copy + 1].clone() if k in names else v.clone() for k, v in source.items()}
        one = Policy(
            self.graph, self.codec, self.target, self.spec, 1, self.low, self.high, float(self.noise)
        )
        one.load_state_dict(picked)
        return one

    def to_json(self) -> dict[str, Any]:
        """What `from_json` needs to make a policy of the same shape."""
        return {"graph": self.graph.to_json(), "target": self.target, "network": self.spec.to_json()}

    @classmethod
    def from_json(cls, spec: dict[str, Any]) -> Policy:
        """An untrained policy of one copy, for `load_state_dict` to fill."""
        graph = DecisionGraph.from_json(spec["graph"])
        codec, network = Codec.empty(graph), NetworkSpec.from_json(spec["network"])
        edge = torch.zeros(codec.layout(spec["target"]).ordered)
        return cls(graph, codec, spec["target"], network, 1, edge, edge)


def action_range(
    graph: DecisionGraph, codec: Codec, target: str, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """The legal range of the ordered dimensions of `target` in model space.

    Declared bounds where the description has them, else the logged range `low`, `high` (width,).
    """
    node, ordered = codec[target], codec.layout(target).ordered
    edges = (low[:ordered].clone(), high[:ordered].clone())
    for dimension in range(ordered):
        column = graph.columns(target)[node.terms[dimension]]
        for edge, bound in zip(edges, (column.min, column.max), strict=True):
            if bound is not None and column.scale != "cyclic":
                edge[dimension] = node.bound(dimension, bound)
    return edges
