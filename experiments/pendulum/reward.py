"""The reward of Pendulum-v1: minus the squared angle, and a little for speed and torque, before the step."""

import torch


def get_reward(data):
    """data: node -> tensor (N, columns) in physical units; returns (N, 1), between -16.3 and 0."""
    cosine, sine, speed = data["states"].split(1, dim=-1)
    angle = torch.atan2(sine, cosine)  # from upright, in (-pi, pi]
    return -(angle**2 + 0.1 * speed**2 + 0.001 * data["actions"].clamp(-2.0, 2.0) ** 2)
