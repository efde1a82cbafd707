"""Behaviour cloning: every learned node by itself, one step at a time, `L = -mean log p(y | parents)` (Pomerleau 1991).

Rounds double, from the full step size to none, and the network grows, as in `multi_step`; rollouts are never learned
from. They only judge: a member keeps the weights whose rollouts were best on the rows that it left out, because the
lowest one-step loss picks models that run away (see docs/learners.md). In the worst case the error of a rollout grows
with the square of its length (Xu, Li and Yu 2020, arXiv:2010.11876).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from revive.errors import Problem, UserError
from revive.venv.learners.members import RoundArguments
from revive.venv.learners.multi_step import MultiStepLearner
from revive.venv.learners.objective import LossKind
from revive.venv.problem import VenvProblem


class BehaviourCloning(MultiStepLearner):
    """Fits all members of both halves at once, to single rows.

    Args:
        problem: what is to be learned, from what.
        loss: of the nodes whose description names none: log_prob, or the absolute or squared error of the mean; the
            noise is then fitted to residuals on rows that members left out.
        one_step_updates, widths, batch_size, lr, weight_decay, least_fall, clip, block, held_out, effect_weight,
            rule_weight, max_seconds, chunk: as of `MultiStepLearner`.

    Raises UserError for a learned node that the logs say nothing of, and for too small a budget.
    """

    def __init__(self, problem: VenvProblem, *, loss: LossKind, **rounds: Unpack[RoundArguments]) -> None:
        lr = rounds["lr"]
        nothing: dict[str, Any] = {
            "curriculum": (),
            "window_batch": 1,
            "multi_step_lr": lr,
            "likelihood_weight": 1.0,
        }
        unfiltered: dict[str, Any] = {"filter_steps": 0, "filter_updates": 0, "filter_lr": lr}
        super().__init__(problem, loss=loss, **nothing, **unfiltered, **rounds)
        for name in _out_of_reach(problem, self.objective.fitted):
            what = f"'{name}' cannot be cloned: neither it nor anything that follows from it within a step was logged"
            raise UserError(Problem(what, place="venv", remedy="venv=multi_step learns it through rollouts"))


def _out_of_reach(problem: VenvProblem, fitted: Sequence[str]) -> list[str]:
    """Learned nodes that no fitted node depends on within a time step."""
    graph, waiting, reached = problem.graph, list(fitted), set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph[name].inputs
    return [name for name in graph.learned if name not in reached and not graph[name].freeze]
