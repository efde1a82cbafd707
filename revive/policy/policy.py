"""A policy: what it sees, a linear-skip network, and the legal range its action stays in.

What a policy remembers are the last values of its inputs, which are a part of what it sees; a recurrent one runs over
them anew in each step. So a rollout may start in any row, and no hidden state has to be carried along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.nn import heads
from revive.nn.backbones import make_net
from revive.nn.heads import Outputs
from revive.venv.graph_models import history_frames
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import Actor, VirtualEnv

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


def soft_clip_slope(x: Tensor, low: Tensor, high: Tensor, softness: float = SOFTNESS) -> Tensor:
    """The derivative of `soft_clip`, for the density of what it returns; never quite zero."""
    soft = ((high - low) / 10.0).clamp(1e-6, softness)
    return (((x - low) / soft).sigmoid() - ((x - high) / soft).sigmoid()).clamp_min(1e-6)


class Policy(nn.Module):
    """`copies` policies of one shape on the member axis: (P, B, inputs) -> action (P, B, width), model space.

    Either one copy, which acts anywhere, or as many variants for each half of a venv: copy `h * variants + v` is
    variant v of half h.

    `low` and `high` bound its ordered dimensions, `noise` is the standard deviation that exploration adds
    before the bounds, () or of each copy (P, 1, 1); all in model space.
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
        self.net = make_net(
            spec.backbone,
            copies,
            inputs,
            self.layout.width,
            hidden=spec.layers,
            activation=spec.activation,
            norm=False,
            frames=history_frames(graph, codec, target),
        )
        self.register_buffer("low", low.clone())
        self.register_buffer("high", high.clone())
        self.register_buffer("noise", torch.tensor(float(noise)))

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x (P, B, inputs) -> the action; with a generator, exploration is added."""
        out = self.distribution(x)
        if generator is None:
            action = heads.mode(out, self.layout)
        else:
            action = heads.sample(out, self.layout, self._noise(x, generator))
        return self.bounded(action)

    def bounded(self, action: Tensor) -> Tensor:
        """(..., width), as `distribution` says it, inside the legal range."""
        if self.layout.is_plain:
            return soft_clip(action, self.low, self.high)
        c = self.layout.continuous
        bounded = soft_clip(action[..., :c], self.low[:c], self.high[:c])
        return torch.cat([bounded, action[..., c:]], dim=-1)

    def _noise(self, x: Tensor, generator: torch.Generator) -> Tensor:
        shape = (*x.shape[:-1], self.layout.width)
        return torch.randn(shape, generator=generator, device=generator.device)

    def distribution(self, x: Tensor) -> Outputs:
        """What exploration samples from, before the bounds: (P, B, ...)."""
        out, ordered = self.net(x), self.layout.ordered
        logits = out[..., ordered:] if ordered < self.layout.width else None
        mean = out[..., :ordered]
        return Outputs(mean, self.noise.clamp_min(1e-6).log().expand_as(mean), logits)

    def actor(self, *, swap: bool = False, generator: torch.Generator | None = None) -> Actor:
        """As a part of a rollout over (M, B): a half's variants share its members and split the branches evenly.

        Branches `v * b .. (v + 1) * b - 1`, b = B / variants, are those of variant v.
        swap: the copies change places, so that each acts in the half that it did not learn in.
        generator: explore with it.
        """

        def decide(x: Tensor) -> Tensor:
            action = self(self.by_copy(x, swap), generator)
            return self.by_branch(action, x.shape[0], swap)

        return Actor(self.target, self.inputs, decide, self.graph, self.codec)

    @property
    def variants(self) -> int:
        """Policies of each half."""
        return max(1, self.copies // VirtualEnv.halves)

    def by_copy(self, x: Tensor, swap: bool = False) -> Tensor:
        """(..., M, B, d) of a rollout -> (..., P, n, d), every copy's branches side by side, member by member."""
        *time, members, branches, width = x.shape
        if self.copies == 1:
            return x.reshape(*time, 1, members * branches, width)
        halves, v = VirtualEnv.halves, self.variants
        parts = x.reshape(*time, halves, members // halves, v, branches // v, width).transpose(-3, -4)
        parts = parts.flip(-5) if swap else parts
        return parts.reshape(*time, self.copies, -1, width)

    def by_branch(self, y: Tensor, members: int, swap: bool = False) -> Tensor:
        """The reverse of `by_copy`: (..., P, n, d) -> (..., M, B, d)."""
        *time, _, count, width = y.shape
        if self.copies == 1:
            return y.reshape(*time, members, -1, width)
        halves, v = VirtualEnv.halves, self.variants
        per_half = members // halves
        parts = y.reshape(*time, halves, v, per_half, count // per_half, width)
        parts = parts.flip(-5) if swap else parts
        return parts.transpose(-3, -4).reshape(*time, members, v * (count // per_half), width)

    def widened(self, variants: int) -> Policy:
        """As many variants of each copy, all alike."""
        index = torch.arange(self.copies, device=self.low.device).repeat_interleave(variants)
        return self._of({k: v[index] for k, v in self.net.state_dict().items()}, len(index))

    @classmethod
    def stacked(cls, policies: Sequence[Policy]) -> Policy:
        """Policies of one copy and one shape, side by side."""
        states = [policy.net.state_dict() for policy in policies]
        net = {key: torch.cat([state[key] for state in states]) for key in states[0]}
        return policies[0]._of(net, len(policies))

    def _of(self, net: Mapping[str, Tensor], copies: int) -> Policy:
        other = Policy(
            self.graph,
            self.codec,
            self.target,
            self.spec,
            copies,
            self.low,
            self.high,
            float(self.noise.max()),
        ).to(self.low.device)
        other.net.load_state_dict(net)
        return other

    def single(self, copy: int, state: dict[str, Tensor] | None = None) -> Policy:
        """One of the copies as a policy of one copy; its network's weights from `state` where given."""
        source = self.net.state_dict() if state is None else state
        return self._of({key: value[copy : copy + 1] for key, value in source.items()}, 1)

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
    """The range that a policy keeps the ordered dimensions of `target` in, in model space.

    Declared bounds where the description has them, else the logged range `low`, `high` (width,). A column that never
    varies in the logs stays as it was, because nothing says what another value would do.
    """
    node, ordered = codec[target], codec.layout(target).ordered
    edges = (low[:ordered].clone(), high[:ordered].clone())
    for dimension in range(ordered):
        column = graph.columns(target)[node.terms[dimension]]
        for edge, bound in zip(edges, (column.min, column.max), strict=True):
            if bound is not None and column.scale != "cyclic" and low[dimension] < high[dimension]:
                edge[dimension] = node.bound(dimension, bound)
    return edges
