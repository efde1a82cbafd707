"""Rollouts of policies that explore, in the units that learners learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from revive.policy.constraints import Multipliers
from revive.policy.doubt import charge
from revive.policy.penalties import Measure, Worth, penalty_of
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem
from revive.policy.starts import Start
from revive.venv.virtual_env import Actor, VirtualEnv

LARGEST = 100.0  # reward of a step, in its spreads: where rollouts diverge
Act = Callable[[Tensor], Tensor]


def with_random_members(
    venv: VirtualEnv, begin: Start, size: tuple[int, int], actor: Actor, generator: torch.Generator
) -> dict[str, Tensor]:
    """A rollout in which a random member of its half answers each branch at every step.

    size: steps and branches of each member, T and B. Returns node -> (T, M, B, d).
    """
    steps, branches = size
    others = tuple(name for name in venv.graph.learned if name != actor.node)
    noise = venv.noise(steps, branches, generator, others)
    per_half = venv.members // venv.halves
    shifts = torch.randint(per_half, (steps,), generator=generator, device=generator.device).tolist()
    return venv.rollout(
        begin.state, begin.given, steps, past=begin.past, actor=actor, noise=noise, shifts=shifts
    )


class Rolled(NamedTuple):
    """Rollouts of h + 1 steps; the last one is there for what is seen in it.

    known: node -> (h + 1, M, B, d), given and computed. taken: node -> (h, M, B, d), what the reward reads.
    """

    known: Mapping[str, Tensor]
    taken: Mapping[str, Tensor]

    @property
    def later(self) -> dict[str, Tensor]:
        """What is known a step after each that was taken."""
        return {name: value[1:] for name, value in self.known.items()}


class Paid(NamedTuple):
    """reward (h, P, n): in spreads of the logged one, less what doubt costs; alive (h + 1, P, n): 1 until a branch
    has ended; earned (): the user's mean reward of a step."""

    reward: Tensor
    alive: Tensor
    earned: Tensor


class Copies:
    """A policy's copies side by side in the venvs of their halves: how many branches, which members, what they pay.

    Args:
        problem, policy: what learns in what; the policy has `len(penalties)` variants for each half.
        penalties: what the members' disagreement costs each variant, in spreads of the logged reward.
        measure: of it, see penalties.py.
        branches: of each copy, spread over the members of its half.
        generator: of all draws.
    """

    def __init__(
        self,
        problem: PolicyProblem,
        policy: Policy,
        *,
        penalties: list[float],
        measure: Measure,
        branches: int,
        generator: torch.Generator,
    ) -> None:
        venv = problem.venv
        self.problem, self.policy, self.venv, self.generator = problem, policy, venv, generator
        self.branches = len(penalties) * max(1, branches // (venv.members // venv.halves))  # of each member
        self.measure = penalty_of(problem, measure, policy)
        self.names = [self.measure.name(penalty) for penalty in penalties]
        self.paying = [number for number, penalty in enumerate(penalties) if penalty > 0]  # variants
        self.penalty = torch.tensor(penalties * venv.halves, device=problem.device).unsqueeze(1)  # (P, 1)
        self.multipliers = None if problem.constraints is None else Multipliers(problem.constraints, policy)

    def doubt(self, taken: Mapping[str, Tensor], later: Mapping[str, Tensor], worth: Worth) -> Tensor:
        """How far members disagree at the steps of those variants that pay for it, (T, P, n). See `Penalty.of`."""
        return self.measure.of(taken, later, worth, self.generator, self.paying)

    def affordable(self, steps: int) -> int:
        """How many times so many steps may be rolled out. Raises UserError where not even once."""
        return self.problem.affordable(self.venv.members * self.branches * (steps + 1))

    def rolled(self, begin: Start, steps: int, actor: Actor) -> dict[str, Tensor]:
        """Node -> (T, M, B, d), model space; a random member at every step."""
        return with_random_members(self.venv, begin, (steps, self.branches), actor, self.generator)

    def by_copy(self, series: Tensor) -> Tensor:
        """(T, M, B) -> (T, P, n)."""
        return self.policy.by_copy(series.unsqueeze(-1)).squeeze(-1)

    def constrained(self, reward: Tensor, taken: Mapping[str, Tensor], alive: Tensor) -> Tensor:
        """The reward (h, P, n) less what the steps taken, node -> (h, M, B, d), pay for limits that they break."""
        if self.multipliers is None:
            return reward
        physical = self.policy.codec.decode(taken)
        self.multipliers.learn(physical, alive)
        return reward - self.multipliers.charge(physical)


class Rollouts:
    """Rollouts of copies whose learner draws the actions itself."""

    def __init__(self, copies: Copies) -> None:
        self.copies = copies

    @torch.no_grad()
    def roll(self, steps: int, act: Act) -> Rolled:
        """act: what each copy sees (P, n, d) -> its action (P, n, width), in model space; where a decision is due."""
        copies, policy = self.copies, self.copies.policy
        begin = copies.problem.starts.draw(copies.branches, steps + 1, copies.generator)

        def decide(x: Tensor) -> Tensor:
            return policy.by_branch(act(policy.by_copy(x)), len(x))

        actor = Actor(policy.target, policy.inputs, decide, policy.graph, policy.codec, policy.repeat)
        rolled = copies.rolled(begin, steps + 1, actor)
        return Rolled({**begin.given, **rolled}, {name: value[:-1] for name, value in rolled.items()})

    @torch.no_grad()
    def paid(self, rolled: Rolled, offset: float, worth: Worth) -> Paid:
        """What the steps earn. offset: of the user's reward, taken off before it is scaled. worth: of states."""
        copies, problem, taken = self.copies, self.copies.problem, rolled.taken
        earned = problem.reward(copies.policy.codec.decode(taken))  # (h, M, B)
        alive = copies.venv.alive(taken)
        alive = torch.ones_like(torch.cat([earned[:1], earned])) if alive is None else alive
        reward = ((earned - offset) / problem.reward_spread).nan_to_num(0.0).clamp(-LARGEST, LARGEST)
        reward, alive = (copies.by_copy(series) for series in (reward, alive))
        if copies.paying:
            reward = reward - self._charge(rolled, alive[:-1], worth)
        return Paid(copies.constrained(reward, taken, alive[:-1]), alive, earned.mean())

    def _charge(self, rolled: Rolled, alive: Tensor, worth: Worth) -> Tensor:
        """What every step pays for the members' disagreement, (h, P, n); nothing on average over a copy's steps."""
        copies = self.copies
        doubt = copies.doubt(rolled.taken, rolled.later, worth)
        return charge(doubt, copies.penalty, alive, copies.measure.free)
