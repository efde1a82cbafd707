"""The interlock of the lower tank, as the plant's documents have it."""

from torch import Tensor

TRIP = 21.5  # cm


def tripped(data: dict[str, Tensor]) -> Tensor:
    """data: `next_levels` (N, 2) in cm; returns (N, 1): 1 where the measured level of the lower tank trips it."""
    return (data["next_levels"][..., 1:2] >= TRIP).to(data["next_levels"].dtype)
