"""What learners share that fit all members of both halves at once and judge each on the rows that it left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import torch
from torch import Tensor

from revive.data.windows import Segments, all_of, cut_blocks, join_members, leave_out
from revive.venv.judging import HeldOutError
from revive.venv.learners.base import VenvLearner
from revive.venv.learners.best import BestWeights
from revive.venv.learners.charges import Charges
from revive.venv.learners.decay import Decay
from revive.venv.learners.objective import LossKind, Objective
from revive.venv.problem import VenvProblem
from revive.venv.virtual_env import VirtualEnv

JUDGED_STEPS = 100  # of the rollouts that members are judged by


class RoundArguments(TypedDict):
    """What rounds of one-step updates need; the meanings are those of `MultiStepLearner`."""

    one_step_updates: int
    widths: Sequence[int]
    batch_size: int
    lr: float
    weight_decay: float | Sequence[float]
    least_fall: float
    clip: float
    block: int
    held_out: float
    effect_weight: float
    rule_weight: float
    max_seconds: float | None
    chunk: int


class MemberLearner(VenvLearner):
    """Holds the venv that is trained, what it costs, how it is judged, and the best weights of each member.

    Args:
        problem: what is to be learned, from what.
        hidden: layers that the network starts with.
        window_batch: windows per member of a multi-step update.
        loss: one-step loss of the nodes whose description names none.
        weight_decay: on the residual network, see `Decay`.
        block, held_out: rows of the blocks that members leave out, and the share of them.
        effect_weight, rule_weight: of what contradicts declared effects, and of the rule's penalty.

    alone: fitted nodes that rollouts do not test, judged by their own one-step cost.
    """

    def __init__(
        self,
        problem: VenvProblem,
        hidden: tuple[int, ...],
        *,
        window_batch: int,
        loss: LossKind,
        weight_decay: float | Sequence[float],
        block: int,
        held_out: float,
        effect_weight: float,
        rule_weight: float,
    ) -> None:
        super().__init__()
        self.problem, self.rows = problem, problem.rows
        self.observed: tuple[str, ...] = ()
        self.venv, self.warm = self._make(hidden)
        self.generator = problem.generator()
        self.seen, self.unseen = _seen_and_unseen(problem, block, held_out, self.generator)
        self.objective = Objective(problem, self.venv, self.seen, window_batch, loss)
        weights = {"effect_weight": effect_weight, "rule_weight": rule_weight}
        self.charges = Charges(problem, self.venv, self.seen, self.unseen, **weights)
        self.judge = HeldOutError(
            self.venv,
            self.rows,
            self.unseen,
            nodes=self.objective.judged,
            fitted=self.objective.fitted,
            horizon=min(JUDGED_STEPS, int(problem.rows.lengths.max())),
            penalties=self.charges.judged(),
        )
        self.alone = self._judged_alone()
        self.usual = self.objective.usual_costs(self.alone)
        self.decay = Decay(weight_decay, problem.members, problem.device)
        self.best = BestWeights(self.venv, self.alone)

    # -- the venv in training ------------------------------------------------------------------

    def _make(self, hidden: tuple[int, ...]) -> tuple[VirtualEnv, set[str]]:
        venv, taken = self.problem.make(replace(self.problem.network, hidden=hidden))
        venv.observe(self.observed)
        return venv, taken

    def _take(self, venv: VirtualEnv) -> None:
        """Train another venv from here on."""
        self.venv = venv
        for user in (self.objective, self.charges, self.judge):
            user.venv = venv

    def _widened(self, venv: VirtualEnv, hidden: tuple[int, ...]) -> VirtualEnv:
        """A venv that says the same with hidden layers of other widths."""
        wider, _ = self._make(hidden)
        wider.widen_from(venv)
        return wider

    def _best_venv(self) -> VirtualEnv:
        return self.best.venv(lambda hidden: self._make(hidden)[0])

    # -- how members are judged ----------------------------------------------------------------

    def _judged_alone(self) -> list[str]:
        """Fitted nodes that rollouts do not test: no transitions, and nothing that is charged depends on them."""
        if not self.objective.judged:
            return []
        graph = self.problem.graph
        tested = {*graph.transitions, *(name for name in graph.changes if self._moves_a_judged_one(name))}
        return [n for n in self.objective.fitted if n not in tested and n not in self.charges.nodes]

    def _moves_a_judged_one(self, node: str) -> bool:
        """Whether a transition that rollouts are compared at follows from the node within the step."""
        graph, waiting, seen = self.problem.graph, list(self.objective.judged), set()
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph[name].inputs
        return node in seen

    def held_out_error(self) -> Tensor:
        """Each member's error on the rows that it left out, and what it is charged beside it: (M,)."""
        return self.judge()

    def other_half_error(self) -> Tensor:
        """The same on the rows of the half that a member does not learn from: (M,)."""
        halves = [all_of(self.rows, part, self.problem.members) for part in reversed(self.rows.parts)]
        return self.judge.on(join_members(*halves))()

    # -- which of them are kept ----------------------------------------------------------------

    def result(self) -> VirtualEnv:
        return self.venv.subset(self.best_members(self.problem.keep))

    def kept_error(self) -> Tensor:
        return self.held_out_error()[self.best_members(self.problem.keep)]

    def best_members(self, keep: int) -> Tensor:
        """Indices of the `keep` members of each half with the lowest held-out error, sorted: (2 * keep,)."""
        return best_of(self.best.error, keep)


def hidden_layers(problem: VenvProblem, widths: Sequence[int]) -> list[tuple[int, ...]]:
    """The hidden layers of each round: as the user fixed them, as an earlier venv has them, or growing."""
    fixed, earlier = problem.network.hidden, problem.earlier
    if fixed is None and earlier is not None:
        fixed = earlier.spec.hidden
    fixed = fixed if fixed is not None else problem.network.sized().hidden
    return [(width, width) if fixed is None else tuple(fixed) for width in widths]


def best_of(error: Tensor, keep: int) -> Tensor:
    """The indices of the `keep` members of each half with the lowest error (M,), sorted: (2 * keep,)."""
    per_half = len(error) // VirtualEnv.halves
    ranks = error.view(VirtualEnv.halves, per_half).argsort(1)[:, :keep].sort(1).values
    return (ranks + torch.arange(VirtualEnv.halves, device=ranks.device)[:, None] * per_half).flatten()


def _seen_and_unseen(
    problem: VenvProblem, block: int, held_out: float, generator: torch.Generator
) -> tuple[Segments, Segments]:
    """What each member learns from, and what it leaves out of its half."""
    rows = problem.rows
    halves = [
        leave_out(rows, cut_blocks(rows, part, block), problem.members, held_out, generator)
        for part in rows.parts
    ]
    return join_members(*(drawn for drawn, _ in halves)), join_members(*(left for _, left in halves))
