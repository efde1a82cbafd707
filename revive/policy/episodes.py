"""Whole episodes, in the logs and in the venvs: from the real first rows of the trajectories to their ends.

A rollout is compared with the very rows that followed its start in the logs, step by step, so that what differs is the
venv and the controller, and not the start, the length or the exogenous values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.reward import Reward
from revive.venv.virtual_env import Actor, VirtualEnv

MOST_STARTS = 64  # of each half
MOST_STEPS = 2000  # of an episode, where nobody says how long it is
AT_ONCE = 64_000  # steps of all branches of a member together


@dataclass(frozen=True)
class Episodes:
    """What was earned, branch by branch.

    reward: (T, ...) of every step, 0 where there is none. alive: (T, ...) 1 where the step took place. ended: (...)
    1 where `done` was reached.
    """

    reward: Tensor
    alive: Tensor
    ended: Tensor

    @property
    def returns(self) -> Tensor:
        """(...) the sum of the rewards."""
        return self.reward.sum(0)

    @property
    def per_step(self) -> Tensor:
        """(...) the mean over all T steps; those after an end count as 0."""
        return self.reward.mean(0)

    @property
    def lengths(self) -> Tensor:
        """(...) steps until the end."""
        return self.alive.sum(0)

    def of(self, members: slice) -> Episodes:
        """Those of some members."""
        return Episodes(self.reward[:, members], self.alive[:, members], self.ended[members])

    def to_json(self) -> dict[str, float]:
        """Means over all branches."""
        return {
            "return": float(self.returns.double().mean()),
            "length": float(self.lengths.double().mean()),
            "ended": float(self.ended.double().mean()),
        }


def has_episodes(rows: Rows, venv: VirtualEnv) -> bool:
    """Whether the parts hold more trajectories than a single log that was cut in two, or ends that were logged."""
    return len(rows.starts) > len(rows.parts) or ends_of(rows, venv) is not None


def ends_of(rows: Rows, venv: VirtualEnv) -> Tensor | None:
    """Of every trajectory whether its last row is `done`, (n,) bool; None where the logs do not tell."""
    done = venv.graph.done
    if done is None or done not in rows.values:
        return None
    last = rows.starts + rows.lengths - 1
    return venv.codec[done].decode(rows.values[done][last])[..., 0] > 0.5


def longest(rows: Rows, wanted: int | None) -> int:
    """Steps of an episode: as wanted, else those of the longest trajectory, at most `MOST_STEPS`."""
    return wanted or min(int(rows.lengths.max()), MOST_STEPS)


def episode_environment(
    venv: VirtualEnv, rows: Rows, reward: Reward, *, steps: int, seed: int
) -> EvaluationEnvironment:
    """Branches from the first rows of each half's trajectories; exogenous values are replayed.

    The half with fewer trajectories takes its own in turn.
    """
    begin = real_starts(rows)
    most = max(1, min(MOST_STARTS, AT_ONCE // steps))
    count = min(max(len(first) for first in begin), most)
    picked = [first[evenly(len(first), count, first.device)] for first in begin]
    return EvaluationEnvironment.at(venv, rows, reward, picked, steps, seed)


def real_starts(rows: Rows) -> list[Tensor]:
    """The first rows of each half's trajectories."""
    return [rows.starts[(rows.starts >= part.start) & (rows.starts < part.stop)] for part in rows.parts]


def evenly(there: int, wanted: int, device: torch.device) -> Tensor:
    """Which of those that are there to take; in turn where fewer are there than wanted."""
    if there <= wanted:
        return torch.arange(wanted, device=device) % there
    return torch.linspace(0, there - 1, wanted, device=device).long()


@torch.no_grad()
def play(environment: EvaluationEnvironment, actor: Actor | None) -> Episodes:
    """The rollouts of an actor, or of the behaviour policy: (T, M, B)."""
    return episodes_of(environment, environment.roll(actor), actor)


def episodes_of(
    environment: EvaluationEnvironment, rolled: dict[str, Tensor], actor: Actor | None
) -> Episodes:
    """What was earned in a rollout, node -> (T, M, B, d) in model space."""
    codec = (actor.codec if actor else None) or environment.venv.codec
    reward, alive = environment.reward(codec.decode(rolled)), environment.venv.alive(rolled)
    if alive is None:
        return Episodes(reward, torch.ones_like(reward), torch.zeros_like(reward[0]))
    ended = torch.zeros_like(reward[0]) if environment.venv.graph.done is None else 1.0 - alive[-1]
    return Episodes(reward * alive[:-1], alive[:-1], ended)


def logged(rows: Rows, row_reward: Tensor, venv: VirtualEnv, first: Tensor, steps: int) -> Episodes:
    """What followed the rows `first` (...) in the logs, for `steps` steps or to the end of the trajectory.

    row_reward: (N,). Where the trajectory ended in `done` its later steps are known to have earned nothing.
    """
    index, inside = rows.windows(first, steps)
    reward = row_reward[index] * inside
    finish = rows.ends[first]
    over = ends_of(rows, venv)
    if over is None:
        return Episodes(reward, inside.float(), torch.zeros_like(reward[0]))
    which = torch.searchsorted(rows.starts, first.contiguous(), right=True) - 1
    ended = (over[which] & (finish - first <= steps)).float()
    return Episodes(reward, inside.float(), ended)


def logged_episodes(rows: Rows, row_reward: Tensor, venv: VirtualEnv, steps: int) -> Episodes:
    """Every trajectory of the logs from its first row on, (T, n)."""
    return logged(rows, row_reward, venv, rows.starts, steps)


def missing(rolled: Episodes, logs: Episodes) -> tuple[Tensor, Tensor]:
    """By how much a rollout earned more than the logs did from the same starts, and over how many steps: (M, B) each.

    Steps count where the logs say what was earned: to the end of the trajectory, or for ever after a `done`.
    """
    known = torch.maximum(logs.alive, logs.ended.expand_as(logs.alive))
    return ((rolled.reward - logs.reward) * known).sum(0), known.sum(0)
