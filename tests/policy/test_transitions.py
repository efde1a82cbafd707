from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.policy.problem import PolicyProblem
from revive.policy.reward import Reward
from revive.policy.transitions import Transitions, not_logged
from tests.policy.conftest import Plant
from tests.policy.problems import problem_in, problem_of
from tests.policy.toys import cart, seen_with
from tests.venv.plants import columns, hand_set, rows_of

GAMMA = 0.5
LANDS = 2  # rows of the trajectories that end
LENGTH = 3  # of those that merely stop


@pytest.fixture
def mortal(plant: Plant) -> PolicyProblem:
    """Each half: a trajectory that ends in `done`, and one that stops; x counts the rows, u is ten times that."""
    done = Column("done", "done", "category", values=(0.0, 1.0))
    graph = DecisionGraph.build(
        [*columns(x=1, wind=1, u=1), done], {"u": ["x"], "next_x": ["x", "u", "wind"], "done": ["next_x"]}
    )
    linear = {
        "u": ([[0.0]], [0.0]),
        "next_x": ([[0.0]] * 3, [0.0]),
        "done": (torch.zeros(1, 0), torch.zeros(0)),
    }
    venv = hand_set(graph, linear, members=4).requires_grad_(False)
    count = np.arange(LANDS + LENGTH, dtype=float)[:, None]
    ended = np.array([0.0, 1.0, 0.0, 0.0, 0.0])[:, None]
    part = {"x": count, "wind": -count, "u": 10 * count, "next_x": count + 1, "done": ended}
    ends = [LANDS, LANDS + LENGTH]
    rows = rows_of(graph, venv.codec, part, part, ends=[ends, ends])
    clone = plant.linear_policy(0.0, 0.0, venv=venv)
    reward = Reward(lambda data: data["x"], Path("reward.py"))
    return problem_in(venv, rows, reward, clone=clone, starts=None, evaluation=None)


def test_what_follows_a_row(mortal: PolicyProblem) -> None:
    found = Transitions.of(mortal, GAMMA)
    assert found.seen == 1
    assert found.x[:5].tolist() == [[i, -i] for i in range(5)]
    # the states of the next row; after the last one the state that it led to, with the wind held
    assert found.next_x[:5].tolist() == [[1, -1], [2, -1], [3, -3], [4, -4], [5, -4]]
    assert found.next_action[[0, 2, 3], 0].tolist() == [10.0, 30.0, 40.0]
    assert found.known[:5].tolist() == [1, 0, 1, 1, 0]
    assert found.going[:5].tolist() == [1, 0, 1, 1, 1]
    assert torch.equal(found.x[5:], found.x[:5])


def test_rewards_add_up_to_the_end_and_go_on_where_a_trajectory_merely_stops(mortal: PolicyProblem) -> None:
    found = Transitions.of(mortal, GAMMA)
    unit = mortal.reward_spread
    tail = 3.0 / (1.0 - GAMMA)  # the mean of 2, 3 and 4, for ever
    last = 4.0 + GAMMA * tail
    wanted = [0.0 + GAMMA * 1.0, 1.0, 2.0 + GAMMA * (3.0 + GAMMA * last), 3.0 + GAMMA * last, last]
    assert (found.earned[:5] * unit).tolist() == pytest.approx(wanted)


def test_an_offset_of_the_reward_counts_only_where_something_ends(
    plant: Plant, mortal: PolicyProblem
) -> None:
    assert float(Transitions.of(problem_of(plant), GAMMA).reward.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(Transitions.of(mortal, GAMMA).reward.mean()) == pytest.approx(2.0 / mortal.reward_spread)


def test_every_copy_gets_rows_of_its_own_half(mortal: PolicyProblem) -> None:
    found = Transitions.of(mortal, GAMMA)
    marked = torch.arange(10.0).view(-1, 1)
    drawn = type(found)(**{**vars(found), "action": marked}).drawn(6, 50, mortal.generator())
    assert drawn.x.shape == (6, 50, 2)
    assert set(drawn.action[:3].flatten().tolist()) == {0, 1, 2, 3, 4}
    assert set(drawn.action[3:].flatten().tolist()) == {5, 6, 7, 8, 9}


def test_rows_of_which_something_is_missing_are_not_drawn(mortal: PolicyProblem) -> None:
    missing = torch.ones(10, 1)
    missing[[1, 3]] = 0.0
    for name in ("x", "wind", "u", "next_x"):  # seen, seen by the critic, done, followed
        rows = replace(mortal.rows, weights={name: missing})
        drawn = Transitions.of(replace(mortal, rows=rows), GAMMA).drawn(
            2, 200, torch.Generator().manual_seed(0)
        )
        assert set(drawn.x[0, :, 0].tolist()) == {0, 2, 4}
        assert set(drawn.x[1, :, 0].tolist()) == {0, 1, 2, 3, 4}
    nothing = replace(mortal, rows=replace(mortal.rows, weights={"u": torch.zeros(10, 1)}))
    assert [len(pool) for pool in Transitions.of(nothing, GAMMA).pools] == [5, 5]


def test_a_policy_that_looks_back_sees_what_it_would_have_seen(plant: Plant) -> None:
    venv, plain = cart()
    graph, rows = seen_with(venv, plain, 3)
    clone = plant.linear_policy(0.0, 0.0)
    clone.inputs, clone.codec = graph["u"].inputs, venv.codec.for_graph(graph)
    reward = Reward(lambda data: data["x"], Path("reward.py"))
    problem = problem_in(venv, rows, reward, clone=clone, starts=None, evaluation=None, graph=graph)
    found = Transitions.of(problem, GAMMA)
    place, following = rows.values["x"][:, 0], rows.values["next_x"][:, 0]
    first, last = 0, int(rows.lengths[0]) - 1
    assert torch.equal(found.x[5, : found.seen], place[3:6])
    assert torch.equal(found.next_x[5, : found.seen], place[4:7])
    assert torch.equal(found.next_x[first, : found.seen], place[[0, 0, 1]])
    assert torch.equal(
        found.next_x[last, : found.seen], torch.stack([*place[last - 1 : last + 1], following[last]])
    )


def test_a_policy_that_sees_what_is_not_logged_has_no_transitions(plant: Plant) -> None:
    problem = problem_of(plant)
    assert not_logged(problem) is None
    rest = {name: value for name, value in plant.rows.values.items() if name != "x"}
    hidden = Rows(**{**vars(plant.rows), "values": rest})
    told = not_logged(problem_in(**{**vars(problem), "rows": hidden}))
    assert told is not None
    assert "x" in told
