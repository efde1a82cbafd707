"""What a policy decides, and what it may see that the venv's own description does not show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import revive
from revive.__main__ import main
from revive.graph.description import parse_description
from revive.graph.joint import apart
from revive.pipeline.task import decision
from tests.contract import small_settings
from tests.pipeline.conftest import DESCRIPTION, Write

FAST = ("experiment=tank", "debug=fast", "policy=first_order", "tracking=none", "report=false")
LOOKS_BACK = DESCRIPTION.replace("    valve: [tank]\n", "    valve: [ts_tank]\n").replace(
    "  graph:\n", "  nodes:\n    tank: {ts: 3}\n  graph:\n"
)
TWO_VALVES = """\
metadata:
  columns:
    - level: {dim: tank, type: continuous}
    - inlet: {dim: inlet, type: continuous, min: -3, max: 3}
    - outlet: {dim: outlet, type: continuous, min: -3, max: 3}
  graph:
    inlet: [tank]
    outlet: [tank, inlet]
    next_tank: [tank, inlet, outlet]
"""
OTHER_PLANT = DESCRIPTION.replace("next_tank: [tank, valve]", "next_tank: [valve]")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr()
    assert "Traceback" not in out.err + out.out
    return out.err


def test_a_target_that_is_no_decision_is_named(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank()
    assert main([*FAST, "policy.target=[valve,tank]"]) == 2
    said = told(capsys)
    assert "'tank' is no decision node among the targets valve, tank" in said
    assert "policy.target" in said
    assert not Path("runs").exists()


def test_a_target_that_is_named_twice_is_said(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank()
    assert main([*FAST, "policy.target=[valve,valve]"]) == 2
    assert "'valve' is named twice among the targets valve, valve" in told(capsys)


def two_valves() -> dict[str, np.ndarray]:
    """level' = 0.9 level + 0.3 (inlet - outlet); the outlet is set after the inlet."""
    rng, rows = np.random.default_rng(0), 240
    inlet = np.clip(rng.normal(size=rows), -3, 3)
    outlet = np.clip(0.5 * inlet + rng.normal(size=rows), -3, 3)
    level = np.zeros(rows + 1)
    for t in range(rows):
        level[t + 1] = 0.9 * level[t] + 0.3 * (inlet[t] - outlet[t]) + 0.05 * rng.normal()
    ends = np.array([rows // 3, 2 * rows // 3, rows])
    logs = {"tank": level[:-1], "inlet": inlet, "outlet": outlet, "next_tank": level[1:]}
    return {**{name: value[:, None] for name, value in logs.items()}, "index": ends}


def test_two_nodes_go_through_a_whole_run(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    tank(two_valves(), description_yaml=TWO_VALVES)
    both = [*FAST[:-1], "report=true", "policy.target=[outlet,inlet]", "policy.action_repeat=2"]
    limits = "policy.constraints.limits=['inlet < 1.5']"
    assert main([*both, limits, "run_id=both"]) == 0
    bundle = "runs/both/policy"
    loaded, numpy = revive.load_policy(bundle), revive.runtime.load_policy(bundle)
    assert loaded.decided == numpy.decided == ("inlet", "outlet")
    seen = {"tank": np.linspace(-2.0, 2.0, 9)[:, None]}
    for name, action in loaded.act(seen).items():
        np.testing.assert_allclose(action, numpy.act(seen)[name], rtol=0, atol=1e-5)
    assert loaded.act(seen)["inlet"].max() <= 1.5
    session = numpy.session()
    first, second = session.act({"tank": [0.5]}), session.act({"tank": [-0.5]})
    assert first == second  # the decision of both holds
    venv = revive.load_venv("runs/both/venv")
    rolled = venv.rollout({"tank": [[0.5]]}, horizon=5, policy=loaded)
    assert set(rolled) == {"tank", "inlet", "outlet", "next_tank"}
    told(capsys)
    assert main([*both, limits, "run_id=both"]) == 0  # what is finished is taken as it is
    assert main(["show", bundle]) == 0


@pytest.mark.parametrize(
    ("inputs", "first", "second"),
    [(None, ("ts3_tank",), ("inlet",)), (["tank", "inlet"], ("ts3_tank",), ("ts3_tank", "inlet"))],
)
def test_a_target_sees_those_that_are_decided_before(
    inputs: list[str] | None, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    graph = parse_description(
        yaml.safe_load(TWO_VALVES.replace("[tank, inlet]\n    next", "[inlet]\n    next")), "test"
    )
    settings = small_settings("policy", "clones")
    changed = {"target": ["outlet", "inlet"], "history": 3, "inputs": inputs}
    policy = settings.policy.model_copy(update=changed)
    target, seen = decision(settings.model_copy(update={"policy": policy}), graph)
    assert target == "inlet + outlet"
    assert seen[target].parts == (("inlet", first), ("outlet", second))
    assert seen[target].inputs == ("ts3_tank",)
    assert apart(seen).decisions == ("inlet", "outlet")


def test_a_node_between_two_targets_is_named(tank: Write, capsys: pytest.CaptureFixture[str]) -> None:
    logs = two_valves()
    flow = TWO_VALVES.replace("    outlet: [tank, inlet]", "    flow: [inlet]\n    outlet: [tank, flow]")
    flow = flow.replace("    - outlet", "    - flow: {dim: flow, type: continuous}\n    - outlet")
    tank({**logs, "flow": 0.9 * logs["inlet"]}, description_yaml=flow)
    assert main([*FAST, "policy.target=[inlet,outlet]"]) == 2
    assert "'outlet' sees 'flow', which follows from 'inlet' within the step" in told(capsys)


@pytest.mark.usefixtures("unrendered")
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


@pytest.mark.usefixtures("unrendered")
def test_a_recurrent_policy_goes_through_a_whole_run(tank: Write) -> None:
    tank()
    assert main([*FAST, "run_id=gru", "policy.network.backbone=gru", "policy.history=4"]) == 0
    policy = revive.runtime.load_policy("runs/gru/policy")
    assert policy.network.recurrent is not None  # type: ignore[union-attr]
    assert policy.session().act({"tank": [0.5]})["valve"].shape == (1,)


def test_a_recurrent_policy_needs_something_to_run_over(
    tank: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    tank()
    assert main([*FAST, "policy.network.backbone=gru", "policy.history=1"]) == 2
    assert "a gru needs several values" in told(capsys)
