"""What a policy decides, and what it may see that the venv's own description does not show it."""

from __future__ import annotations

from pathlib import Path

import pytest

import revive
from revive.__main__ import main
from tests.pipeline.conftest import DESCRIPTION, Write

FAST = ("experiment=tank", "debug=fast", "policy=first_order", "tracking=none", "report=false")
LOOKS_BACK = DESCRIPTION.replace("    valve: [tank]\n", "    valve: [ts_tank]\n").replace(
    "  graph:\n", "  nodes:\n    tank: {ts: 3}\n  graph:\n"
)
OTHER_PLANT = DESCRIPTION.replace("next_tank: [tank, valve]", "next_tank: [valve]")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr()
    assert "Traceback" not in out.err + out.out
    return out.err


def test_a_target_that_is_no_decision_is_named(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank()
    assert main([*FAST, "policy.target=[valve,tank]"]) == 2
    said = told(capsys)
    assert "'tank' is no decision node" in said
    assert "policy.target" in said
    assert not Path("runs").exists()


def test_a_policy_may_see_what_another_description_shows_it(
    tank: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    tank()
    assert main([*FAST, "run_id=venv", "policy.mode=none"]) == 0
    venv = Path("runs/venv/venv").resolve()
    more = ("venv.mode=none", f"venv_path={venv}")
    tank(description_yaml=LOOKS_BACK)
    assert main([*FAST, "run_id=policy", "policy.target=[valve]", *more]) == 0
    assert revive.load_policy("runs/policy/policy").inputs == ("ts_tank",)
    tank(description_yaml=OTHER_PLANT)
    told(capsys)
    assert main([*FAST, "run_id=other", *more]) == 2
    said = told(capsys)
    assert "another decision flow graph: next_tank" in said


def test_a_recurrent_policy_goes_through_a_whole_run(tank: Write) -> None:
    tank()
    assert main([*FAST, "run_id=gru", "policy.network.backbone=gru", "policy.history=4"]) == 0
    policy = revive.runtime.load_policy("runs/gru/policy")
    assert policy.network.recurrent is not None
    assert policy.session().act({"tank": [0.5]})["valve"].shape == (1,)


def test_a_recurrent_policy_needs_something_to_run_over(
    tank: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    tank()
    assert main([*FAST, "policy.network.backbone=gru", "policy.history=1"]) == 2
    assert "a gru needs several values" in told(capsys)
