from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.conduct import conduct
from revive.policy.episodes import (
    ends_of,
    episode_environment,
    has_episodes,
    logged,
    logged_episodes,
    longest,
    missing,
    play,
)
from revive.policy.imitation import imitations, is_clone_at_fault, remembered
from revive.policy.reward import Reward
from revive.policy.signs import signs_of_effects
from revive.venv.virtual_env import VirtualEnv
from tests.policy.conftest import BEHAVIOUR, WIND, A, B, Plant
from tests.policy.problems import problem_of
from tests.venv.plants import hand_set, logs_of, rows_of
from tests.venv.test_done import counting


def parts_of_counting() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """x counts up from 0 and ends above 2.5 after 3 steps; the last trajectory of each part is cut before."""

    def part(*lengths: int) -> dict[str, np.ndarray]:
        x = np.concatenate([np.arange(float(n)) for n in lengths])[:, None]
        return {"x": x, "u": np.zeros_like(x), "next_x": x + 1, "done": (x + 1 > 2.5) * 1.0}

    return part(3, 2), part(3, 3, 1)


def counted_rows() -> tuple[VirtualEnv, Rows]:
    venv = counting()
    return venv, rows_of(venv.graph, venv.codec, *parts_of_counting(), ends=[[3, 5], [3, 6, 7]])


def test_episodes_of_the_logs_have_returns_lengths_and_ends() -> None:
    venv, rows = counted_rows()
    assert has_episodes(rows, venv)
    assert ends_of(rows, venv).tolist() == [True, False, True, True, False]  # type: ignore[union-attr]
    assert (longest(rows, None), longest(rows, 7)) == (3, 7)
    found = logged_episodes(rows, torch.ones(rows.count), venv, 5)
    assert found.returns.tolist() == [3, 2, 3, 3, 1]
    assert found.lengths.tolist() == [3, 2, 3, 3, 1]
    assert found.to_json()["ended"] == pytest.approx(3 / 5)
    assert logged_episodes(rows, torch.ones(rows.count), venv, 2).ended.sum() == 0  # cut before the end


def test_episodes_of_the_venv_start_where_the_logs_do_and_end_with_done() -> None:
    venv, rows = counted_rows()
    reward = reward_of(lambda data: torch.ones_like(data["x"]))
    world = episode_environment(venv, rows, reward, steps=5, seed=0)
    assert world.first.tolist() == [[0, 3, 0], [5, 8, 11]]
    found = play(replace(world, noise={}), None)  # likeliest values
    assert (found.lengths == 3).all()
    assert (found.returns == 3).all()
    assert (found.ended == 1).all()
    more, steps = missing(found, logged(rows, torch.ones(rows.count), venv, world.first, 5))
    assert more.abs().max() == 0  # where a trajectory was cut, what came after is not held against the venv
    assert steps.tolist() == [[5, 2, 5], [5, 5, 1]]


def reward_of(function: Callable[[dict[str, Tensor]], Tensor]) -> Reward:
    return Reward(function, Path("reward.py"))


def test_one_long_log_is_no_episode(plant: Plant) -> None:
    assert not has_episodes(plant.rows, plant.venv)


# -- the logs' controller in the venvs ---------------------------------------------------------------


def test_a_sound_venv_repeats_what_the_logs_earned(plant: Plant) -> None:
    problem = problem_of(plant)
    found = imitations(problem)
    assert len(found) == 2
    assert not any(i.is_real for i in found)


def test_a_venv_that_drifts_does_not_and_the_clone_is_not_blamed(plant: Plant) -> None:
    linear = {"next_x": ([[-0.1], [0.5], [0.1]], [0.6]), "u": ([[BEHAVIOUR]], [0.0])}
    venv = hand_set(plant.graph, linear, members=4, std=0.2).requires_grad_(False)
    problem = problem_of(plant, venv=venv)
    found = imitations(problem)
    assert all(i.is_real and i.gap.mean < 0 for i in found)
    assert not is_clone_at_fault(problem)


def test_a_poor_clone_in_a_sound_venv_is_at_fault(plant: Plant) -> None:
    """Little noise, so that what the controller did explains what it earned."""
    linear = {"next_x": ([[-0.1], [0.5], [0.1]], [0.0]), "u": ([[BEHAVIOUR]], [0.0])}
    venv = hand_set(plant.graph, linear, members=4, std=0.01).requires_grad_(False)
    rows = rows_of(venv.graph, venv.codec, logs_of(venv, 300, seed=1), logs_of(venv, 300, seed=2))
    assert is_clone_at_fault(problem_of(plant, venv=venv, rows=rows, clone=plant.linear_policy(0.1, 0.1)))


def integrating(seed: int, runs: int = 10, steps: int = 80) -> dict[str, np.ndarray]:
    """Logs of the plant under a controller that brings it to 3 and holds it there by an integral."""
    random, found = np.random.default_rng(seed), []
    for _ in range(runs):
        x, total = 2.0 + 0.3 * random.normal(), 0.0
        for _ in range(steps):
            total += x - 3.0
            u, wind = -0.2 * (x - 3.0) - 0.1 * total + 0.1 * random.normal(), random.normal()
            follows = A * x + B * u + WIND * wind + 0.2 * random.normal()
            found.append((x, u, wind, follows))
            x = follows
    return {
        name: np.array(column)[:, None]
        for name, column in zip(("x", "u", "wind", "next_x"), zip(*found, strict=True), strict=True)
    }


def test_what_a_controller_with_an_integral_earned_is_repeated_with_a_memory(plant: Plant) -> None:
    ends = [[80 * (k + 1) for k in range(10)]] * 2
    rows = rows_of(plant.graph, plant.venv.codec, integrating(1), integrating(2), ends=ends)
    problem = problem_of(plant, rows=rows, evaluation=None)
    plain, recalled = imitations(problem), remembered(problem)
    assert all(i.is_real for i in plain)
    assert all(i.is_close for i in recalled)


# -- signs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gains", "within", "between"),
    [
        ([0.5, 0.5, 0.5, 0.5], 1.0, 1.0),
        ([0.5, 0.5, -0.5, -0.5], 1.0, 0.0),
        ([0.5, -0.4, 0.5, -0.4], 0.55, 1.0),
    ],
)
def test_members_and_halves_are_asked_for_the_sign(
    plant: Plant, gains: list[float], within: float, between: float
) -> None:
    weight = [[[-0.1], [gain], [0.1]] for gain in gains]
    venv = hand_set(plant.graph, {"next_x": (weight, [0.0]), "u": ([[BEHAVIOUR]], [0.0])}, members=4)
    found = signs_of_effects(venv, plant.rows, "u", plant.reward, 10)
    assert [(s.action, s.column, s.steps) for s in found] == [("u0", "x0", 1), ("u0", "x0", 10)]
    assert found[0].within == pytest.approx(within, abs=0.01)
    assert found[0].between == pytest.approx(between, abs=0.01)
    assert found[0].effect == pytest.approx(0.5 * np.abs(gains).mean(), rel=0.01)


def test_an_effect_that_does_not_matter_is_not_asked_about(plant: Plant) -> None:
    weak = {"next_x": ([[-0.1], [0.01], [0.1]], [0.0]), "u": ([[BEHAVIOUR]], [0.0])}
    venv = hand_set(plant.graph, weak, members=4)
    assert signs_of_effects(venv, plant.rows, "u", plant.reward, 1) == []
    effort = reward_of(lambda data: -(data["u"] ** 2))
    assert signs_of_effects(plant.venv, plant.rows, "u", effort, 10) == []


# -- conduct -----------------------------------------------------------------------------------------


def test_what_a_policy_does_is_told_beside_the_logs(plant: Plant) -> None:
    actor = plant.linear_policy(-6.0).actor()
    rolled = plant.bed.roll(actor)
    alive = torch.ones(rolled["u"].shape[:3])
    action, state = conduct(plant.venv, plant.rows, "u", rolled, alive, slice(2, 4))
    assert (action.column, action.is_action, state.column, state.is_action) == ("u0", True, "x0", False)
    assert action.outside > 0.3
    assert action.moves is not None
    assert action.moves > 5
    assert state.moves is None
    tame = conduct(
        plant.venv,
        plant.rows,
        "u",
        plant.bed.roll(plant.linear_policy(BEHAVIOUR).actor()),
        alive,
        slice(2, 4),
    )
    assert tame[0].outside < 0.2
    assert tame[0].moves is not None
    assert tame[0].moves < 1
    assert (tame[0].fastest, tame[0].faster) == (None, 0.0)


def test_an_actuator_that_can_go_no_faster_shows_in_the_logs(plant: Plant) -> None:
    """The wanted action is approached by at most .1 a step; the policy moves as far as it likes."""
    wanted, stands = plant.rows.values["u"], [torch.zeros(1)]
    for value in wanted[1:]:
        stands.append(stands[-1] + (value - stands[-1]).clamp(-0.1, 0.1))
    rows = replace(plant.rows, values={**plant.rows.values, "u": torch.stack(stands)})
    rolled = plant.bed.roll(plant.linear_policy(-6.0).actor())
    alive = torch.ones(rolled["u"].shape[:3])
    slow = conduct(plant.venv, rows, "u", rolled, alive, slice(2, 4))[0]
    scale = float(plant.venv.codec["u"].scale)
    assert slow.fastest == pytest.approx(0.1 * scale, rel=1e-3)
    assert slow.faster > 0.5
