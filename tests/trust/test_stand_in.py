"""What stands in for a hidden cause, on logs whose hidden cause is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revive.data.readers import from_arrays
from revive.graph.amend import amended
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.graph.found import StandIn, stand_ins
from revive.trust.question import questions
from revive.trust.stand_in import _portions, effect_beside, stand_in
from tests.acceptance.trust_logs import CASES, Logs


def told(logs: Logs) -> tuple[np.ndarray, float]:
    """The stand-in of the first action, and the effect on the first output beside it."""
    graph = parse_description(logs.description, "generated", Path())
    trajectories = from_arrays(logs.arrays, graph, "generated")
    question = next(questions(trajectories, graph))
    move = question.moves[0]
    lasting = stand_in(trajectories, graph, question.transition, move.node, move.column)
    return lasting[:, 0], effect_beside(question, lasting, move.node, move.column, question.outputs[0])


def test_a_door_that_nobody_logged_is_found_again_and_the_effect_with_it() -> None:
    logs = CASES["unlogged door"](3)
    lasting, effect = told(logs)
    assert np.corrcoef(lasting, logs.hidden)[0, 1] > 0.9
    assert -1.1 < effect < -0.7  # 0.01 without it; in truth -0.98


def test_an_unlogged_inflow_of_the_tanks() -> None:
    logs = CASES["tanks hidden"](0)
    lasting, effect = told(logs)
    assert np.corrcoef(lasting, logs.hidden)[0, 1] < -0.7  # he takes off what flows in
    assert 0.3 < effect < 0.6  # 0.14 without it; 0.49 in logs without a hidden cause


def test_long_logs_are_cut_into_equal_pieces_that_know_where_trajectories_end() -> None:
    portions = _portions(np.array([15_000, 15_010, 41_000]))
    assert [first for first, _ in portions] == [0, 13_666, 27_333]
    assert [ends.tolist() for _, ends in portions] == [[13_666], [15_000, 15_010, 27_333], [41_000]]


def test_an_action_that_is_not_there() -> None:
    logs = CASES["unlogged door"](3)
    graph = parse_description(logs.description, "generated", Path())
    trajectories = from_arrays(logs.arrays, graph, "generated")
    with pytest.raises(KeyError):
        stand_in(trajectories, graph, "next_temperature", "action", "pressure")


def test_the_graph_gets_a_leaf_that_the_transition_sees_and_remembers_it_in_json() -> None:
    graph = parse_description(CASES["unlogged door"](3).description, "generated", Path())
    said = StandIn("unlogged_power", "action", "power", ("next_temperature",))
    more = amended(graph, [said])
    assert more["next_temperature"].inputs == (*graph["next_temperature"].inputs, "unlogged_power")
    assert more["action"].inputs == graph["action"].inputs
    assert more.exogenous == ("unlogged_power",)
    assert stand_ins(DecisionGraph.from_json(more.to_json()).found) == ("unlogged_power",)
