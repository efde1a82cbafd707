"""Logged rows as transitions: what was seen, what was done, what that earned, and what was seen then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.policy import Policy
from revive.venv.virtual_env import VirtualEnv


class LoggedTask(Protocol):
    """What of a `PolicyProblem` logged transitions are made of; `clone` is whose inputs they hold."""

    @property
    def venv(self) -> VirtualEnv: ...
    @property
    def rows(self) -> Rows: ...
    @property
    def clone(self) -> Policy: ...
    @property
    def target(self) -> str: ...
    @property
    def row_reward(self) -> Tensor: ...
    @property
    def reward_spread(self) -> float: ...


@dataclass(frozen=True)
class Transitions:
    """One per logged row, model space; `parts` are the row ranges of the halves.

    x, next_x (N, d): what the policy sees, the first `seen` columns, and beside it every other leaf with data.
    action, next_action (N, width); known (N,): 0 where the next action was not logged.
    reward (N,): in spreads of the logged reward, less `offset`: its mean where nothing ends.
    going (N,): 0 where the trajectory ended in `done`.

    earned (N,): the discounted reward from the row on; where a trajectory merely stops, its mean reward goes on.

    pools: of each half, the rows that can be drawn: those of which nothing is missing, all where that leaves none.

    The last row of a trajectory that merely stops is followed by the state it led to, its other leaves held.
    """

    x: Tensor
    next_x: Tensor
    action: Tensor
    next_action: Tensor
    known: Tensor
    reward: Tensor
    going: Tensor
    earned: Tensor
    seen: int
    offset: float
    parts: tuple[range, ...]
    pools: tuple[Tensor, ...]

    @classmethod
    def of(cls, problem: LoggedTask, gamma: float) -> Transitions:
        """All rows of both halves. What the policy sees has to be logged (see `not_logged`)."""
        rows, policy = problem.rows, problem.clone
        longer, position = with_ends(problem)
        names = (*policy.inputs, *other_leaves(problem))

        def leaves(index: Tensor) -> Tensor:
            row = longer.at(index, names)
            return torch.cat([row[name] for name in names], dim=-1)

        following = torch.arange(rows.count, device=rows.device) + 1
        last = following == rows.ends
        told = rows.weight(problem.target, following.clamp_max(rows.count - 1))
        known = ~last if told is None else ~last & (told > 0).all(-1)
        action, going = longer.values[problem.target], 1.0 - ended(problem)
        reward = problem.row_reward / problem.reward_spread
        # where nothing ends, an offset says nothing
        offset = float(reward.mean()) if bool(going.all()) else 0.0
        reward = reward - offset
        return cls(
            leaves(position),
            leaves(position + 1),
            action[position],
            action[position + 1],
            known.float(),
            reward,
            going,
            discounted(reward, going, rows, gamma),
            sum(policy.codec.width(name) for name in policy.inputs),
            offset,
            rows.parts,
            tuple(known_rows(problem, part, names) for part in rows.parts),
        )

    def drawn(self, copies: int, batch: int, generator: torch.Generator) -> Transitions:
        """`batch` of them for every copy, from its own half: (P, batch, ...); copies as in `Policy`."""
        per_half = copies // len(self.pools)
        shape = (per_half, batch)
        index = torch.cat(
            [
                pool[torch.randint(len(pool), shape, generator=generator, device=generator.device)]
                for pool in self.pools
            ]
        )
        tables: dict[str, Any] = {
            name: value[index] for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tables)


def known_rows(problem: LoggedTask, part: range, seen: Sequence[str]) -> Tensor:
    """The rows of a half in which neither a node of `seen`, nor the action, nor what follows is missing.

    Of a history the newest frame counts. All rows of the half, where none of them is whole.
    """
    rows, graph = problem.rows, problem.venv.graph
    every = torch.arange(part.start, part.stop, device=rows.device)
    sources = [rows.histories[name].source if name in rows.histories else name for name in seen]
    known = torch.ones_like(every, dtype=torch.bool)
    for name in {*sources, problem.target, *(graph.next_of(state) for state in graph.states)}:
        if name in rows.weights:
            known &= (rows.weights[name][every] > 0).all(-1)
    return every[known] if bool(known.any()) else every


def not_logged(problem: LoggedTask) -> str | None:
    """What of the policy's inputs has no data, as the end of a sentence; None where all have."""
    known = {*problem.rows.values, *problem.rows.histories}
    missing = [name for name in problem.clone.inputs if name not in known]
    return f"the policy sees {', '.join(missing)}, which the logs do not hold" if missing else None


def other_leaves(problem: LoggedTask) -> tuple[str, ...]:
    """States and replayed leaves with data that the policy does not see."""
    venv, seen = problem.venv, problem.clone.inputs
    names = (*venv.replayed_nodes, *venv.graph.states)
    return tuple(name for name in names if name not in seen and name in problem.rows.values)


def ended(problem: LoggedTask) -> Tensor:
    """1 where `done` was logged, or a batch was closed, (N,)."""
    done, rows = problem.venv.graph.done, problem.rows
    if problem.venv.closing is not None:
        return (torch.arange(rows.count, device=rows.device) == rows.ends - 1).float()
    if done is None or done not in rows.values:
        return torch.zeros(rows.count, device=rows.device)
    return (problem.venv.codec[done].decode(rows.values[done])[..., 0] >= 0.5).float()


def discounted(reward: Tensor, going: Tensor, rows: Rows, gamma: float) -> Tensor:
    """The discounted sum of rewards from each row on, (N,); a trajectory that stops goes on with its mean."""
    each, alive = reward.tolist(), going.tolist()
    for start, length in zip(rows.starts.tolist(), rows.lengths.tolist(), strict=True):
        tail = sum(each[start : start + length]) / length / (1.0 - gamma)
        for row in range(start + length - 1, start - 1, -1):
            tail = each[row] = each[row] + gamma * alive[row] * tail
    return torch.tensor(each, device=reward.device)


def with_ends(problem: LoggedTask) -> tuple[Rows, Tensor]:
    """The rows with one more at the end of every trajectory, and where each old one now is, (N,)."""
    rows, graph = problem.rows, problem.venv.graph
    count = torch.arange(len(rows.starts), device=rows.device)
    position = torch.arange(rows.count, device=rows.device) + count.repeat_interleave(rows.lengths)
    last = rows.starts + rows.lengths - 1
    following = {name: graph.next_of(name) for name in graph.states}
    values: Mapping[str, Tensor] = rows.values
    longer = {}
    for name, value in values.items():
        end = values.get(following.get(name, name), value)[last]
        longer[name] = value.new_empty(rows.count + len(count), value.shape[1])
        longer[name][position] = value
        longer[name][last + count + 1] = end
    lengths = rows.lengths + 1
    stops = lengths.cumsum(0)
    ends = stops.repeat_interleave(lengths)
    return replace(
        rows, values=longer, weights={}, ends=ends, starts=stops - lengths, lengths=lengths
    ), position
