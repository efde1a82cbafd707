"""Diagonal Gaussian arithmetic without distribution objects: a mean and a log standard deviation do."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import softplus

LOG_STD_RANGE = (-7.0, 1.0)
HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def soft_clamp(x: Tensor, low: float = LOG_STD_RANGE[0], high: float = LOG_STD_RANGE[1]) -> Tensor:
    """Bound x smoothly, so that a gradient remains near the bounds (Chua et al. 2018, PETS)."""
    x = high - softplus(high - x)
    return low + softplus(x - low)


def negative_log_likelihood(target: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """`-log N(target; mean, exp(log_std))` per element; all of one broadcastable shape."""
    return 0.5 * ((target - mean) * (-log_std).exp()).square() + log_std + HALF_LOG_TWO_PI
