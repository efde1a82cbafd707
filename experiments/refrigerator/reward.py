"""The colder it keeps to -2 degrees, the better: the negative distance of the next measured temperature."""


def get_reward(data):
    """data: node -> tensor (N, columns) in physical units; returns (N, 1)."""
    return -abs(data["next_temperature"] + 2.0)
