"""What candidates are compared on: the same starts for all of them, whichever half's venv they play in.

Gains that were made from other starts cannot be compared: on the pendulum they differ more from one set of starts to
the next than from one candidate to the next. Where the logs hold episodes these are their real starts first, because a
policy is worth what it earns from there, and they are played to their ends: 200 steps from its start a lander that
hovers is worth hardly more than one that still falls.
"""

from __future__ import annotations

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.episodes import evenly, has_episodes, longest, real_starts
from revive.policy.evaluation import EvaluationEnvironment, spread_over
from revive.policy.reward import Reward
from revive.venv.model_error import model_error
from revive.venv.validation import RolloutError
from revive.venv.virtual_env import VirtualEnv

LONGER = 2  # times the horizon of an evaluation may whole episodes take


def contest(
    venv: VirtualEnv,
    rows: Rows,
    reward: Reward,
    errors: RolloutError,
    *,
    starts: int,
    horizon: int,
    episode: int | None = None,
    seed: int,
) -> EvaluationEnvironment:
    """So many branches from the rows of each half, all of them in both halves' venvs.

    horizon: steps; where the logs hold episodes, those of a whole one (`episode`; None: as long as the longest), up to
    `LONGER` times as many.
    errors: of the venv's rollouts; rewards are also asked at states that are off by what of them is no noise.
    """
    if has_episodes(rows, venv):
        horizon = min(longest(rows, episode), LONGER * horizon)
    begin = torch.cat([_of_half(venv, rows, half, starts) for half in range(venv.halves)])
    world = EvaluationEnvironment.at(venv, rows, reward, [begin] * venv.halves, horizon, seed)
    return world.with_error(model_error(venv, rows, errors), seed)


def _of_half(venv: VirtualEnv, rows: Rows, half: int, starts: int) -> Tensor:
    """Real starts of a half's trajectories, as many as there are, then rows from all over it: (starts,)."""
    part, real = rows.parts[half], rows.starts[:0]
    if has_episodes(rows, venv):
        first = real_starts(rows)[half]
        real = first[evenly(len(first), min(starts, len(first)), first.device)]
    return torch.cat([real, spread_over(part, starts - len(real)).to(real.device)])
