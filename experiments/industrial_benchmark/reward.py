"""What the plant costs less is earned: the benchmark's own reward, in its own units."""

FATIGUE_COST = 3.0


def get_reward(data):
    """data: node -> tensor (N, columns) in physical units; returns (N, 1)."""
    return -(data["next_consumption"] + FATIGUE_COST * data["next_fatigue"])
