"""A hidden cause behind a declared effect: what a run puts beside the logged columns; with tiny limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import revive
from revive.__main__ import main
from revive.outcome import DONE, WRONG
from revive.pipeline.finished import settings_of
from revive.pipeline.hidden import stood_in
from revive.pipeline.inputs import gather
from revive.pipeline.trust import cards_of
from tests.acceptance.trust_logs import CASES
from tests.pipeline.test_gate import run_on


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("hidden")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REVIVE_EXPERIMENTS", str(folder / "experiments"))
        said: list[str] = []
        patch.setattr("revive.report.terminal.Terminal.note", lambda self, line: said.append(line))
        run_on(CASES["declared door"](100), folder, "policy.mode=none")
        yield folder, "\n".join(said)


def test_the_run_says_what_stands_in_and_the_venv_sees_it(run: tuple[Path, str]) -> None:
    folder, said = run
    assert "unlogged_power: what lasts in the moves of 'power'" in said
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary["causal"]["stand_ins"] == ["unlogged_power"]
    venv = revive.load_venv(folder / "run" / "venv", accept_failed_gate=True)
    assert "unlogged_power" in venv.graph["next_temperature"].inputs
    assert "unlogged_power" not in venv.graph["action"].inputs


def test_nothing_hidden_happens_unless_it_is_given(run: tuple[Path, str]) -> None:
    venv = revive.load_venv(run[0] / "run" / "venv", accept_failed_gate=True)
    start, actions = {"temperature": np.zeros((3, 1))}, np.full((5, 3, 1), 0.4)
    silent = venv.rollout(start, {"action": actions})["next_temperature"]
    zero = venv.rollout(start, {"action": actions, "unlogged_power": np.zeros((5, 3, 1))})["next_temperature"]
    some = venv.rollout(start, {"action": actions, "unlogged_power": np.ones((5, 3, 1))})["next_temperature"]
    assert np.array_equal(silent, zero)
    assert not np.allclose(silent, some)
    assert venv.step({"temperature": np.zeros(1), "action": np.ones(1)})["next_temperature"].shape == (1,)


def test_a_run_that_is_gone_on_with_must_be_asked_the_same(
    run: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["experiment=cold", "debug=fast", "tracking=none", f"log_dir={run[0]}", "run_id=run"]
    assert main([*arguments, "policy.mode=none", "dataset.proposals=ask"]) == WRONG
    assert "holds a run with other settings" in capsys.readouterr().err


@pytest.mark.usefixtures("unrendered")
def test_another_run_may_take_the_venv_over(run: tuple[Path, str]) -> None:
    folder, _ = run
    arguments = ["experiment=cold", "debug=fast", "tracking=none", f"log_dir={folder}", "run_id=other"]
    more = [
        "venv.mode=none",
        f"venv_path={folder / 'run' / 'venv'}",
        "policy.mode=none",
        "gate.override=true",
    ]
    assert main([*arguments, *more]) == DONE
    summary = json.loads((folder / "other" / "summary.json").read_text())
    assert summary["causal"]["stand_ins"] == ["unlogged_power"]


def test_without_a_declared_effect_or_where_nothing_is_to_be_applied_the_graph_stays(
    run: tuple[Path, str],
) -> None:
    settings = settings_of(run[0] / "run")
    inputs = gather(settings)
    cards = cards_of(inputs)
    asked = replace(inputs, cards=cards)
    assert stood_in(asked, leave_alone=True) == (asked, [])
    undeclared = replace(cards, cards=tuple(replace(card, declared=None) for card in cards.cards))
    same, lines = stood_in(replace(inputs, cards=undeclared), leave_alone=False)
    assert same.graph == inputs.graph
    assert lines == []
    more, lines = stood_in(asked, leave_alone=False)
    assert len(lines) == 1
    for part in (more.logs, more.parts.train, more.parts.validation):
        assert part.arrays["unlogged_power"].shape == (part.rows, 1)
