"""What learners share that draw their actions in rollouts: copies, rollouts, discount, the moments handed in."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from revive.policy.candidate import Snapshots
from revive.policy.learners.base import SnapshotLearner
from revive.policy.penalties import Measure
from revive.policy.problem import PolicyProblem
from revive.policy.rollouts import Copies, Rollouts
from revive.policy.updates import set_step_size


class Exploration(TypedDict):
    """Arguments of every learner that explores in the venv.

    penalties: of the members' disagreement, one variant each, in spreads of the logged reward.
    measure: of it, see penalties.py.
    noise: of exploration at the start, in spreads of the logged action; learned from there.
    branches: rollouts per copy and iteration.
    lr: Adam of the policy, linear to zero.
    gamma, done_gamma: discount, and that where trajectories end by `done`.
    hidden: of the value or the critics.
    clip: limit of each copy's gradient norm.
    judge_every: iterations between two candidates.
    chunk: iterations per round.
    """

    penalties: list[float]
    measure: Measure
    noise: float
    branches: int
    lr: float
    gamma: float
    done_gamma: float
    hidden: list[int]
    clip: float
    judge_every: int
    chunk: int


class ExploringLearner(SnapshotLearner):
    """Copies that learn side by side: as many variants in each half's venv.

    Args:
        problem: what is to be learned, in what.
        name: of the learner.
        shared: see `Exploration`.
    """

    iterations: int

    def __init__(self, problem: PolicyProblem, name: str, **shared: Unpack[Exploration]) -> None:
        super().__init__()
        self.problem, venv = problem, problem.venv
        self.policy = problem.started(len(shared["penalties"])).requires_grad_(True)
        self.generator = problem.generator()
        copies = Copies(
            problem,
            self.policy,
            penalties=shared["penalties"],
            measure=shared["measure"],
            branches=shared["branches"],
            generator=self.generator,
        )
        # in a list: the venv's weights are fixed and are no part of this module
        self._rollouts, self.multipliers = [Rollouts(copies)], copies.multipliers
        self.ends = venv.graph.done in venv.graph.order or venv.closing is not None
        self.gamma = shared["done_gamma"] if self.ends else shared["gamma"]
        self.lr, self.clip = shared["lr"], shared["clip"]
        self.judge_every, self.chunk = shared["judge_every"], shared["chunk"]
        self.taken = Snapshots(self.policy, name, copies.names)

    @property
    def rollouts(self) -> Rollouts:
        return self._rollouts[0]

    def hand_in(self, done: int) -> None:
        """The policies after so many iterations, where it is time for it."""
        if done > 0 and (done % self.judge_every == 0 or done == self.iterations):
            self.taken.take(done)

    def slow_down(self, optimizer: Any, done: int) -> None:
        """The step size of the policy after so many iterations."""
        set_step_size(optimizer, self.lr * (1.0 - max(done, 0) / self.iterations))
