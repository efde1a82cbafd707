"""The value of a state and an action under the policy, per copy, and the logged transitions it is told of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from revive.nn.ensemble import LinearSkipNet
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem

VALUE_SCALE = 10.0  # discounted sums are larger than the rewards they sum


class Critic(nn.Module):
    """`Q(leaves, action)` for P copies: (P, B, inputs) -> (P, B), in units of the logged reward's spread."""

    def __init__(self, copies: int, inputs: int, hidden: tuple[int, ...] = (64, 64)) -> None:
        super().__init__()
        self.inputs = inputs
        self.net = LinearSkipNet(copies, inputs, 1, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).squeeze(-1) * VALUE_SCALE


def lambda_returns(
    reward: Tensor, next_value: Tensor, gamma: float, mix: float | Tensor, going: Tensor | None = None
) -> Tensor:
    """`G_k = r_k + gamma g_k ((1 - mix) Q_{k+1} + mix G_{k+1})`, `G_h = Q_h`: TD(lambda).

    reward, next_value, going (h, ...) -> (h, ...). going: g, 0 where a branch ends with the step; the end of the
    rollout is a time-out, never a terminal state. mix: lambda, a number or (...).
    """
    out, following = [], next_value[-1]
    for k in range(reward.shape[0] - 1, -1, -1):
        rest = next_value[k] + mix * (following - next_value[k])
        if going is not None:
            rest = going[k] * rest
        following = reward[k] + gamma * rest
        out.append(following)
    return torch.stack(out[::-1])


@dataclass(frozen=True)
class Logged:
    """Logged transitions of both halves, rows in front, model space; rewards in their spreads.

    leaves, following: what the critic sees of the row and of what comes after it; action: what was done; seen:
    what the policy sees after it; going (N,): 0 where the row ended the trajectory by `done`. rows: of each half,
    those that can be learned from.
    """

    leaves: Tensor
    action: Tensor
    reward: Tensor
    going: Tensor
    following: Tensor
    seen: Tensor
    rows: tuple[Tensor, ...]

    @classmethod
    def of(cls, problem: PolicyProblem, policy: Policy) -> Logged | None:
        """None where a leaf or the action was not logged, or never all of it in one row of a half.

        The last row of a trajectory that no `done` ended is a time-out: its state follows from its `next_X`, its
        exogenous values are held.
        """
        venv, rows, graph = problem.venv, problem.rows, problem.venv.graph
        values, names = rows.values, (*venv.replayed_nodes, *graph.states)
        sources = [rows.histories[n].source if n in rows.histories else n for n in policy.inputs]
        following = [graph.next_of(state) for state in graph.states]
        if any(name not in values for name in (*names, *sources, *following, policy.target)):
            return None
        index = torch.arange(rows.count, device=rows.device)
        later = torch.minimum(index + 1, rows.ends - 1)
        after = {name: values[name][later] for name in (*names, *policy.inputs) if name in values}
        after.update({state: values[graph.next_of(state)] for state in graph.states})
        histories = rows.at(later, [name for name in policy.inputs if name in rows.histories])
        going = torch.ones(rows.count, device=rows.device)
        if graph.done in values:
            done = venv.codec[graph.done].decode(values[graph.done])  # type: ignore[index]
            going = (done[:, 0] < 0.5).float()
        elif venv.closing is not None:
            going = (index < rows.ends - 1).float()
        usable = torch.ones_like(going, dtype=torch.bool)
        if not set(policy.inputs) <= set(names):  # what else it sees after the last row is not known
            usable = (later > index) | (going == 0)
        for name in (*names, *following, policy.target):
            if name in rows.weights:
                usable = usable & (rows.weights[name] > 0).all(-1)
        if not all(usable[part.start : part.stop].any() for part in rows.parts):
            return None
        return cls(
            torch.cat([values[name] for name in names], -1),
            values[policy.target],
            problem.row_reward / problem.reward_spread,
            going,
            torch.cat([after[name] for name in names], -1),
            torch.cat([histories.get(name, after.get(name)) for name in policy.inputs], -1),  # type: ignore[misc]
            tuple(index[part.start : part.stop][usable[part.start : part.stop]] for part in rows.parts),
        )

    @torch.no_grad()
    def draw(
        self, count: int, critic: Critic, policy: Policy, gamma: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """`count` rows for every copy, of its own half: what the critic sees (P, count, d), and its target (P, count).

        `r + gamma (1 - done) Q(s', pi(s'))` with the critic that is given.
        """
        picked = [
            rows[torch.randint(len(rows), (count,), generator=generator, device=generator.device)]
            for rows in self.rows
        ]
        index = torch.stack(picked).repeat_interleave(policy.copies // len(picked), dim=0)  # (P, count)
        action = policy(self.seen[index], generator)
        value = critic(torch.cat([self.following[index], action], -1))
        target = self.reward[index] + gamma * self.going[index] * value
        return torch.cat([self.leaves[index], self.action[index]], -1), target
