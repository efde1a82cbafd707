"""Which candidate is taken when the gain of the best one is in doubt."""

from __future__ import annotations

import pytest

from revive.pipeline import stages
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


@pytest.mark.parametrize(
    ("doubts", "taken", "told"),
    [
        ({}, "best", []),
        ({"best": "caution"}, "second", []),
        ({"best": "distrust", "second": "caution", "third": "caution"}, "second", ["second"]),
        ({"best": "caution", "second": "distrust", "third": "distrust"}, "best", ["best"]),
        ({"best": "distrust", "second": "distrust", "third": "distrust"}, "best", ["best"]),
    ],
)
def test_of_doubtful_candidates_that_one_is_taken_whose_doubts_weigh_least(
    plant: Plant,
    monkeypatch: pytest.MonkeyPatch,
    doubts: dict[str, Severity],
    taken: str,
    told: list[str],
) -> None:
    def said(_: PolicyProblem, chosen: Candidate, __: bool) -> list[Verdict]:
        name = chosen.learner
        return [Verdict("gain", name, "", doubts[name])] if name in doubts else []

    monkeypatch.setattr(stages, "gain_verdicts", said)
    made = [Candidate(name, "", 0, 1, plant.linear_policy(gain)) for name, gain in BETTER.items()]
    choice, verdicts = stages.certain_choice(Court(problem_of(plant)), made, False)
    assert (choice.candidate.learner, [verdict.sentence for verdict in verdicts]) == (taken, told)
