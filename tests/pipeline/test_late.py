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
from revive.data.proposal import Proposal
from revive.data.report import check_data
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
    (said,) = about_cards(before.cards, ("action",))
    assert (said.code, said.severity) == ("dead-time", "distrust")
    after, lines = shown_earlier_values(before)
    assert after.graph.found == (Late("action", 6 + MARGIN, ("next_temperature",)),)
    assert after.graph["next_temperature"].inputs == ("temperature", "door_open", "ts8_action")
    assert after.graph["action"].inputs == before.graph["action"].inputs
    assert after.logs.arrays["ts8_action"].shape == (before.logs.rows, 8)
    assert "last 8 values" in lines[0]
    assert about_cards(after.cards, ("action",)) == []
    assert DecisionGraph.from_json(after.graph.to_json()) == after.graph


def test_what_is_declared_of_the_action_is_left_alone_and_the_venv_is_not_believed(experiments: Path) -> None:
    before = inputs_of(experiments, effects={"power": "decreasing"})
    after, lines = shown_earlier_values(before)
    assert (after, lines) == (before, [])
    assert "distrust" in {said.severity for said in about_cards(before.cards, ("action",))}
    assert {said.severity for said in about_cards(before.cards)} == {"caution"}


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


def kiln(folder: Path, hidden: float) -> tuple[Inputs, list[Proposal]]:
    """Of a kiln whose gas shows two steps later, under an operator who moves it slowly; hidden: what he and the kiln
    both follow and nobody logs. With the proposals of its data report."""
    random = np.random.default_rng(5)
    rows = np.empty((2000, 2))
    oven, gas, before, cause = 900.0, 48.0, [48.0] * 3, 0.0
    for row in rows:
        cause = 0.95 * cause + random.normal()
        seen = oven + random.normal()
        gas += 0.04 * (905.0 - seen) + random.normal() - 0.05 * (gas - 48.0) + hidden * cause
        before.append(gas)
        row[:] = seen, gas
        oven += 0.15 * (500.0 + 8.5 * before[-3] - oven) + random.normal() + 3.0 * hidden * cause
    home = write_experiment(
        folder, "kiln", "# @package _global_\ndataset: {description: d.yaml, path: logs.npz}\n"
    )
    np.savez(home / "logs.npz", oven=rows[:, :1], gas=rows[:, 1:], index=np.array([2000]))
    columns = [{"oven": {"dim": "oven", "type": "continuous"}}, {"gas": {"dim": "gas", "type": "continuous"}}]
    graph = {"gas": ["oven"], "next_oven": ["oven", "gas"]}
    (home / "d.yaml").write_text(yaml.safe_dump({"metadata": {"columns": columns, "graph": graph}}))
    inputs = gather(load_settings(["experiment=kiln", "policy.mode=none"]))
    proposals = check_data(inputs.logs, inputs.graph).proposals
    return replace(inputs, cards=cards_of(inputs)), [*proposals]


def test_a_dead_time_that_looks_like_a_hidden_cause_is_seen_for_what_it_is(experiments: Path) -> None:
    before, proposals = kiln(experiments, hidden=0.0)
    assert before.cards is not None
    assert before.cards.cards[0].alarm
    assert shown_earlier_values(before) == (before, [])  # only with the data report's word for it
    after, (line,) = shown_earlier_values(before, proposals)
    assert after.cards is not None
    card = after.cards.cards[0]
    assert not card.alarm
    assert card.low < 0.15 * 8.5 < card.high
    assert "'gas' shows only later" in line
    assert "nothing speaks for a hidden cause any more" in line


def test_an_alarm_that_stays_keeps_the_graph_as_it_was(experiments: Path) -> None:
    before, proposals = kiln(experiments, hidden=1.0)
    after, lines = shown_earlier_values(before, proposals)
    assert after.cards is not None
    assert lines == [] or not any(card.alarm for card in after.cards.cards)
    assert (after is before) == (lines == [])
