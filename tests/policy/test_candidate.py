from __future__ import annotations

import torch

from revive.policy.candidate import Candidate, Snapshots
from revive.policy.policy import Policy
from tests.policy.conftest import Plant
from tests.venv.plants import equal_weights, weights_of


def slope_of(candidate: Candidate) -> float:
    return float(candidate.policy.net.skip.weight.detach())


def moved(policy: Policy, by: float) -> None:
    with torch.no_grad():
        policy.net.skip.weight.add_(by)


def test_every_copy_at_every_moment_is_a_candidate_of_its_half_and_variant(plant: Plant) -> None:
    policy = plant.linear_policy(1.0, 2.0, 10.0, 20.0)
    snapshots = Snapshots(policy, "learner", ["bold", "shy"])
    for iteration, by in ((5, 0.0), (10, 0.5)):
        moved(policy, by)
        snapshots.take(iteration)
    found = snapshots.candidates()
    assert [(c.iteration, c.half, c.variant, slope_of(c)) for c in found] == [
        (5, 0, "bold", 1.0),
        (5, 0, "shy", 2.0),
        (5, 1, "bold", 10.0),
        (5, 1, "shy", 20.0),
        (10, 0, "bold", 1.5),
        (10, 0, "shy", 2.5),
        (10, 1, "bold", 10.5),
        (10, 1, "shy", 20.5),
    ]
    assert [c.name for c in found[:2]] == ["learner, bold", "learner, shy"]
    assert all(c.policy.copies == 1 and not c.is_clone for c in found)


def test_a_learner_without_variants_goes_by_its_name_alone(plant: Plant) -> None:
    snapshots = Snapshots(plant.linear_policy(1.0, 2.0), "learner", [""], is_clone=True)
    assert snapshots.candidates() == []
    snapshots.take(0)
    assert [(c.name, c.is_clone) for c in snapshots.candidates()] == [("learner", True)] * 2


def test_what_was_taken_does_not_change_while_learning_goes_on(plant: Plant) -> None:
    policy = plant.linear_policy(1.0, 2.0)
    snapshots = Snapshots(policy, "learner", [""])
    snapshots.take(1)
    moved(policy, 3.0)
    assert [slope_of(c) for c in snapshots.candidates()] == [1.0, 2.0]


def test_what_was_taken_comes_back_from_a_checkpoint(plant: Plant, tmp_path) -> None:  # type: ignore[no-untyped-def]
    snapshots = Snapshots(plant.linear_policy(1.0, 2.0), "learner", [""])
    snapshots.take(1)
    torch.save(snapshots.state(), tmp_path / "state")
    again = Snapshots(plant.linear_policy(0.0, 0.0), "learner", [""])
    again.load(torch.load(tmp_path / "state", weights_only=True))
    for one, other in zip(snapshots.candidates(), again.candidates(), strict=True):
        assert (one.iteration, one.half) == (other.iteration, other.half)
        assert equal_weights(weights_of(one.policy), weights_of(other.policy))
