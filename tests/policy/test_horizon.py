from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.policy.horizon import Horizon, Response, response, trusted_steps
from revive.policy.reward import Reward
from revive.venv.validation import RolloutError
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import columns, hand_set, rows_of

# -- the response ---------------------------------------------------------------------------------


def delay_line(
    delay: int, *, to_x: float = 1.0, doubted: float = 0.0, std: float = 0.0
) -> tuple[VirtualEnv, Rows]:
    """The action reaches x after `delay` steps: a shift register `line` holds the actions on their way.

    to_x: how much of it arrives. std: of the noise of every step.
    doubted: what the second member of each half thinks it differs by.
    """
    width = delay - 1
    inputs = {"u": ["x"], "next_x": ["x", "line", "u"], "next_line": ["line", "u"]}
    graph = DecisionGraph.build(columns(x=1, u=1, line=width), inputs)
    shift = torch.zeros(width + 1, width)
    for i in range(width - 1):
        shift[i, i + 1] = 1.0
    shift[width, 0] = 1.0
    arriving = torch.zeros(4, 1 + width + 1, 1)
    arriving[:, 0], arriving[:, width] = -1.0, to_x
    arriving[1::2, width] += doubted
    # what a transition adds is a change, so the former value is taken away first
    linear = {
        "u": ([[0.0]], [0.0]),
        "next_x": (arriving, [0.0]),
        "next_line": (shift - torch.eye(width + 1)[:, :width], [0.0]),
    }
    venv = hand_set(graph, linear, members=4, std=std)
    rng = np.random.default_rng(0)
    part = {name: rng.normal(size=(60, graph[name].width)) for name in graph.nodes}
    return venv, rows_of(venv.graph, venv.codec, part, part)


def dead_time(venv: VirtualEnv, rows: Rows, target: str, reward: Reward, within: int) -> int | None:
    return response(venv, rows, target, reward, within).dead_time


def reward_of(function: object = None) -> Reward:
    return Reward(function or (lambda data: data["next_x"]), Path("reward.py"))  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", [2, 3, 6])
def test_dead_time_is_the_planted_delay(delay: int) -> None:
    venv, rows = delay_line(delay)
    assert dead_time(venv, rows, "u", reward_of(), within=100) == delay


def test_what_the_action_itself_costs_is_no_response() -> None:
    """However much it is: it says nothing of when the plant answers."""
    venv, rows = delay_line(4)

    def reward(data: dict[str, Tensor]) -> Tensor:
        return data["next_x"] - 30.0 * data["u"] ** 2

    assert dead_time(venv, rows, "u", reward_of(reward), within=100) == 4


def test_an_action_that_only_costs_never_shows() -> None:
    venv, rows = delay_line(3)
    assert dead_time(venv, rows, "u", reward_of(lambda data: -(data["u"] ** 2)), within=100) is None


def test_a_response_beyond_what_is_looked_at_does_not_show() -> None:
    venv, rows = delay_line(6)
    assert dead_time(venv, rows, "u", reward_of(), within=5) is None
    assert dead_time(venv, rows, "u", reward_of(), within=6) == 6


def test_the_first_response_that_stands_out_of_the_noise_counts_and_not_the_largest() -> None:
    """The action shows in the line at once, more of it arrives later."""
    venv, rows = delay_line(4, std=0.15)

    def reward(share: float) -> Reward:
        return reward_of(lambda data: data["next_x"] + share * data["next_line"][..., 0:1])

    assert dead_time(venv, rows, "u", reward(0.2), within=100) == 1
    assert dead_time(venv, rows, "u", reward(0.05), within=100) == 4
    quiet, rows = delay_line(4)
    assert dead_time(quiet, rows, "u", reward(0.05), within=100) == 1
    assert dead_time(quiet, rows, "u", reward(0.001), within=100) == 4  # a network's leakage, say


def test_a_response_that_the_members_do_not_agree_on_does_not_count() -> None:
    agreed, rows = delay_line(3, to_x=1.0, doubted=0.1)
    assert dead_time(agreed, rows, "u", reward_of(), within=100) == 3
    doubted, rows = delay_line(3, to_x=1.0, doubted=-2.0)  # one says up, the other down
    assert dead_time(doubted, rows, "u", reward_of(), within=100) is None


def test_dead_time_of_short_trajectories_stays_inside_them() -> None:
    venv, rows = delay_line(3)
    short = rows_of(
        venv.graph, venv.codec, *[{k: v[:12] for k, v in rows.values.items()}] * 2, ends=[[6, 12], [6, 12]]
    )
    assert dead_time(venv, short, "u", reward_of(), within=50) == 3


# -- how far the venv can be trusted -------------------------------------------------------------


def errors_of(*venv: list[float], still: float = 1.0) -> RolloutError:
    """Of one column; the venv's error of each half at each step, against a constant one of standing still."""
    found = np.array(venv)[..., None]
    return RolloutError(
        {"next_x": found}, {"next_x": np.full_like(found, still)}, {"next_x": np.ones(1)}, (9, 9)
    )


@pytest.mark.parametrize(
    ("halves", "trusted"),
    [
        ([[0.1, 0.2, 0.5, 1.1, 0.5]] * 2, 3),
        ([[0.1, 0.2, 0.5, 0.9, 0.9], [0.1, 0.2, 1.5, 0.9, 0.9]], 2),  # in either half
        ([[0.5] * 5] * 2, 5),
        ([[2.0, 1.0, 0.5, 0.5, 0.5]] * 2, 5),  # at first a slow plant seems to stand still
        ([[0.1, 0.2, np.inf, np.inf, np.inf]] * 2, 2),
        ([[0.1, 0.2, np.nan, 0.5, 1.5]] * 2, 4),  # a step that nobody knows is no reason
    ],
)
def test_a_venv_is_trusted_as_long_as_it_errs_less_than_standing_still(
    halves: list[list[float]], trusted: int
) -> None:
    assert trusted_steps(errors_of(*halves)) == trusted


def test_columns_are_compared_in_their_own_spreads() -> None:
    """A column of thousands does not drown the others."""
    right, wrong = np.full((2, 6, 1), 0.1), np.full((2, 6, 1), 1.8)
    still = {"next_x": np.ones((2, 6, 1)), "next_y": np.full((2, 6, 1), 1000.0)}
    spread = {"next_x": np.ones(1), "next_y": np.full(1, 1000.0)}
    assert trusted_steps(RolloutError({"next_x": wrong, "next_y": 1000 * right}, still, spread, (9, 9))) == 6
    assert trusted_steps(RolloutError({"next_x": right, "next_y": 1200 * wrong}, still, spread, (9, 9))) == 2


def test_a_step_at_which_nothing_is_known_or_nothing_moves_is_no_reason_for_distrust() -> None:
    venv, still = np.full((2, 6, 1), 0.1), np.ones((2, 6, 1))
    venv[:, 3], still[:, 3] = np.nan, np.nan
    venv[:, 4], still[:, 4] = 0.0, 0.0
    assert (
        trusted_steps(RolloutError({"next_x": venv}, {"next_x": still}, {"next_x": np.ones(1)}, (9, 9))) == 6
    )


@pytest.mark.parametrize(("memory", "steps"), [(0.9, 16), (0.95, 31), (0.999, None)])
def test_most_of_a_response_that_dies_away_has_come_after_a_while(memory: float, steps: int | None) -> None:
    """x' = memory x + u: 80 % of a geometric series has come after about log(0.2) / log(memory) steps."""
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    venv = hand_set(graph, {"next_x": ([[memory - 1.0], [1.0]], [0.0]), "u": ([[0.0]], [0.0])})
    rng = np.random.default_rng(0)
    part = {name: rng.normal(size=(300, 1)) for name in graph.nodes}
    rows = rows_of(venv.graph, venv.codec, part, part)
    assert response(venv, rows, "u", reward_of(), within=100).settled == steps


# -- the horizon ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "trusted", "longest", "steps"),
    [
        (Response(1, None), 100, 500, 30),
        (Response(6, None), 100, 500, 30),
        (Response(12, None), 100, 500, 60),  # five dead times
        (Response(12, 70), 100, 500, 70),  # most of the response
        (Response(12, 40), 100, 500, 60),
        (Response(12, 70), 45, 500, 45),  # as far as the venv can be trusted
        (Response(12, None), 3, 500, 10),  # ten steps at least
        (Response(12, 70), 100, 40, 40),  # and not longer than a trajectory
        (Response(1, None), 3, 5, 5),
        (Response(None, None), 100, 500, 30),
    ],
)
def test_a_horizon_follows_from_the_response_and_from_trust(
    shown: Response, trusted: int, longest: int, steps: int
) -> None:
    assert Horizon.of(shown, trusted, longest, None).steps == steps


def test_a_wanted_horizon_is_taken_and_the_figures_are_told_beside_it() -> None:
    given = Horizon.of(Response(7, 20), 12, 9, 200)
    assert (given.steps, given.given) == (200, True)
    assert (
        given.told()
        == "200 steps as given; dead time 7, most of the response within 20, the venv can be trusted for 12"
    )
    assert json.loads(json.dumps(given.to_json()))["dead_time"] == 7
    never = Horizon.of(Response(None, None), 50, 900, None)
    unknown = "how soon an action shows in the reward cannot be told"
    assert never.told() == f"30 steps: {unknown}, the venv can be trusted for 50"
