"""A venv as a native `gymnasium.vector.VectorEnv`: all branches are one batched step."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from revive.deploy.sessions import VenvSession
from revive.gym.world import World

Observations = NDArray[np.float32]
Flags = NDArray[np.bool_]


class VenvVectorEnv(VectorEnv[Observations, Any, NDArray[np.float64]]):
    """`num_envs` branches of a venv; see `VenvEnv` for what each of them is.

    autoreset_mode: whether a branch that has ended starts anew in the next step, whose action and reward do not count
    (gymnasium's default), or in the same step; the last observation is then `final_obs` of the infos.
    bundle, options: as of `World`.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": [],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        bundle: str | Path | VenvSession = "venv",
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: None = None,
        **options: Any,
    ) -> None:
        self.world = World(bundle, num_envs, **options)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        mine = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.metadata = mine  # type: ignore[misc]
        self.single_observation_space = self.world.sight
        self.single_action_space = self.world.actions.space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._over: Flags = np.zeros(num_envs, dtype=bool)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start all branches anew, or those of `options["reset_mask"]`, (num_envs,) bool."""
        if isinstance(seed, list):
            seed = int(np.random.SeedSequence([s or 0 for s in seed]).generate_state(1)[0])
        super().reset(seed=seed)
        simulation, mask = self.world.simulation, (options or {}).get("reset_mask")
        if seed is not None or mask is None:
            simulation.seed(int(self.np_random.integers(2**31)))
        simulation.reset(None if mask is None else np.flatnonzero(mask))
        self._over = np.zeros(self.num_envs, dtype=bool)
        infos = {"member": simulation.members.cpu().numpy(), "row": simulation.first.cpu().numpy()}
        return self.world.observation(), infos

    def step(  # type: ignore[override]
        self, actions: Any
    ) -> tuple[Observations, NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """One time step of all branches. Raises UserError for actions of another shape, or that are not finite."""
        reward, terminated, truncated = self.world.step(actions)
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            self.world.simulation.reset(np.flatnonzero(self._over))
            reward = np.where(self._over, 0.0, reward)
            terminated, truncated = terminated & ~self._over, truncated & ~self._over
            self._over = terminated | truncated
        elif self.autoreset_mode is AutoresetMode.SAME_STEP:
            over = terminated | truncated
            if over.any():
                infos = {"final_obs": _by_branch(self.world.observation(), over), "_final_obs": over}
                self.world.simulation.reset(np.flatnonzero(over))
        return self.world.observation(), reward, terminated, truncated, infos


def _by_branch(observation: Observations, over: Flags) -> NDArray[Any]:
    """As gymnasium's vector environments give it: an array of objects, None for the branches that go on."""
    found = np.full(len(over), None, dtype=object)
    for i in np.flatnonzero(over):
        found[i] = observation[i]
    return found
