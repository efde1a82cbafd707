"""A venv as a `gymnasium.Env`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from revive.deploy.sessions import VenvSession
from revive.gym.world import World

Observation = NDArray[np.float32]


class VenvEnv(gymnasium.Env[Observation, Any]):
    """One branch of a venv; an episode starts from a logged row, and one member of the ensemble answers all of it.

    Observations are the columns of what the agent sees, side by side, (d,); actions are of a space that follows from
    the columns of the decision (see `spaces`); both in physical units. An episode is terminated by the graph's `done`,
    truncated after `horizon` steps. The same seed gives the same episode.

    bundle, options: as of `World`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]

    def __init__(self, bundle: str | Path | VenvSession, *, render_mode: None = None, **options: Any) -> None:
        self.world = World(bundle, 1, **options)
        self.render_mode = render_mode
        self.observation_space: Box = self.world.sight  # type: ignore[assignment]
        self.action_space = self.world.actions.space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start anew. info: the `member` that answers, and the `row` of the bundle's sample that is started from."""
        super().reset(seed=seed)
        simulation = self.world.simulation
        simulation.seed(int(self.np_random.integers(2**31)))
        simulation.reset()
        info = {"member": int(simulation.members[0]), "row": int(simulation.first[0])}
        return self.world.observation()[0], info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One time step. Raises UserError for an action of another shape, or one that is not finite."""
        reward, terminated, truncated = self.world.step(_batch_of_one(action))
        return self.world.observation()[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), {}


def _batch_of_one(action: Any) -> Any:
    if isinstance(action, dict):
        return {name: np.asarray(value)[None] for name, value in action.items()}
    return np.asarray(action)[None]
