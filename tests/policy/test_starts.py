from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from revive.graph.decision_graph import DecisionGraph
from revive.policy.starts import Starts
from tests.venv.plants import columns, hand_set, rows_of

GRAPH = DecisionGraph.build(
    columns(x=1, y=1, wind=1, u=1), {"u": ["x"], "next_x": ["x", "u", "wind"], "next_y": ["y"]}
)


@pytest.fixture
def starts() -> Starts:
    """Rows whose state, whose second state and whose wind all tell the row's number."""
    zero = {"u": ([[0.0]], [0.0]), "next_x": ([[0.0]] * 3, [0.0]), "next_y": ([[0.0]], [0.0])}
    venv = hand_set(GRAPH, zero, members=4)

    def numbered(first: int, count: int) -> dict[str, object]:
        number = np.arange(first, first + count)[:, None]
        return {
            "x": number,
            "y": -number,
            "wind": number,
            "u": 0 * number,
            "next_x": number,
            "next_y": -number,
        }

    rows = rows_of(venv.graph, venv.codec, numbered(0, 50), numbered(50, 30))
    ranges = {
        "x": (torch.tensor([1000.0]), torch.tensor([1010.0])),
        "y": (torch.tensor([-5.0]), torch.tensor([5.0])),
    }
    return Starts(venv, rows, ranges, 0.0, 0.0)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_logged_states_come_from_the_members_own_half_with_their_own_exogenous_series(starts: Starts) -> None:
    begin = starts.draw(500, 7, seeded())
    state, given = begin.state, begin.given
    assert state["x"].shape == (4, 500, 1)
    assert given.keys() == {"wind"}
    assert given["wind"].shape == (7, 4, 500, 1)
    for m in range(4):
        assert set(state["x"][m].flatten().tolist()) == set(map(float, starts.rows.parts[m // 2]))
    torch.testing.assert_close(state["y"], -state["x"])
    torch.testing.assert_close(given["wind"][0], state["x"])
    assert ((given["wind"][1:] - given["wind"][:-1]).abs() == 1).all()
    assert not torch.equal(state["x"][0], state["x"][1])


def test_the_wide_share_starts_anywhere_in_the_range_in_all_states_at_once(starts: Starts) -> None:
    begin = replace(starts, wide=0.3).draw(5000, 1, seeded())
    state, given = begin.state, begin.given
    wide = state["x"] > 900
    assert float(wide.float().mean()) == pytest.approx(0.3, abs=0.02)
    drawn = state["x"][wide]
    assert 1000.0 <= float(drawn.min()) < 1000.1
    assert 1009.9 < float(drawn.max()) <= 1010.0
    assert float(drawn.mean()) == pytest.approx(1005.0, abs=0.15)
    assert state["y"][wide].abs().max() <= 5.0
    torch.testing.assert_close(state["y"][~wide], -state["x"][~wide])
    assert given["wind"].max() < 80


def test_the_shuffled_share_meets_the_exogenous_values_of_another_moment(starts: Starts) -> None:
    begin = replace(starts, shuffled=0.5).draw(5000, 1, seeded())
    state, given = begin.state, begin.given
    elsewhere = given["wind"][0] != state["x"]
    assert float(elsewhere.float().mean()) == pytest.approx(0.5, abs=0.03)
    for m in range(4):
        assert set(given["wind"][0, m].flatten().tolist()) <= set(map(float, starts.rows.parts[m // 2]))


def test_the_generator_alone_decides(starts: Starts) -> None:
    some = replace(starts, wide=0.3, shuffled=0.3)
    one, same = some.draw(20, 3, seeded()), some.draw(20, 3, seeded())
    assert all(torch.equal(one.state[name], same.state[name]) for name in some.venv.graph.states)
    assert torch.equal(one.given["wind"], same.given["wind"])
