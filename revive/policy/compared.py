"""Policies x halves x members: what each learner's best policy earns in every model, under common random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from revive.policy.candidate import Candidate
from revive.policy.choice import Court, Score
from revive.policy.evaluation import mean_reward
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem
from revive.venv.virtual_env import Actor

CONTROLLER = "logs' controller"


@dataclass(frozen=True)
class Compared:
    """A line of the table.

    half: where it learned, None for the logs' controller. rewards (halves, E): mean reward per step with each member,
    all from the same starts under the same noise; steps after an end count as 0. gain (halves,): the mean over members
    of the difference to the logs' controller, and spread (halves,) the standard deviation of that difference.
    truth {mean, se, steps}: the reward per step in the simulator, where the experiment has one.
    """

    name: str
    half: int | None
    taken: bool
    rewards: list[list[float]]
    gain: list[float]
    spread: list[float]
    truth: dict[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def compared(
    court: Court,
    candidates: Sequence[Candidate],
    taken: Candidate,
    scored: Callable[[Policy], dict[str, float] | None] = lambda policy: None,
) -> list[Compared]:
    """The logs' controller, what was taken, and the best candidate of each learner. scored: in the simulator."""
    found: dict[str, Score] = {}
    for score in court.scores(list(candidates)):
        name, best = score.candidate.learner, found.get(score.candidate.learner)
        if best is None or _worth(score) > _worth(best):
            found[name] = score
    picked = {taken.key: taken, **{s.candidate.key: s.candidate for s in found.values()}}
    base = _rewards(court.problem, None)
    lines = [_line(CONTROLLER, None, False, base, base)]
    for candidate in picked.values():
        rewards = _rewards(court.problem, candidate.policy.actor())
        line = _line(candidate.name, candidate.half, candidate.key == taken.key, rewards, base)
        lines.append(replace(line, truth=scored(candidate.policy)))
    return lines


def _worth(score: Score) -> tuple[bool, float]:
    return score.rejected is None, score.gain


@torch.no_grad()
def _rewards(problem: PolicyProblem, actor: Actor | None) -> Tensor:
    """(halves, E) mean reward per step."""
    world = problem.contest
    reward = mean_reward(world.venv, world.reward, world.roll(actor), actor)
    return reward.mean(1).view(world.venv.halves, -1).double().cpu()


def _line(name: str, half: int | None, taken: bool, rewards: Tensor, base: Tensor) -> Compared:
    paired = rewards - base
    spread = paired.std(1, unbiased=False)
    return Compared(name, half, taken, rewards.tolist(), paired.mean(1).tolist(), spread.tolist())
