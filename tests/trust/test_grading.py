"""Causal cards of generated logs; the whole table of kinds and seeds is tests/acceptance/trust.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from revive.data.readers import from_arrays
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.trust.card import Cards
from revive.trust.grading import causal_cards
from tests.acceptance.trust_logs import Logs, arm, load_module, refrigerator


def graph_of(logs: Logs) -> DecisionGraph:
    return parse_description(logs.description, "generated", Path())


def cards_of(logs: Logs) -> Cards:
    graph = graph_of(logs)
    return causal_cards(from_arrays(logs.arrays, graph, "generated"), graph)


def codes(cards: Cards) -> set[str]:
    return {remark.code for card in cards.cards for remark in card.remarks}


@pytest.fixture(scope="module")
def healthy() -> Cards:
    return cards_of(refrigerator(100))


def test_a_healthy_effect_is_known_and_told_right(healthy: Cards) -> None:
    card = healthy.cards[0]
    assert (card.node, card.action, card.output, card.grade) == ("action", "power", "temperature", "A")
    assert card.low < -0.98 < card.high
    assert card.overlap == pytest.approx(0.18, abs=0.04)
    assert card.dead_time == 1
    assert not card.alarm


def test_measurement_noise_is_named_with_its_size(healthy: Cards) -> None:
    assert codes(healthy) == {"measurement-noise"}
    assert healthy.cards[0].noise == pytest.approx(0.1, abs=0.03)


def test_the_start_of_a_plant_does_not_decide_how_well_the_rest_is_explained() -> None:
    made = load_module(
        Path(__file__).parents[2] / "experiments" / "refrigerator" / "simulator.py"
    ).make_data()
    assert (
        made["temperature"][0, 0] > 9 > np.sort(made["temperature"][:, 0])[-3]
    )  # a single row or two far outside
    (card,) = cards_of(Logs(made, refrigerator(0, rows=10).description, made["door_open"])).cards
    assert abs(card.cross[10]) < 0.05  # nothing of the present move is left over


def test_moves_that_follow_from_the_state_teach_nothing() -> None:
    cards = cards_of(refrigerator(100, noise=0.003))
    assert cards.grade == "C"
    assert "is its own" in cards.cards[0].reasons[0]


def test_dither_makes_a_narrow_controller_known() -> None:
    assert cards_of(refrigerator(100, noise=0.003, dither=0.1)).grade in ("A", "B")


@pytest.mark.parametrize(
    "logs",
    [
        refrigerator(100, door_logged=False, door_moves=1.0),
        refrigerator(100, load=0.2, load_moves=0.8),
        arm(100, wind=0.5, moves=0.8),
    ],
    ids=["door", "load", "wind"],
)
def test_a_cause_that_moves_action_and_state_is_an_alarm(logs: Logs) -> None:
    cards = cards_of(logs)
    assert cards.grade == "D"
    assert "hidden-driver" in codes(cards)


@pytest.mark.parametrize(
    ("logs", "code"),
    [
        (refrigerator(100, load=0.2), "disturbance"),
        (refrigerator(100, has_door=False), "measurement-noise"),
        (refrigerator(100, dead_time=20, gain=0.02), "dead-time"),
    ],
    ids=["disturbance", "sensor noise", "dead time"],
)
def test_what_is_no_hidden_driver_is_named_as_what_it_is(logs: Logs, code: str) -> None:
    cards = cards_of(logs)
    assert code in codes(cards)
    assert "hidden-driver" not in codes(cards)


def test_the_dead_time_is_measured_and_a_declared_history_is_used() -> None:
    logs = refrigerator(100, dead_time=6, gain=0.05)
    assert cards_of(logs).cards[0].dead_time == 6
    metadata = logs.description["metadata"]
    metadata["nodes"] = {"action": {"ts": 8}}
    metadata["graph"]["next_temperature"] = ["ts_action", "temperature", "door_open", "action"]
    card = cards_of(logs).cards[0]
    assert card.grade in ("A", "B")
    assert card.dead_time == 6
    assert card.low < -0.98 < card.high


def test_a_declared_effect_stands_in_the_card_and_a_contradiction_is_said() -> None:
    logs = refrigerator(100, effects=True)
    assert cards_of(logs).cards[0].declared == "decreasing"
    logs.description["metadata"]["nodes"]["next_temperature"]["effects"]["power"] = "increasing"
    cards = cards_of(logs)
    assert cards.grade == "D"
    assert "wrong-sign" in codes(cards)


def test_too_few_rows_say_how_many_are_needed() -> None:
    cards = cards_of(refrigerator(100, rows=120))
    assert cards.grade == "-"
    assert "200 are needed" in cards.skipped[0]


def test_constant_columns_are_said_or_left_out() -> None:
    logs = refrigerator(100)
    logs.arrays["action"] = np.full_like(logs.arrays["action"], 0.3)
    cards = cards_of(logs)
    assert cards.cards == ()
    assert cards.skipped == ("power: never varies in the logs, so nothing can be told of its effect",)
    still = refrigerator(100)
    still.arrays["door_open"] = np.zeros_like(still.arrays["door_open"])
    assert cards_of(still).cards  # a column without information does no harm


def test_cards_are_plain_json_and_the_same_every_time(healthy: Cards) -> None:
    text = json.dumps(healthy.as_dict(), allow_nan=False)
    assert json.loads(text)["grade"] == "A"
    assert json.dumps(cards_of(refrigerator(100)).as_dict()) == text


def test_logged_columns_are_a_yardstick(healthy: Cards) -> None:
    known = {reference.column: reference for reference in healthy.cards[0].references}
    assert known["temperature"].moves > 0.5
    assert known["door_open"].response > 0.3
    assert known["door_open"].moves < 0.1
