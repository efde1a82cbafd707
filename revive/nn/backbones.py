"""Features for a linear-skip network beside those of the perceptron: residual, over time, by attention, monotone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import torch
from torch import Tensor, nn

from revive.data.declared import Pattern
from revive.data.layout import Frames
from revive.nn.any_step import AnyStepNet
from revive.nn.ensemble import Activation, EnsembleLinear, EnsembleNorm, LinearSkipNet, SkipNet
from revive.nn.monotone import MonotoneNet
from revive.nn.over_time import GAIN, LSTMNet, OverTime, RecurrentNet, TransformerNet

Backbone = Literal["mlp", "residual", "gru", "lstm", "transformer", "any_step", "monotone"]
USUAL_HIDDEN: Final = (64, 64)  # of backbones that do not grow
OVER_TIME: Final[dict[str, type[OverTime]]] = {
    "gru": RecurrentNet,
    "lstm": LSTMNet,
    "transformer": TransformerNet,
    "any_step": AnyStepNet,
}


class ResidualNet(SkipNet):
    """Blocks `h = LN(h + W2 act(W1 h))`, one for each entry of `hidden` (He et al. 2016, arXiv:1512.03385)."""

    def __init__(
        self, members: int, inputs: int, outputs: int, hidden: Sequence[int], activation: Activation = "silu"
    ) -> None:
        super().__init__(members, inputs, outputs, activation)
        width = hidden[0]
        self.into = EnsembleLinear(members, inputs, width, GAIN)
        self.inner = nn.ModuleList(EnsembleLinear(members, width, inner, GAIN) for inner in hidden)
        self.back = nn.ModuleList(EnsembleLinear(members, inner, width) for inner in hidden)
        self.norms = nn.ModuleList(EnsembleNorm(members, width) for _ in hidden)
        self.finish(members, width, outputs)

    def features(self, x: Tensor) -> Tensor:
        h = self.into(x)
        for inner, back, norm in zip(self.inner, self.back, self.norms, strict=True):
            h = norm(h + back(self.activation(inner(h))))
        return h


def make_net(
    backbone: Backbone,
    members: int,
    inputs: int,
    outputs: int,
    *,
    hidden: Sequence[int],
    activation: Activation,
    norm: bool,
    frames: Sequence[Frames],
    signs: Sequence[Pattern] = (),
    shift: Tensor | None = None,
) -> SkipNet:
    """A network of one kind; a perceptron without the history that it would run over, or the signs it would keep.

    signs, shift: as `MonotoneNet` has them.
    """
    if backbone == "monotone" and any(map(any, signs)):
        return MonotoneNet(
            members, hidden, activation, signs, torch.zeros(inputs, outputs) if shift is None else shift
        )
    if backbone == "residual":
        return ResidualNet(members, inputs, outputs, hidden, activation)
    if backbone in OVER_TIME and (frames or backbone == "transformer"):
        return OVER_TIME[backbone](members, inputs, outputs, hidden, activation, frames)
    return LinearSkipNet(members, inputs, outputs, hidden, activation, norm)
