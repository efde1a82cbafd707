"""What follows from the policy's decision within a step is the plant's."""

from __future__ import annotations

import logging

import pytest

from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.target import led_by

INPUTS = {
    "setpoint": ["level"],
    "valve": ["level", "setpoint"],
    "flow": ["valve"],
    "lamp": ["level"],
    "next_level": ["level", "flow", "lamp"],
}


@pytest.fixture
def graph() -> DecisionGraph:
    names = ("level", "setpoint", "valve", "flow", "lamp")
    return DecisionGraph.build([Column(name, name, "continuous") for name in names], INPUTS)


@pytest.mark.parametrize(
    ("targets", "decisions"),
    [
        ((), ("setpoint", "lamp")),
        (("setpoint",), ("setpoint", "lamp")),
        (("valve",), ("setpoint", "valve", "lamp")),
        (("flow",), ("setpoint", "valve", "flow", "lamp")),
        (("lamp",), ("setpoint", "valve", "flow", "lamp")),
        (("valve", "flow"), ("setpoint", "valve", "flow", "lamp")),
        (("setpoint", "flow"), ("setpoint", "flow", "lamp")),
        (("nothing",), ("setpoint", "valve", "flow", "lamp")),
    ],
)
def test_what_follows_from_the_target_is_no_decision(
    graph: DecisionGraph, targets: tuple[str, ...], decisions: tuple[str, ...]
) -> None:
    led = led_by(graph, targets)
    assert set(led.decisions) == set(decisions)
    assert set(led.learned) == set(graph.learned)
    assert led.order == graph.order
    assert DecisionGraph.from_json(led.to_json()) == led


def test_it_is_said(graph: DecisionGraph, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        led_by(graph, ["valve"])
    assert caplog.messages == ["'flow' follows from 'valve' within the step: it is predicted, never replayed"]
