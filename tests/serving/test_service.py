"""A policy for many plants: requests are checked, plants remembered, and what is unlike the logs is counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive import runtime
from revive.bundles import Gate, set_gate
from revive.errors import UserError
from revive.serving import Service
from tests.runtime.test_policy import observations

Make = Callable[..., Service]
USUAL = {"level": 5.0, "flow": 5.5}


def test_one_plant(service: Make, bundle: Callable[..., Path]) -> None:
    answer = service().act({"inputs": USUAL})
    wanted = runtime.load_policy(bundle("plain")).act({"x": [5.0, 5.5]})["u"]
    assert answer["action"] == {"valve": pytest.approx(wanted[0])}
    assert answer["plant"] == "plant"
    assert (answer["step"], answer["shadow"]) == (0, False)
    assert (answer["outside"], answer["far"], answer["in_range"]) == ([], False, True)


@pytest.mark.parametrize("kind", ["plain", "history", "category"])
def test_many_plants_are_answered_as_their_own_sessions_would(service: Make, kind: Any) -> None:
    made = service(kind)
    sessions = {name: made.policy.session() for name in ("a", "b", "c")}
    column = made.contract.decided[0].name
    for step in range(5):
        seen = {name: observations(kind, 1, seed=10 * step + i)["x"] for i, name in enumerate("abc")}
        asked = ["a", "b", "c"] if step % 2 else ["c", "a"]
        request = {
            n: {"inputs": dict(zip(("level", "flow"), seen[n][0].tolist(), strict=True))} for n in asked
        }
        answer = made.act({"plants": request})["plants"]
        for name in asked:
            wanted = sessions[name].act({"x": seen[name]})["u"][0, 0]
            assert answer[name]["action"][column] == pytest.approx(wanted)
    assert [answer[name]["step"] for name in "ca"] == [4, 4]


def test_a_thousand_plants_in_one_request(service: Make) -> None:
    made = service("history")
    request = {"plants": {f"p{i}": {"inputs": USUAL} for i in range(1000)}}
    for _ in range(2):
        answer = made.act(request)["plants"]
    assert len(answer) == 1000
    assert made.counts.steps == 2000
    assert made.health()["plants"] == 1000


def test_a_plant_that_is_started_again_forgets(service: Make) -> None:
    made = service("history")
    first = made.act({"plant": "a", "inputs": USUAL})
    second = made.act({"plant": "a", "inputs": {"level": 7.0, "flow": 3.0}})
    assert second["step"] == 1
    again = made.act({"plant": "a", "inputs": USUAL, "restart": True})
    assert (again["step"], again["action"]) == (0, first["action"])
    assert made.reset({"plants": ["a", "nobody"]}) == {"forgotten": ["a"]}
    assert made.reset({}) == {"forgotten": []}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ([1], "no JSON object"),
        ({"inputs": {"level": 5.0}}, "inputs: 'flow' is missing"),
        ({"inputs": {**USUAL, "presure": 1.0}}, "there is no column 'presure'"),
        ({"inputs": {"levle": 5.0, "flow": 5.0}}, "did you mean 'level'"),
        ({"inputs": {"levle": 5.0, "flow": 5.0}}, "did you mean it by 'levle'"),
        ({"inputs": {**USUAL, "level": "5"}}, "inputs.level: '5' is no number"),
        ({"inputs": {**USUAL, "level": True}}, "True is no number"),
        ({"inputs": {**USUAL, "level": None}}, "None is no number"),
        ({"inputs": {**USUAL, "level": 10**400}}, "is not finite"),
        ({"inputs": {**USUAL, "level": float("nan")}}, "nan is not finite"),
        ({"inputs": [5.0, 5.0]}, "no object of names and values"),
        ({"input": USUAL}, "there is no key 'input'"),
        ({"plants": {}}, "no object of 1 to 10000 plants"),
        ({"plants": {"a": 5}}, "plants.a: is no object"),
        ({"plants": {"a": {"inputs": USUAL, "unit": 1}}}, "there is no key 'unit'"),
        ({"plant": "a\nb", "inputs": USUAL}, "cannot be the name of a plant"),
        ({"plant": 5, "inputs": USUAL}, "cannot be the name of a plant"),
        ({"inputs": USUAL, "restart": 1}, "neither true nor false"),
        ({"inputs": USUAL, "operator": {"valve": 1.0}}, "belongs to shadow mode"),
        ({"inputs": USUAL, "units": {"lvel": "m"}}, "there is no column 'lvel'"),
        ({"inputs": USUAL, "units": {"level": "m"}}, "the policy knows no unit of it"),
        ({"inputs": USUAL, "units": "m"}, "no object of names and units"),
    ],
)
def test_a_wrong_request_is_refused_and_nothing_remembered(service: Make, request_: Any, said: str) -> None:
    made = service()
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        made.act(request_)
    assert made.plants.known == {}
    assert made.counts.steps == 0


def test_units_that_differ_are_refused(service: Make) -> None:
    made = service()
    column = made.contract.known["level"].column
    object.__setattr__(column, "units", "m")
    made.act({"inputs": USUAL, "units": {"level": "m"}})
    with pytest.raises(UserError, match="'level' is stated in 'mm', the policy was learned in 'm'"):
        made.act({"inputs": USUAL, "units": {"level": "mm"}})


def test_declared_limits(service: Make) -> None:
    request = {"inputs": {"kind": 3, "level": 5.0, "angle": 10.0, "steps": 3, "rate": 1.0, "share": 1.0}}
    made = service("mixed")
    assert set(made.act(request)["action"]) == {"mode", "valve", "stage"}
    for column, value, said in (
        ("kind", 4, "none of the values of 'kind'"),
        ("steps", 2.5, "none of the values"),
    ):
        with pytest.raises(UserError, match=said):
            made.act({"inputs": {**request["inputs"], column: value}})
    plain = service()
    object.__setattr__(plain.contract.known["level"].column, "max", 8.0)
    with pytest.raises(UserError, match="9 is beyond the declared max of 'level', 8"):
        plain.act({"inputs": {"level": 9.0, "flow": 5.0}})
    clipping = service(outside="clip")
    object.__setattr__(clipping.contract.known["level"].column, "max", 8.0)
    limit = clipping.act({"inputs": {"level": 8.0, "flow": 5.0}})["action"]
    assert clipping.act({"inputs": {"level": 9.0, "flow": 5.0}})["action"] == limit


def test_the_model_says_when_it_is_out_of_its_range(service: Make, caplog: pytest.LogCaptureFixture) -> None:
    made = service()
    low, high = made.schema()["logged"]["level"]
    assert low < 1.0
    assert high > 9.0
    beyond = {"inputs": {"level": high + 20.0, "flow": 5.0}}
    with caplog.at_level(logging.WARNING, "revive.serving"):
        answers = [made.act(beyond) for _ in range(6)]
        assert answers[0]["outside"] == ["level"]
        assert [answer["in_range"] for answer in answers] == [True] * 5 + [False]
        assert made.health()["status"] == "out of range"
        assert made.health()["out_of_range"] == ["plant"]
        assert "out of its range: 6 of its last 6 inputs are unlike the logs (level)" in caplog.text
        for _ in range(100):
            last = made.act({"inputs": USUAL})
        assert last["in_range"]
        assert "back in its range" in caplog.text
    assert made.counts.above["level"] == 6
    assert made.counts.unlike >= 6


def test_a_combination_that_nobody_has_seen_is_far(service: Make) -> None:
    made = service()
    ends = made.schema()["logged"]
    corner = {"level": ends["level"][1], "flow": ends["flow"][0]}
    answer = made.act({"inputs": corner})
    assert answer["outside"] == []
    assert answer["far"]


def test_what_is_logged_is_seldom_far(service: Make) -> None:
    made = service("mixed")
    seen = observations("mixed", 1000, seed=8)["x"]
    assert made.policy.envelope is not None
    assert made.policy.envelope.judge(seen).far.mean() < 0.05


def test_a_bundle_that_knows_nothing_of_its_logs(bundle: Callable[..., Path], tmp_path: Path) -> None:
    from revive.deploy import save_policy
    from tests.runtime.plants import policy_of

    save_policy(policy_of("plain"), tmp_path / "old", {})
    made = Service.of_bundle(tmp_path / "old")
    assert "in_range" not in made.act({"inputs": USUAL})
    assert made.schema()["logged"] is None
    assert made.health()["knows_its_range"] is False


def test_a_failed_gate_is_refused_unless_accepted(bundle: Callable[..., Path]) -> None:
    folder = bundle("plain")
    set_gate("policy", folder, Gate(status="fail", reasons=["too good"]))
    with pytest.raises(UserError, match="did not pass its gate: too good"):
        Service.of_bundle(folder)
    assert Service.of_bundle(folder, accept_failed_gate=True).health()["gate"] == "fail"


def test_there_is_an_end_to_plants(service: Make) -> None:
    made = service(plants=2)
    made.act({"plants": {"a": {"inputs": USUAL}, "b": {"inputs": USUAL}}})
    with pytest.raises(UserError, match="2 plants are remembered, and 1 more would be too many"):
        made.act({"plant": "c", "inputs": USUAL})
    made.act({"plant": "a", "inputs": USUAL})


def test_the_example_of_the_schema_is_answered(service: Make, tmp_path: Path) -> None:
    for kind in ("plain", "mixed", "history", "category"):
        made = service(kind)
        assert made.act(made.schema()["example"])["action"]
    shadow = service("history", shadow=tmp_path / "s.csv")
    assert shadow.act(shadow.schema()["example"])["proposal"]


def test_an_envelope_of_other_columns_is_refused(bundle: Callable[..., Path]) -> None:
    from tests.bundles.forging import rewrite

    folder = bundle("plain")
    rewrite(folder, lambda spec: spec["envelope"]["columns"].__setitem__(0, ["x", "levle"]))
    with pytest.raises(UserError, match="the envelope speaks of other columns"):
        runtime.load_policy(folder)


def test_distances_are_in_spreads_of_a_column(service: Make) -> None:
    envelope = service().policy.envelope
    assert envelope is not None
    row = envelope.sample[:1]
    assert envelope.distances(row)[0] == pytest.approx(0.0)
    assert len(envelope.sample) <= 256
    assert np.isfinite(envelope.reach)


def test_a_plant_is_told_where_its_actuator_stands(service: Make) -> None:
    made = service("history")
    policy = made.policy
    middle = float(policy.middle("u")[0])
    lone = made.act({"plant": "a", "inputs": USUAL})
    assert lone["assumed"] == {"valve": pytest.approx(middle), "level": 5.0, "flow": 5.5}
    assert "assumed" not in made.act({"plant": "a", "inputs": USUAL})
    told = made.act({"plant": "b", "inputs": USUAL, "before": {"valve": 8.0}})
    wanted = policy.session(before={"u": [8.0]}).act({"x": [5.0, 5.5]})["u"][0]
    assert told["action"]["valve"] == pytest.approx(wanted)
    assert told["assumed"] == {"level": 5.0, "flow": 5.5}
    before = {"valve": [1.0, 8.0], "level": [4.0, 5.0], "flow": 5.0}
    both = made.act(
        {"plants": {"c": {"inputs": USUAL, "before": before}, "d": {"inputs": USUAL}}, "units": {}}
    )["plants"]
    past = {"u": [[1.0], [8.0]], "x": [[4.0, 5.0], [5.0, 5.0]]}
    wanted = policy.session(before=past).act({"x": [5.0, 5.5]})["u"][0]
    assert both["c"]["action"]["valve"] == pytest.approx(wanted)
    assert "assumed" not in both["c"]
    assert both["d"]["action"] == lone["action"]
    assert made.schema()["before"] == ["level", "flow", "valve"]


def test_in_shadow_mode_the_operator_shows_where_the_actuator_stands(service: Make, tmp_path: Path) -> None:
    made = service("history", shadow=tmp_path / "s.csv")
    answer = made.act({"inputs": USUAL, "operator": {"valve": 8.0}})
    wanted = made.policy.session(before={"u": [8.0]}).act({"x": [5.0, 5.5]})["u"][0]
    assert answer["proposal"]["valve"] == pytest.approx(wanted)
    assert "valve" not in answer["assumed"]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ({"vlve": 8.0}, "there is no column 'vlve'"),
        ({"valve": "open"}, "before.valve: 'open' is no number"),
        ({"valve": [8.0, None]}, "None is no number"),
        (8.0, "before: is no object of names and values"),
        ({"valve": [1.0] * 10_001}, "is longer than 10000 values"),
    ],
)
def test_a_past_that_cannot_be_is_refused(service: Make, before: Any, said: str) -> None:
    made = service("history")
    with pytest.raises(UserError, match=said):
        made.act({"inputs": USUAL, "before": before})
    assert made.plants.known == {}


def test_what_was_before_is_told_at_the_start_alone(service: Make) -> None:
    made = service("history")
    made.act({"inputs": USUAL})
    with pytest.raises(UserError, match="plant 'plant' is at step 1: what was before is remembered"):
        made.act({"inputs": USUAL, "before": {"valve": 8.0}})
    assert made.act({"inputs": USUAL, "before": {"valve": 8.0}, "restart": True})["step"] == 0
