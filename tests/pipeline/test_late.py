"""A dead time that nobody declared: the transition is shown a history of the action, and the card is told anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from revive.config.compose import load_settings
from revive.data.codec import Codec
from revive.data.computed import known_values
from revive.graph.decision_graph import DecisionGraph
from revive.graph.found import Late
from revive.pipeline.inputs import Inputs, gather
from revive.pipeline.late import MARGIN, shown_earlier_values
from revive.pipeline.trust import cards_of
from revive.policy.verdicts import about_cards
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.acceptance.trust_logs import refrigerator
from tests.conftest import write_experiment


def inputs_of(folder: Path, **transition: Any) -> Inputs:
    """Of a refrigerator whose action shows 6 steps later; transition: what is declared of next_temperature."""
    logs = refrigerator(100, dead_time=6, gain=0.05)
    metadata = logs.description["metadata"]
    metadata.setdefault("nodes", {})["next_temperature"] = transition
    home = write_experiment(
        folder, "late", "# @package _global_\ndataset: {description: d.yaml, path: logs.npz}\n"
    )
    np.savez(home / "logs.npz", **logs.arrays)  # type: ignore[arg-type]
    (home / "d.yaml").write_text(yaml.safe_dump(logs.description))
    inputs = gather(load_settings(["experiment=late", "policy.mode=none"]))
    return replace(inputs, cards=cards_of(inputs))


def test_the_transition_sees_what_was_done_before(experiments: Path) -> None:
    before = inputs_of(experiments)
    (said,) = about_cards(before.cards, "action")
    assert (said.code, said.severity) == ("dead-time", "distrust")
    after, lines = shown_earlier_values(before)
    assert after.graph.found == (Late("action", 6 + MARGIN, ("next_temperature",)),)
    assert after.graph["next_temperature"].inputs == ("temperature", "door_open", "ts8_action")
    assert after.graph["action"].inputs == before.graph["action"].inputs
    assert after.logs.arrays["ts8_action"].shape == (before.logs.rows, 8)
    assert "last 8 values" in lines[0]
    assert about_cards(after.cards, "action") == []
    assert DecisionGraph.from_json(after.graph.to_json()) == after.graph


def test_what_is_declared_of_the_action_is_left_alone_and_the_venv_is_not_believed(experiments: Path) -> None:
    before = inputs_of(experiments, effects={"power": "decreasing"})
    after, lines = shown_earlier_values(before)
    assert (after, lines) == (before, [])
    assert "distrust" in {said.severity for said in about_cards(before.cards, "action")}
    assert {said.severity for said in about_cards(before.cards, None)} == {"caution"}


@pytest.mark.parametrize("given", [True, False])
def test_a_rollout_needs_no_past_that_nobody_declared(experiments: Path, given: bool) -> None:
    inputs, _ = shown_earlier_values(inputs_of(experiments))
    codec = Codec.fit(inputs.graph, known_values(inputs.parts.train))
    scales = {name: [1.0] * codec.layout(name).ordered for name in inputs.graph.learned}
    venv = VirtualEnv(inputs.graph, codec, 2, NetworkSpec(hidden=(4,)), scales, inputs.code)
    start = {"temperature": torch.zeros(2, 3, 1)}
    series = {"door_open": torch.zeros(5, 2, 3, codec.width("door_open"))}
    if given:
        series["action"] = torch.ones(5, 2, 3, 1)
    rolled = venv.rollout(start, series, 5)
    assert float(rolled["ts8_action"][0, 0, 0, 0]) == (1.0 if given else 0.0)
