"""The figures that verdicts are passed on, from venvs and logs."""

from __future__ import annotations

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.episodes import (
    Episodes,
    episode_environment,
    has_episodes,
    logged,
    longest,
    missing,
    play,
)
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.intervals import difference
from revive.policy.problem import PolicyProblem
from revive.policy.signs import signs_of_effects
from revive.policy.verdicts import Imitation, Verdict, about_errors, about_imitation, about_signs
from revive.venv.validation import rollout_error

IMITATED = 400  # steps at most


def venv_verdicts(problem: PolicyProblem, gain: float | None) -> list[Verdict]:
    """What may be wrong with the venv, before a policy is chosen that was learned in it.

    gain: per step, that the best candidate promises over the clone.
    """
    signs = signs_of_effects(
        problem.venv, problem.rows, problem.target, problem.reward, problem.horizon.steps
    )
    errors = rollout_error(problem.venv, problem.rows)
    return [
        *about_imitation(imitations(problem), gain),
        *about_signs(signs),
        *about_errors(errors, problem.horizon.steps),
    ]


def imitations(problem: PolicyProblem) -> list[Imitation]:
    """The behaviour policy against the logs in each half, on the same rows."""
    venv, rows = problem.venv, problem.rows
    world = problem.evaluation
    if has_episodes(rows, venv):
        steps = min(longest(rows, None), IMITATED)
        world = episode_environment(venv, rows, problem.reward, steps=steps, seed=1)
    logs = logged(rows, problem.row_reward, venv, world.first, world.horizon)
    return compared(world, play(world, None), logs, problem.reward_spread)


def compared(
    world: EvaluationEnvironment, rolled: Episodes, logs: Episodes, spread: float
) -> list[Imitation]:
    """Rollouts (T, M, B) of the behaviour policy and what followed the same rows in the logs, half by half."""
    more, steps = missing(rolled, logs)
    found = []
    for half in range(world.venv.halves):
        members = world.venv.members_of(half)
        count = steps[members].sum().clamp_min(1.0)
        scale = steps[members].shape[1] / steps[members][0].sum().clamp_min(
            1.0
        )  # starts are weighted by their steps
        gap = difference(more[members] * scale, independent(world, half))
        earned = float(logs.reward[:, members].sum() / count)
        found.append(Imitation(earned, earned + gap.mean, gap, spread))
    return found


def independent(world: EvaluationEnvironment, half: int) -> int:
    """How many of a half's starts tell something of their own: trajectories, or stretches that do not overlap."""
    rows = world.rows
    starts = torch.unique(world.first[world.venv.members_of(half)][0])
    if bool((starts == _first_row(rows, starts)).all()):
        return len(starts)
    return max(1, min(len(starts), len(rows.parts[half]) // world.horizon))


def _first_row(rows: Rows, index: Tensor) -> Tensor:
    return rows.starts[torch.searchsorted(rows.starts, index.contiguous(), right=True) - 1]
