"""The nearer the level keeps to zero, the better."""


def get_reward(data):
    """data: node -> tensor (N, columns); returns (N, 1)."""
    return -(data["next_level"] ** 2)
