"""What both kinds of environment share: a bundle as a simulation with spaces, rewards and ends of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from revive.data.scenario import Scenario
from revive.deploy.bundle import load_venv
from revive.deploy.sessions import RewardOf, VenvSession
from revive.deploy.simulation import Starts
from revive.errors import Problem, UserError
from revive.graph.joint import split
from revive.gym.spaces import ActionSpace, actions_of, observation_space

Horizon = int | Literal["trusted", "episode"]


class World:
    """B branches of a venv as a reinforcement learner sees them.

    Args:
        bundle: the folder of a venv bundle, or a venv that `revive.load_venv` has loaded.
        plants: B.
        trust: run the source that the bundle carries: its reward, and functions of the graph.
        code: a folder of yours with those files; they are run from there.
        reward: a file with get_reward, or such a function, in place of the bundle's.
        target: the node, or the nodes, that the agent decides; the run's, else the graph's first one.
        observe: the nodes that it sees; the run's, else those that the graph names.
        history: how many of the last values of each; the run's.
        horizon: steps of an episode: as far as the venv is trusted, as long as the longest logged trajectory at most
            (`trusted`), as long as that (`episode`), or a number.
        starts: `any` logged row, or the `first` one of a logged trajectory.
        deterministic: take the likeliest values instead of drawing them; the member is still drawn.
        accept_failed_gate: also load what did not pass its gate.

    Raises UserError where the bundle cannot be loaded, or carries nothing to start from or to be paid by.
    """

    def __init__(
        self,
        bundle: str | Path | VenvSession,
        plants: int,
        *,
        trust: bool = False,
        code: str | Path | None = None,
        reward: RewardOf | None = None,
        target: str | Sequence[str] | None = None,
        observe: Sequence[str] | None = None,
        history: int | None = None,
        horizon: Horizon = "trusted",
        starts: Starts = "any",
        deterministic: bool = False,
        accept_failed_gate: bool = False,
    ) -> None:
        if isinstance(bundle, VenvSession):
            self.venv = bundle
        else:
            self.venv = load_venv(bundle, code, trust=trust, accept_failed_gate=accept_failed_gate)
        self.simulation = self.venv.start(
            plants,
            target=target,
            observe=observe,
            history=history,
            starts=starts,
            noise=not deterministic,
            reward=reward,
        )
        view, scenario = self.simulation.view, self.simulation.scenario
        if self.simulation.reward is None:
            raise UserError(_unpaid(scenario))
        self.horizon = _steps(horizon, scenario)
        self.actions: ActionSpace = actions_of(view.graph, view.decided, scenario.ranges)
        self.sight: Box = observation_space([c for n in view.seen for c in view.graph.columns(n)])
        self.names = [column.name for n in view.seen for column in view.graph.columns(n)]

    def observation(self) -> NDArray[np.float32]:
        """(B, columns of what is seen), inside the space."""
        seen = np.concatenate(list(self.simulation.observe().values()), axis=1).astype(np.float32)
        return np.clip(seen, self.sight.low, self.sight.high)

    def step(self, action: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """action: a batch of the action's space. Returns reward, terminated, truncated, (B,) each."""
        physical = self.actions.physical(action)
        found = self.simulation.step(split(self.simulation.graph, self.simulation.target, physical))
        ended = self.simulation.ended(found)
        steps = self.simulation.steps.cpu().numpy()
        return found["reward"][:, 0], ended, (steps >= self.horizon) & ~ended


def _unpaid(scenario: Scenario) -> Problem:
    """Why there is no reward, and what to do."""
    if scenario.reward is None:
        what, remedy = "this venv bundle carries no reward", "reward=FILE, or a function get_reward(data)"
    else:
        what = f"the reward of this bundle is code of yours: {scenario.reward.file}"
        remedy = "read it with 'python -m revive show BUNDLE', then trust=True; or reward=FILE for your own"
    return Problem(what, place="reward", remedy=remedy)


def _steps(horizon: Horizon, scenario: Scenario) -> int:
    if horizon == "episode":
        return scenario.longest
    if horizon == "trusted":
        return min(scenario.trusted or scenario.longest, scenario.longest)
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
        remedy = "'trusted', 'episode', or a number of steps from 1 on"
        raise UserError(Problem(f"cannot be {horizon!r}", place="horizon", remedy=remedy))
    return horizon
