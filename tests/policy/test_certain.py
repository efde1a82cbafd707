"""Which candidate is taken when the gain of the best one is in doubt."""

from __future__ import annotations

import pytest

from revive.pipeline import stages
from revive.pipeline.trust import Certainty
from revive.policy.candidate import Candidate
from revive.policy.choice import Court
from revive.policy.problem import PolicyProblem
from revive.policy.verdicts import Severity, Verdict
from tests.policy.conftest import Plant
from tests.policy.problems import problem_of

BETTER = {
    "best": -1.2,
    "second": -1.0,
    "third": -0.8,
}  # gains of policies, each worth less than the one before
Doubts = dict[str, Severity]


def chosen(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, doubts: Doubts, low: dict[str, float]
) -> tuple[str, list[str]]:
    """The candidate that is taken, and what is said of it."""

    def said(_: PolicyProblem, candidate: Candidate, __: bool) -> Certainty:
        name = candidate.learner
        told = [Verdict("gain", name, "", doubts[name])] if name in doubts else []
        return Certainty(low.get(name, 0.0), told)

    monkeypatch.setattr(stages, "certainty_of", said)
    made = [Candidate(name, "", 0, 1, plant.linear_policy(gain)) for name, gain in BETTER.items()]
    choice, verdicts = stages.certain_choice(Court(problem_of(plant)), made, False)
    return choice.candidate.learner, [verdict.sentence for verdict in verdicts]


@pytest.mark.parametrize(
    ("doubts", "taken", "told"),
    [
        ({}, "best", []),
        ({"best": "caution", "third": "caution"}, "second", []),
        ({"best": "distrust", "second": "caution", "third": "caution"}, "second", ["second"]),
        ({"best": "caution", "second": "distrust", "third": "distrust"}, "best", ["best"]),
        ({"best": "distrust", "second": "distrust", "third": "distrust"}, "best", ["best"]),
    ],
)
def test_of_doubtful_candidates_that_one_is_taken_whose_doubts_weigh_least(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, doubts: Doubts, taken: str, told: list[str]
) -> None:
    assert chosen(plant, monkeypatch, doubts, {}) == (taken, told)


def test_in_place_of_a_doubtful_candidate_that_one_is_taken_which_gains_at_least_the_most(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = {"best": 5.0, "second": 0.1, "third": 0.2}
    assert chosen(plant, monkeypatch, {"best": "distrust"}, low) == ("third", [])
    assert chosen(plant, monkeypatch, {}, {"second": 9.0}) == ("best", [])
