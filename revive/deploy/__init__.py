"""Models that run anywhere: bundles on disk and numpy sessions over them."""

from revive.deploy.bundle import load_policy, load_venv, save_policy, save_venv
from revive.deploy.guard import GuardedPolicy
from revive.deploy.sessions import PolicySession, VenvSession

__all__ = [
    "GuardedPolicy",
    "PolicySession",
    "VenvSession",
    "load_policy",
    "load_venv",
    "save_policy",
    "save_venv",
]
