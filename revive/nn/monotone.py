"""A network that is monotone in declared inputs whatever its weights are.

`y = A x + b + sum_j |W_j| h_j`, where every unit h_j rises with `s_i x_i` for each input i of a declared sign s_i:
weights that lead there from such an input are taken as `s |w|`, all later ones as `|w|`, and a third of the units each
is convex, concave and bounded, so that positive weights can bend a response both ways (Sill 1997, Monotonic networks,
NIPS 10; Runje and Shankaranarayana 2023, Constrained monotonic neural networks, arXiv:2205.11775). All other inputs
first go through a layer of their own with weights of any sign, and so act freely. The coefficient of a declared input
in A is `s |a|` too; where the input is the state that a change is added to, that of the sum is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from revive.data.declared import Pattern, distinct
from revive.nn.ensemble import ACTIVATIONS, Activation, EnsembleLinear, SkipNet

LEAST = (
    0.01  # of a declared coefficient at the start, in model space: a flat start would be slow to learn from
)
GAIN = math.sqrt(3.0)
SUM = 6.0  # of the positive weights that lead into a unit, as they are drawn


class MonotoneNet(SkipNet):
    """x (M, B, inputs) -> (M, B, outputs), each output with the signs that are declared of it.

    signs: of each output. shift (inputs, outputs): what is added to a slope outside of the network, where a sign is
    declared of the sum. hidden: widths of the layers; the first is also that of the layer over the free inputs.
    """

    signs: Tensor
    shift: Tensor

    def __init__(
        self,
        members: int,
        hidden: Sequence[int],
        activation: Activation,
        signs: Sequence[Pattern],
        shift: Tensor,
    ) -> None:
        inputs, outputs = len(signs[0]), len(signs)
        super().__init__(members, inputs, outputs, activation)
        self.register_buffer(
            "signs", torch.tensor(signs).mT, persistent=False
        )  # the graph of a bundle says it
        self.register_buffer("shift", shift, persistent=False)
        kinds = distinct(signs)
        self.blocks = nn.ModuleList(SignedFeatures(members, hidden, activation, kind) for kind in kinds)
        self.of_block = [[o for o, own in enumerate(signs) if own == kind] for kind in kinds]
        order = [o for own in self.of_block for o in own]
        self.register_buffer("place", torch.tensor(order).argsort(), persistent=False)
        self.finish(members, hidden[-1], outputs)

    place: Tensor

    def slopes(self) -> Tensor:
        """A, (M, inputs, outputs)."""
        return torch.where(
            self.signs != 0.0, self.signs * self.skip.weight.abs() - self.shift, self.skip.weight
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for block, own in zip(self.blocks, self.of_block, strict=True):
            last = self.last[..., own]
            assert isinstance(block, SignedFeatures)
            parts.append(block(x) @ (last.abs() if block.is_signed else last))
        bent = torch.cat(parts, dim=-1)[..., self.place]
        return torch.baddbmm(self.skip.bias, x, self.slopes()) + bent

    @torch.no_grad()
    def put_linear(self, weight: Tensor, bias: Tensor) -> None:
        """As of every network; a coefficient of the wrong sign is next to nothing."""
        super().put_linear(weight, bias)
        raw = self.signs * (self.skip.weight + self.shift)
        self.skip.weight.copy_(torch.where(self.signs != 0.0, raw.clamp_min(LEAST), self.skip.weight))


class SignedFeatures(nn.Module):
    """Units that rise with `sign * x` in every input that has a sign: (M, B, inputs) -> (M, B, hidden[-1])."""

    signs: Tensor

    def __init__(
        self, members: int, hidden: Sequence[int], activation: Activation, signs: Sequence[float]
    ) -> None:
        super().__init__()
        inputs, first = len(signs), hidden[0]
        self.activation = ACTIVATIONS[activation]
        self.is_signed = any(signs)
        self.register_buffer("signs", torch.tensor(signs).unsqueeze(-1), persistent=False)  # (inputs, 1)
        self.embed = EnsembleLinear(members, inputs, first, GAIN)
        self.into = EnsembleLinear(members, first, first, GAIN)
        self.direct = nn.Parameter(torch.empty(members, inputs, first).uniform_(-2, 2) * GAIN / inputs**0.5)
        self.layers = nn.ModuleList(EnsembleLinear(members, a, b, GAIN) for a, b in pairwise(hidden))
        if self.is_signed:
            with torch.no_grad():
                for layer, (before, _) in zip(self.layers, pairwise(hidden), strict=True):
                    assert isinstance(layer, EnsembleLinear)
                    layer.weight.uniform_(-2.0 * SUM / before, 2.0 * SUM / before)

    def forward(self, x: Tensor) -> Tensor:
        free = self.activation(self.embed(x * (self.signs == 0.0).mT))
        direct = torch.where(self.signs != 0.0, self.signs * self.direct.abs(), self.direct)
        h = bent(torch.baddbmm(self.into(free), x, direct))
        for layer in self.layers:
            assert isinstance(layer, EnsembleLinear)
            weight = layer.weight.abs() if self.is_signed else layer.weight
            h = bent(torch.baddbmm(layer.bias, h, weight))
        return h


def bent(h: Tensor) -> Tensor:
    """A third of the units convex, a third concave, the rest bounded; all rise, and all are 0 at 0."""
    width = h.shape[-1]
    convex, concave, bounded = h.split([width // 3, width // 3, width - 2 * (width // 3)], dim=-1)
    return torch.cat(
        [softplus(convex) - math.log(2.0), math.log(2.0) - softplus(-concave), torch.tanh(bounded)], dim=-1
    )
