"""The verdicts on a venv, from the figures of a policy problem."""

from __future__ import annotations

from typing import Any

from revive.data.trajectories import joined
from revive.graph.joint import decided_by
from revive.pipeline.inputs import Inputs
from revive.policy.candidate import Candidate
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.imitation import (
    imitations,
    independent,
    is_clone_at_fault,
    remembered,
    world_of,
)
from revive.policy.intervals import prediction
from revive.policy.problem import PolicyProblem
from revive.policy.signs import signs_of_effects
from revive.policy.tipping import tipping_points
from revive.policy.verdicts import (
    Verdict,
    about_cards,
    about_errors,
    about_gain,
    about_imitation,
    about_signs,
)
from revive.trust.card import Cards
from revive.trust.grading import causal_cards
from revive.venv.validation import rollout_error

TIPPING_STARTS, TIPPING_STEPS = 32, 150  # of each half; a strength needs no more
FEW = 10  # steps after which an effect is looked at, or the dead time where that is longer


def cards_of(inputs: Inputs) -> Cards:
    """The causal cards of what both halves learn from; the test part is not read."""
    parts = inputs.parts
    if parts.test is None and parts.train.rows + parts.validation.rows <= inputs.logs.rows:
        return causal_cards(inputs.logs, inputs.graph)
    return causal_cards(joined(parts.train, parts.validation), inputs.graph)


def venv_verdicts(problem: PolicyProblem, gain: float | None) -> list[Verdict]:
    """What may be wrong with the venv, before a policy is chosen that was learned in it.

    gain: per step, that the best candidate promises over the clone.
    """
    venv, rows = problem.venv, problem.rows
    ahead = min(problem.horizon.steps, max(FEW, problem.horizon.dead_time or 0))
    signs = signs_of_effects(venv, rows, problem.target, problem.reward, ahead)
    found = imitations(problem)
    wrong = any(i.is_real for i in found)
    clone_at_fault = wrong and is_clone_at_fault(problem)
    recalled = remembered(problem) if wrong and not clone_at_fault else []
    return [
        *about_cards(problem.cards, decided_by(venv.graph, problem.target)),
        *about_imitation(found, gain, clone_at_fault, recalled),
        *about_signs(signs),
        *about_errors(rollout_error(venv, rows)),
    ]


def gain_verdicts(problem: PolicyProblem, chosen: Candidate) -> list[Verdict]:
    """Whether the gain of a candidate over the clone is certain: over starts, members and both halves' venvs."""
    world, venv = world_of(problem), problem.venv
    gains = world.rewards(chosen.policy.actor()) - world.rewards(problem.clone.actor())  # (M, B)
    own, other = (gains[venv.members_of(half)] for half in (chosen.half, 1 - chosen.half))
    at_home = float(own.double().mean())
    return about_gain(prediction(other, at_home, independent(world, 1 - chosen.half)), at_home)


def tipping_of(problem: PolicyProblem, chosen: Candidate) -> list[dict[str, Any]]:
    """How strong a hidden cause would have to be to cancel the gain of a candidate over the clone."""
    steps = min(problem.evaluation.horizon, TIPPING_STEPS)
    world = EvaluationEnvironment.make(
        problem.venv, problem.rows, problem.reward, starts=TIPPING_STARTS, horizon=steps, seed=1
    )
    found = tipping_points(problem.cards, world, chosen.policy, problem.clone, chosen.half)
    return [tipping.to_json() for tipping in found]
