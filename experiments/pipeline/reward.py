"""The closer the measured flow is to the demand, the better."""


def get_reward(data):
    """data: node -> tensor (N, columns) in physical units; returns (N, 1): minus the distance in m3/s."""
    return -abs(data["next_flow"] - data["demand"])
