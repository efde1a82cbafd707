"""Acting from a policy bundle with numpy alone: neither torch nor anything else that is slow to import.

policy = revive.runtime.load_policy("runs/NAME/policy")
policy.act({"temperature": [1.5]})  # {"action": array([...])}, physical units

session = policy.session(plants=100)  # keeps histories and step counters of 100 plants
session.act({"temperature": temperatures})  # (100, 1) -> {"action": (100, 1)}
"""

from revive.runtime.policy import Policy, load_policy
from revive.runtime.session import Session

__all__ = ["Policy", "Session", "load_policy"]
