"""The more of the feed is converted, the better, as long as the reactor stays below 375 K."""

FEED_CONCENTRATION = 10.0  # kmol/m3
BOUND = 375.0  # K
PENALTY = 5.0  # per K above the bound


def get_reward(data):
    """data: node -> tensor (N, columns) in physical units; returns (N, 1): conversion in percent, less the penalty."""
    conversion = 100.0 * (1.0 - data["next_concentration"] / FEED_CONCENTRATION)
    excess = (data["next_temperature"] - BOUND).clamp(min=0.0)
    return conversion - PENALTY * excess
