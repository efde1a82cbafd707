"""The logs' controller in the venvs, against the logs themselves: on the same rows, step by step.

Where the clone earns something else than the controller did, either the venv or the clone is wrong. Two more replays
tell them apart. In the first the clone acts, and to each of its decisions is added by how much the controller departed
from it in that row of the logs (`u = pi(s) + u_log - pi(s_log)`). In a sound venv that stays near the logs whatever the
controller saw beside; in one that answers wrongly, the feedback drives it away. In the second acts a controller with a
memory (remembering.py): it repeats the logs better than the clone, and what it misses is rather the fault of the venv.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.episodes import (
    Episodes,
    episode_environment,
    episodes_of,
    has_episodes,
    logged,
    longest,
    missing,
    play,
)
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.intervals import difference
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem
from revive.policy.remembering import Remembering
from revive.policy.venv_verdicts import RELEVANT, Imitation
from revive.venv.virtual_env import Actor

STEPS = 400  # at most
GUIDED, SHORTEST = 50, 10  # steps of the second replay: the horizon of training, between these
OF_ROWS = 0.4  # share of the spread over rows that counts where whole stretches of the logs are all alike
FOLLOWED = 0.5  # share of the variance of the logged reward that it must explain


@dataclass(frozen=True)
class Replay:
    """What the replays came to. found: of the clone, by half. remembered: of a controller with a memory; empty where it
    was not asked for."""

    found: list[Imitation]
    clone_at_fault: bool
    remembered: list[Imitation]


def replayed(problem: PolicyProblem) -> Replay:
    """As many of the replays as it takes to tell whose fault a gap is."""
    found = imitations(problem)
    wrong = any(i.is_real for i in found)
    at_fault = wrong and is_clone_at_fault(problem)
    return Replay(found, at_fault, remembered(problem) if wrong and not at_fault else [])


def imitations(problem: PolicyProblem) -> list[Imitation]:
    """The behaviour policy against the logs in each half, on the same rows."""
    world = world_of(problem)
    logs = _logged(problem, world)
    return compared(world, play(world, None), logs, problem.reward_spread)


def gain_over_logs(problem: PolicyProblem, actor: Actor) -> tuple[EvaluationEnvironment, Tensor]:
    """By how much an actor earns more in the venvs than the logs did on the same rows: per step, (M, B)."""
    world = world_of(problem)
    more, steps = missing(play(world, actor), _logged(problem, world))
    return world, _per_step(more, steps)


def _logged(problem: PolicyProblem, world: EvaluationEnvironment) -> Episodes:
    return logged(problem.rows, problem.row_reward, problem.venv, world.first, world.horizon)


def _per_step(more: Tensor, steps: Tensor) -> Tensor:
    """Sums (M, B) over so many steps, such that their mean over a member's starts is the mean over its steps."""
    return more * (steps.shape[1] / steps.sum(1, keepdim=True).clamp_min(1.0))


def world_of(problem: PolicyProblem) -> EvaluationEnvironment:
    """Episodes from their real starts where the logs hold some, else starts from all over the logs."""
    rows, venv = problem.rows, problem.venv
    if not has_episodes(rows, venv):
        return problem.evaluation
    return episode_environment(venv, rows, problem.reward, steps=min(longest(rows, None), STEPS), seed=1)


def compared(
    world: EvaluationEnvironment, rolled: Episodes, logs: Episodes, spread: float
) -> list[Imitation]:
    """Rollouts (T, M, B) of the behaviour policy and what followed the same rows in the logs, half by half."""
    more, steps = missing(rolled, logs)
    means = (logs.reward.sum(0) / steps.clamp_min(1.0))[steps > 0].double()  # of whole stretches of the logs
    spread = max(float(means.std()) if len(means) > 1 else 0.0, OF_ROWS * spread)
    found = []
    for half in range(world.venv.halves):
        members = world.venv.members_of(half)
        count = steps[members].sum().clamp_min(1.0)
        gap = difference(_per_step(more[members], steps[members]), independent(world, half))
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


def remembered(problem: PolicyProblem) -> list[Imitation]:
    """As `imitations`, of a controller that has a memory."""
    world = world_of(problem)
    logs = _logged(problem, world)
    actor = Remembering(problem).actor(world.first, problem.generator())
    return compared(world, play(world, actor), logs, problem.reward_spread)


@torch.no_grad()
def is_clone_at_fault(problem: PolicyProblem) -> bool:
    """Whether the rewards are those of the logs while the clone acts and the controller's departures are added."""
    steps = min(max(problem.horizon.steps, SHORTEST), GUIDED, problem.evaluation.horizon)
    first = problem.evaluation.first
    begin = [first[problem.venv.members_of(half)][0] for half in range(problem.venv.halves)]
    world = EvaluationEnvironment.at(problem.venv, problem.rows, problem.reward, begin, steps, seed=1)
    logs = logged(problem.rows, problem.row_reward, problem.venv, world.first, steps)
    actor = _guided(problem, world)
    silent = EvaluationEnvironment(world.venv, world.rows, world.reward, world.first, world.start, {}, steps)
    rolled = episodes_of(silent, silent.roll(actor), actor)
    wrong = (rolled.reward - logs.reward)[logs.alive > 0.5].double()
    usual = logs.reward[logs.alive > 0.5].double()
    follows = float(wrong.square().mean()) <= (1.0 - FOLLOWED) * float(usual.var())
    return follows and abs(float(wrong.mean())) <= RELEVANT * problem.reward_spread


def _guided(problem: PolicyProblem, world: EvaluationEnvironment) -> Actor:
    """The clone with the departures of the logs, for one rollout; past the end of a trajectory there are none."""
    clone, plain = problem.clone, problem.clone.actor()
    index, inside = problem.rows.windows(world.first, world.horizon)
    values = problem.rows.at(index)
    seen = [torch.cat([values[name][t] for name in plain.inputs], -1) for t in range(world.horizon)]
    chosen = values[problem.target]
    usual = torch.stack([plain.decide(x) for x in seen])
    step = iter(range(world.horizon))

    def decide(x: Tensor) -> Tensor:
        t = next(step)
        return _departed(clone, plain.decide(x), chosen[t], usual[t], inside[t].unsqueeze(-1))

    return Actor(plain.node, plain.inputs, decide, plain.graph, plain.codec)


def _departed(clone: Policy, action: Tensor, chosen: Tensor, usual: Tensor, inside: Tensor) -> Tensor:
    """`action` moved as the controller departed from the clone; a category that it chose otherwise is its own."""
    layout, c = clone.layout, clone.layout.continuous
    moved = torch.where(inside, action + chosen - usual, action)
    parts = [torch.minimum(torch.maximum(moved[..., :c], clone.low[:c]), clone.high[:c])]
    if layout.ordered > c:
        parts.append(clone.codec[clone.target].project(moved)[..., c : layout.ordered])
    for start, stop in layout.blocks:
        same = chosen[..., start:stop].argmax(-1) == usual[..., start:stop].argmax(-1)
        own = (inside & ~same.unsqueeze(-1)).expand_as(action[..., start:stop])
        parts.append(torch.where(own, chosen[..., start:stop], action[..., start:stop]))
    return torch.cat(parts, dim=-1)
