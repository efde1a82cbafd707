"""The value of an action in a state, several times per copy: what model-free learners learn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from revive.nn.ensemble import EnsembleLinear

VALUE_SCALE = 10.0  # discounted sums are larger than the rewards they sum


class ActionValue(nn.Module):
    """Critics `Q(x, a)` for P copies: (P, B, inputs) and (P, B, actions) -> (count, P, B); no action: values of states.
    Actions (count, P, B, actions) are each critic's own.

    LayerNorm after every hidden layer bounds what they say of actions far from the data (Ball et al. 2023,
    arXiv:2302.02948; Tarasov et al. 2023, arXiv:2305.09836). There is no linear skip, which would undo that.
    """

    def __init__(self, copies: int, inputs: int, actions: int, hidden: Sequence[int], count: int = 2) -> None:
        super().__init__()
        self.count = count
        widths = [inputs + actions, *hidden]
        self.layers = nn.ModuleList(
            EnsembleLinear(count * copies, a, b, 3.0**0.5) for a, b in pairwise(widths)
        )
        self.last = EnsembleLinear(count * copies, widths[-1], 1, gain=0.1)

    def forward(self, x: Tensor, action: Tensor | None = None) -> Tensor:
        h = torch.cat([x] * self.count)  # (count P, B, inputs)
        if action is not None:
            own = action.flatten(0, 1) if action.ndim > x.ndim else torch.cat([action] * self.count)
            h = torch.cat([h, own], dim=-1)
        for layer in self.layers:
            h = layer(h)
            h = silu(layer_norm(h, h.shape[-1:]))
        return self.last(h).squeeze(-1).unflatten(0, (self.count, -1)) * VALUE_SCALE
