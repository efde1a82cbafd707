"""A policy: what it sees, a linear-skip network, and the legal range its action stays in.

What a policy remembers are the last values of its inputs, which are a part of what it sees; a recurrent one runs over
them anew in each step. So a rollout may start in any row, and no hidden state has to be carried along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.graph.joint import acting_graph, apart
from revive.nn import heads
from revive.nn.heads import Outputs
from revive.policy.bounds import bounded
from revive.policy.joint_net import net_of
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import Actor, VirtualEnv


class Policy(nn.Module):
    """`copies` policies of one shape on the member axis: (P, B, inputs) -> action (P, B, width), model space.

    Either one copy, which acts anywhere, or as many variants for each half of a venv: copy `h * variants + v` is
    variant v of half h.

    `low` and `high` bound its ordered dimensions, `noise` is the standard deviation that exploration adds
    before the bounds, () or of each copy (P, 1, 1); all in model space. repeat: steps that a decision holds in
    rollouts, sessions and controllers; `forward` decides whenever it is asked.
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
        repeat: int = 1,
    ) -> None:
        super().__init__()
        self.repeat = repeat
        self.graph, self.codec, self.target, self.spec, self.copies = graph, codec, target, spec, copies
        self.inputs = graph[target].inputs
        self.layout = codec.layout(target)
        self.net: nn.Module = net_of(graph, codec, target, spec, copies, low, high)
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
        return bounded(action, self.layout, self.low, self.high)

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

        return Actor(self.target, self.inputs, decide, self.graph, self.codec, self.repeat)

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

    def widened(self, variants: int, repeat: int | None = None) -> Policy:
        """As many variants of each copy, all alike; their decisions hold for `repeat` steps, where that is given."""
        index = torch.arange(self.copies, device=self.low.device).repeat_interleave(variants)
        made = self._of({k: v[index] for k, v in self.net.state_dict().items()}, len(index))
        made.repeat = repeat or self.repeat
        return made

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
            self.repeat,
        ).to(self.low.device)
        other.net.load_state_dict(net)
        return other

    def single(self, copy: int, state: dict[str, Tensor] | None = None) -> Policy:
        """One of the copies as a policy of one copy; its network's weights from `state` where given."""
        source = self.net.state_dict() if state is None else state
        return self._of({key: value[copy : copy + 1] for key, value in source.items()}, 1)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` needs to make a policy of the same shape."""
        parts = [part for part, _ in self.graph[self.target].parts]
        graph = apart(self.graph) if parts else self.graph
        said = {"graph": graph.to_json(), "target": parts or self.target, "network": self.spec.to_json()}
        return {**said, **({"repeat": self.repeat} if self.repeat > 1 else {})}

    @classmethod
    def from_json(cls, spec: dict[str, Any]) -> Policy:
        """An untrained policy of one copy, for `load_state_dict` to fill."""
        graph, target = acting_graph(spec)
        codec, network = Codec.empty(graph), NetworkSpec.from_json(spec["network"])
        edge = torch.zeros(codec.layout(target).ordered)
        return cls(graph, codec, target, network, 1, edge, edge, repeat=spec.get("repeat", 1))

    @classmethod
    def filled(cls, spec: dict[str, Any], tensors: Mapping[str, Tensor]) -> Policy:
        """The policy of one copy with these weights, as `stored` gives them."""
        plain = cls.from_json(spec)
        parts = [part for part, _ in plain.graph[plain.target].parts]
        if not parts:
            plain.load_state_dict(dict(tensors))
            return plain
        own = apart(plain.graph)
        codec = Codec.empty(own)
        codec.load_state_dict(
            {k.removeprefix("codec."): v for k, v in tensors.items() if k.startswith("codec.")}
        )
        made = cls(
            plain.graph,
            codec.for_graph(plain.graph),
            plain.target,
            plain.spec,
            1,
            tensors["low"],
            tensors["high"],
            repeat=plain.repeat,
        )
        made.load_state_dict(dict(tensors), strict=False)  # what is joint follows from its parts
        return made

    def stored(self) -> dict[str, Tensor]:
        """Its weights for a bundle, which holds the parts of a joint decision alone."""
        skip = f"codec.nodes.{self.target}." if self.graph[self.target].parts else None
        return {k: v for k, v in self.state_dict().items() if skip is None or not k.startswith(skip)}


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
