"""One where the lower tank stands at its target, half of it 1 cm beside; much is lost beyond the limit above it."""

import torch

TARGET, WIDTH = 20.0, 1.0  # cm
LIMIT, LOSS = 20.5, 10.0  # cm, and what a step beyond it costs


def get_reward(data):
    """data: node -> tensor (N, columns) in physical units; returns (N, 1), from -10 to 1."""
    level = data["next_levels"][..., 1:2]
    tracking = 1.0 / (1.0 + ((level - TARGET) / WIDTH) ** 2)
    return torch.where(level > LIMIT, -LOSS, tracking)
