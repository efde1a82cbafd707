from __future__ import annotations

import pytest
import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.contest import contest
from revive.policy.evaluation import EvaluationEnvironment
from revive.venv.validation import rollout_error
from tests.policy.conftest import Plant
from tests.venv.plants import logs_of, rows_of


def made(plant: Plant, rows: Rows, episode: int | None = None) -> EvaluationEnvironment:
    errors = rollout_error(plant.venv, rows)
    return contest(plant.venv, rows, plant.reward, errors, starts=8, horizon=10, episode=episode, seed=1)


def split(plant: Plant, ends: list[int]) -> Rows:
    """Logs of both halves, cut into trajectories that end there."""
    parts = [logs_of(plant.venv, ends[-1], seed=seed) for seed in (1, 2)]
    return rows_of(plant.venv.graph, plant.venv.codec, *parts, ends=[ends, ends])


def test_both_halves_play_the_same_starts_with_the_same_luck(plant: Plant) -> None:
    world = made(plant, plant.rows)
    assert world.first.shape == (4, 16)
    for of_members in (world.first, world.start.state["x"], world.noise["next_x"][0]):
        assert all(torch.equal(of_members[0], of_members[m]) for m in range(4))


def test_half_of_the_starts_are_from_either_half(plant: Plant) -> None:
    first = made(plant, plant.rows).first[0]
    assert [int(sum(int(row) in part for row in first)) for part in plant.rows.parts] == [8, 8]


def starts_in(world: EvaluationEnvironment, rows: Rows) -> Tensor:
    return torch.isin(world.first[0], rows.starts)


@pytest.mark.parametrize(("ends", "real"), [([40, 90, 100, 160], 8), (list(range(10, 210, 10)), 16)])
def test_real_starts_of_episodes_come_first_and_no_one_twice(
    plant: Plant, ends: list[int], real: int
) -> None:
    rows = split(plant, ends)
    world = made(plant, rows)
    assert int(starts_in(world, rows).sum()) >= real  # a row from all over the logs may be a start, too
    assert len(torch.unique(world.first[0][starts_in(world, rows)])) >= real


def test_logs_that_were_cut_in_two_are_no_episodes(plant: Plant) -> None:
    world = made(plant, plant.rows)
    even = torch.cat([torch.linspace(p.start, p.stop - 1, 9)[:-1].long() for p in plant.rows.parts])
    assert torch.equal(world.first[0], even)


@pytest.mark.parametrize(
    ("ends", "steps"),
    [(list(range(15, 165, 15)), 15), ([40, 90, 160], 20), ([4, 8, 12, 16], 4), ([160], 10)],
)
def test_episodes_are_played_to_their_ends_but_not_forever(plant: Plant, ends: list[int], steps: int) -> None:
    """Twice the horizon of 10 at most; a single log has no end to play to."""
    assert made(plant, split(plant, ends)).horizon == steps


@pytest.mark.parametrize(("episode", "steps"), [(6, 6), (18, 18), (50, 20)])
def test_an_episode_is_as_long_as_was_asked(plant: Plant, episode: int, steps: int) -> None:
    assert made(plant, split(plant, [40, 90, 160]), episode).horizon == steps
