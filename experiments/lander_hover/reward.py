"""Ten for every step that ends near the point one above the pad, else a small loss."""

import torch


def get_reward(data):
    """data: node -> tensor (N, columns) in physical units; returns (N, 1)."""
    x, y = data["next_obs"][..., 0:1], data["next_obs"][..., 1:2]
    near = (x.abs() < 0.2) & ((y - 1).abs() < 0.2)
    return torch.where(near, 10, -0.3)
