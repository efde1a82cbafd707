"""Batches that are paid for when a logged clock has run down: rollouts end there, and policies learn for that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.description import parse_description
from revive.policy.episodes import episode_environment, play
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.problem import reward_of_rows
from revive.policy.reward import Reward
from revive.policy.transitions import ended
from revive.venv.closing import Closing, closing_of
from revive.venv.virtual_env import VirtualEnv
from tests.policy.problems import cloned_problem
from tests.venv.plants import hand_set, rows_of

STEPS = 10


def at_the_end(data: dict[str, Tensor]) -> Tensor:
    """What has been made counts in the last step; making it costs."""
    return torch.where(data["left"] < 1.5, data["next_made"], 0.0) - 0.1 * data["u"]


def all_along(data: dict[str, Tensor]) -> Tensor:
    return data["next_made"]


def batches(lengths: list[int], last: Callable[[int], float]) -> tuple[VirtualEnv, Rows]:
    """made' = made + u, with a column that counts down to what `last` says of each trajectory."""
    columns = [{name: {"dim": name, "type": "continuous"}} for name in ("made", "left", "u")]
    shape = {"columns": columns, "graph": {"u": ["made", "left"], "next_made": ["made", "u"]}}
    graph = parse_description({"metadata": shape}, "test")
    linear = {"u": ([[0.0], [0.0]], [0.5]), "next_made": ([[0.0], [1.0]], [0.0])}
    venv = hand_set(graph, linear, members=4, std=0.05)
    halves = []
    for seed in (1, 2):
        rng, found = np.random.default_rng(seed), []
        for number, length in enumerate(lengths):
            made = rng.uniform()
            for step in range(length):
                u = 0.5 + 0.2 * rng.normal()
                found.append((made, last(number) + length - 1 - step, u, made + u))
                made += u
        halves.append(
            dict(zip(("made", "left", "u", "next_made"), np.array(found).T[:, :, None], strict=True))
        )
    ends = np.cumsum(lengths).tolist()
    return venv.requires_grad_(False), rows_of(graph, venv.codec, *halves, ends=[ends, ends])


def found(venv: VirtualEnv, rows: Rows, reward: Callable[[dict[str, Tensor]], Tensor]) -> Closing | None:
    told = reward_of_rows(rows, venv, venv.graph, Reward(reward, Path("reward.py")))
    return closing_of(venv.graph, venv.codec, rows, told)


@pytest.mark.parametrize("lengths", [[STEPS] * 4, [6, 10, 8, 12]])
def test_a_clock_that_closes_every_batch(lengths: list[int]) -> None:
    closing = found(*batches(lengths, lambda number: 1.0), at_the_end)
    assert closing is not None
    assert (closing.node, closing.column, round(closing.last, 4), round(closing.step, 4)) == (
        "left",
        0,
        1.0,
        -1.0,
    )


def test_what_closes_nothing() -> None:
    even = [STEPS] * 4
    assert (
        found(*batches(even, lambda number: 1.0), all_along) is None
    )  # cut where a day ends: the plant goes on
    assert found(*batches(even, float), at_the_end) is None  # not the same value at every end
    assert found(*batches([STEPS] * 1, lambda number: 1.0), at_the_end) is None  # too few


def test_rollouts_end_and_are_paid_for_once() -> None:
    """From a row in the middle, over more steps than are left."""
    venv, rows = batches([STEPS] * 4, lambda number: 1.0)
    reward = Reward(at_the_end, Path("reward.py"))
    venv.closing = found(venv, rows, at_the_end)
    middle = [rows.starts[:2] + 6, rows.starts[4:6] + 6]
    world = EvaluationEnvironment.at(venv, rows, reward, middle, 3 * STEPS, 1)
    alive = venv.alive(world.roll(None))
    assert alive is not None
    assert alive.sum(0).unique().tolist() == [4.0]
    whole = episode_environment(venv, rows, reward, steps=2 * STEPS, seed=1)
    episodes = play(whole, None)
    assert episodes.lengths.unique().tolist() == [STEPS]
    assert not episodes.ended.any()
    assert float(episodes.returns.mean()) == pytest.approx(0.5 + 0.5 * STEPS - 0.05 * STEPS, abs=0.6)


def test_what_is_learned_from_rows_ends_there_too() -> None:
    venv, rows = batches([STEPS] * 4, lambda number: 1.0)
    venv.closing = found(venv, rows, at_the_end)
    problem = cloned_problem(venv, rows, venv.graph, reward=Reward(at_the_end, Path("reward.py")))
    assert ended(problem).nonzero().flatten().tolist() == [STEPS * i - 1 for i in range(1, 9)]
