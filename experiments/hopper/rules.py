"""When gymnasium ends an episode of Hopper-v5: the hopper is no longer healthy."""

import torch
from torch import Tensor

HEIGHT, ANGLE = 0, 1  # columns of `obs`
LEAST_HEIGHT = 0.7  # m
LARGEST_ANGLE = 0.2  # rad
LARGEST_STATE = 100.0


def fallen(data: dict[str, Tensor]) -> Tensor:
    """data: next_obs (N, 11); returns (N, 1), 1 where the hopper has fallen."""
    state = data["next_obs"]
    healthy = (state[:, HEIGHT] > LEAST_HEIGHT) & (state[:, ANGLE].abs() < LARGEST_ANGLE)
    healthy &= (state[:, ANGLE:].abs() < LARGEST_STATE).all(-1)
    return (~healthy).to(torch.float32)[:, None]
