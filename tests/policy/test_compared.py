from __future__ import annotations

import json

import pytest

from revive.policy.choice import Court
from revive.policy.compared import CONTROLLER, compared
from tests.policy.conftest import BEHAVIOUR, Plant
from tests.policy.problems import candidates_of, problem_of


def test_every_policy_meets_every_member_with_the_same_luck(plant: Plant) -> None:
    problem = problem_of(plant)
    court = Court(problem)
    good = candidates_of(plant.linear_policy(plant.best_gain, plant.best_gain), "good")
    poor = candidates_of(plant.linear_policy(0.0, 0.0), "poor")
    timid = candidates_of(plant.linear_policy(BEHAVIOUR, BEHAVIOUR), "timid")
    lines = compared(court, [*good, *poor, *timid], good[1])
    assert [line.name for line in lines[:2]] == [CONTROLLER, "good"]
    assert [line.taken for line in lines] == [line.name == "good" for line in lines]
    by_name = {line.name: line for line in lines}
    assert by_name.keys() == {CONTROLLER, "good", "poor", "timid"}
    assert by_name["good"].half == 1
    half, each = plant.venv.halves, plant.venv.members // plant.venv.halves
    for line in lines:
        assert [len(members) for members in line.rewards] == [each] * half
        for h in range(half):
            mean = sum(line.rewards[h]) / each - sum(by_name[CONTROLLER].rewards[h]) / each
            assert line.gain[h] == pytest.approx(mean, abs=1e-6)
    assert min(by_name["good"].gain) > 0 > max(by_name["poor"].gain)
    assert by_name["good"].spread == pytest.approx(
        [0.0, 0.0], abs=1e-5
    )  # members are alike, and so is their luck
    assert json.loads(json.dumps([line.to_json() for line in lines])) == [line.to_json() for line in lines]
