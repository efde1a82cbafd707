"""The legal range of an action: bounds that are smooth, so that a gradient remains near them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from revive.data.layout import Layout

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


def bounded(action: Tensor, layout: Layout, low: Tensor, high: Tensor) -> Tensor:
    """(..., width) with its continuous dimensions between the bounds, (ordered,)."""
    if layout.is_plain:
        return soft_clip(action, low, high)
    c = layout.continuous
    return torch.cat([soft_clip(action[..., :c], low[:c], high[:c]), action[..., c:]], dim=-1)
