"""The verdicts on a venv, from the figures of a policy problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from revive.data.trajectories import joined
from revive.graph.joint import decided_by
from revive.pipeline.inputs import Inputs
from revive.policy.candidate import Candidate
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.imitation import Replay, gain_over_logs, independent, world_of
from revive.policy.intervals import Interval, prediction
from revive.policy.problem import PolicyProblem
from revive.policy.signs import signs_of_effects
from revive.policy.tipping import tipping_points
from revive.policy.venv_verdicts import about_errors, about_imitation, about_signs
from revive.policy.verdicts import Verdict, about_cards, about_gain, about_gain_over_logs
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


def venv_verdicts(problem: PolicyProblem, replay: Replay, gain: float | None) -> list[Verdict]:
    """What may be wrong with the venv, before a policy is chosen that was learned in it.

    gain: per step, that the best candidate promises over the clone.
    """
    venv, rows = problem.venv, problem.rows
    ahead = min(problem.horizon.steps, max(FEW, problem.horizon.dead_time or 0))
    signs = signs_of_effects(venv, rows, problem.target, problem.reward, ahead)
    return [
        *about_cards(problem.cards, decided_by(venv.graph, problem.target)),
        *about_imitation(replay.found, gain, replay.clone_at_fault, replay.remembered),
        *about_signs(signs, problem.step_seconds),
        *about_errors(rollout_error(venv, rows), problem.step_seconds),
    ]


@dataclass(frozen=True)
class Certainty:
    """How certain a gain is: it is hardly less than `low` per step; `doubts` are what is to be said of it, if any."""

    low: float
    doubts: list[Verdict]


def certainty_of(problem: PolicyProblem, chosen: Candidate, clone_at_fault: bool) -> Certainty:
    """Whether the gain of a candidate is certain, over starts, members and both halves' venvs.

    It is asked for over the clone. A clone that is at fault is no measure, and no safe choice either: then a gain that
    is certain over what the logs earned on the same rows will do, and where all members of both halves see one, the
    doubt is said but the policy stays.
    """
    world, actor = world_of(problem), chosen.policy.actor()
    gains = world.rewards(actor) - world.rewards(problem.clone.actor())  # (M, B)
    over_clone, at_home = _foretold(world, gains, chosen)
    doubts = about_gain(over_clone, at_home)
    if not doubts or not clone_at_fault:
        return Certainty(over_clone.low, doubts)
    world, gains = gain_over_logs(problem, actor)
    over_logs, _ = _foretold(world, gains, chosen)
    if over_logs.low > 0.0:
        return Certainty(over_logs.low, [])
    all_see_one = bool((gains.mean(1) > 0.0).all())
    return Certainty(over_logs.low, about_gain_over_logs(over_logs) if all_see_one else doubts)


def _foretold(world: EvaluationEnvironment, gains: Tensor, chosen: Candidate) -> tuple[Interval, float]:
    """A gain (M, B) by the half that the candidate did not learn in, and its mean in the other one."""
    own, other = (gains[world.venv.members_of(half)] for half in (chosen.half, 1 - chosen.half))
    at_home = float(own.double().mean())
    return prediction(other, at_home, independent(world, 1 - chosen.half)), at_home


def tipping_of(problem: PolicyProblem, chosen: Candidate) -> list[dict[str, Any]]:
    """How strong a hidden cause would have to be to cancel the gain of a candidate over the clone."""
    steps = min(problem.evaluation.horizon, TIPPING_STEPS)
    world = EvaluationEnvironment.make(
        problem.venv, problem.rows, problem.reward, starts=TIPPING_STARTS, horizon=steps, seed=1
    )
    found = tipping_points(problem.cards, world, chosen.policy, problem.clone, chosen.half)
    return [tipping.to_json() for tipping in found]
