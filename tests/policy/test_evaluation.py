from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from revive.policy.evaluation import EvaluationEnvironment
from tests.policy.conftest import BEHAVIOUR, Plant
from tests.venv.plants import hand_set


def test_everything_that_is_compared_meets_the_same_luck(plant: Plant) -> None:
    one = plant.bed.rewards(plant.linear_policy(-1.0).actor())
    assert one.shape == (4, 16)
    assert torch.equal(one, plant.bed.rewards(plant.linear_policy(-1.0).actor()))
    # the behaviour policy is this gain and nothing else: the same noise in the transitions must meet it
    bed = replace(plant.bed, noise={"next_x": plant.bed.noise["next_x"]})
    torch.testing.assert_close(
        bed.rewards(None), bed.rewards(plant.linear_policy(BEHAVIOUR).actor()), rtol=1e-2, atol=1e-3
    )


def test_members_share_their_luck_so_that_only_their_models_differ(plant: Plant) -> None:
    per_member = plant.bed.rewards(plant.linear_policy(-0.5).actor())
    assert torch.equal(per_member[0], per_member[1])
    assert torch.equal(per_member[2], per_member[3])
    assert not torch.equal(per_member[0], per_member[2])  # other rows to start from


def test_starts_are_spread_over_the_rows_of_each_half(plant: Plant) -> None:
    x = plant.rows.values["x"][:, 0]
    for m in range(4):
        part = plant.rows.parts[m // 2]
        starts = plant.bed.start.state["x"][m, :, 0]
        where = [int((x[part.start : part.stop] == value).nonzero()[0]) for value in starts]
        assert where == sorted(where)
        assert max(np.diff(where)) < 2 * 300 / 16


def test_a_policy_that_ends_where_the_reward_is_best_is_worth_most(plant: Plant) -> None:
    worth = [
        float(plant.bed.rewards(plant.linear_policy(gain).actor()).mean())
        for gain in (0.1, BEHAVIOUR, plant.best_gain)
    ]
    assert worth == sorted(worth)


def test_the_exogenous_values_are_those_that_followed_the_start(plant: Plant) -> None:
    venv = hand_set(plant.graph, {"next_x": ([[0.0]] * 3, [0.0]), "u": ([[0.0]], [0.0])}, members=4)
    bed = EvaluationEnvironment.make(venv, plant.rows, plant.reward, starts=5, horizon=8, seed=0)
    wind, x = plant.rows.values["wind"][:, 0], plant.rows.values["x"][:, 0]
    row = int((x == bed.start.state["x"][3, 2, 0]).nonzero()[0])
    assert bed.start.given.keys() == {"wind"}
    torch.testing.assert_close(bed.start.given["wind"][:, 3, 2, 0], wind[row : row + 8])


@pytest.mark.parametrize("seed", [1, 2])
def test_another_seed_is_other_luck(plant: Plant, seed: int) -> None:
    bed = EvaluationEnvironment.make(plant.venv, plant.rows, plant.reward, starts=16, horizon=60, seed=seed)
    actor = plant.linear_policy(-1.0).actor()
    assert torch.equal(bed.rewards(actor), plant.bed.rewards(actor)) == (seed == 1)


def test_states_are_mistaken_by_the_venvs_error_alike_for_all_that_is_compared(plant: Plant) -> None:
    world = plant.bed.with_error({"next_x": torch.tensor([0.5])}, seed=0).repeated(2)
    rolled = world.roll(None)
    moved = world.mistaken(rolled)
    error = moved["next_x"] - rolled["next_x"]
    assert float(error.std()) == pytest.approx(0.5, rel=0.05)
    first, second = error.chunk(2, dim=2)
    torch.testing.assert_close(first, second)
    assert all(torch.equal(moved[name], rolled[name]) for name in rolled if name != "next_x")


def test_a_venv_without_an_error_is_not_mistaken(plant: Plant) -> None:
    rolled = plant.bed.roll(None)
    assert all(torch.equal(value, rolled[name]) for name, value in plant.bed.mistaken(rolled).items())
