"""Virtual environments for reinforcement learning: `import revive.gym` registers `revive/Venv-v0` with gymnasium.

import gymnasium, revive.gym

env = gymnasium.make("revive/Venv-v0", bundle="runs/NAME/venv", trust=True)
envs = gymnasium.make_vec("revive/Venv-v0", num_envs=1000, bundle="runs/NAME/venv", trust=True)
"""

from __future__ import annotations

from typing import Final

from revive.errors import Problem, UserError

try:
    import gymnasium
except ImportError as error:
    raise UserError(Problem("gymnasium is not installed", remedy="pip install 'revive-logs[gym]'")) from error

from revive.gym.env import VenvEnv
from revive.gym.vector import VenvVectorEnv

ID: Final = "revive/Venv-v0"

if ID not in gymnasium.registry:
    gymnasium.register(ID, "revive.gym.env:VenvEnv", vector_entry_point="revive.gym.vector:VenvVectorEnv")

__all__ = ["ID", "VenvEnv", "VenvVectorEnv"]
