"""What a user holds: a policy and a virtual environment, in physical units."""

from revive.deploy.policy_session import PolicySession
from revive.deploy.venv_session import RewardOf, VenvSession

__all__ = ["PolicySession", "RewardOf", "VenvSession"]
