"""A function of the user with free parameters, to which a network adds what it leaves open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from revive.bundles import Bundle
from revive.deploy.bundle import load_venv, read_venv, save_venv
from revive.deploy.onnx_step import require_exportable
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.venv.first_principles import fitted_parameters, try_principles
from revive.venv.functions import UserCode
from revive.venv.learners.bc import BehaviourCloning
from tests.contract import interrupted
from tests.venv.cooling import (
    COOLING,
    PARAMETERS,
    TRUTH,
    described,
    error_on_fresh_logs,
    learned,
    logs,
    problem_with,
)
from tests.venv.learners.test_bc import BC
from tests.venv.plants import equal_weights, train, weights_of


@pytest.mark.parametrize(("residual", "near"), [(True, 0.15), (["sun"], 0.03)])
def test_parameters_are_found_and_short_logs_suffice(tmp_path: Path, residual: Any, near: float) -> None:
    known = learned(described(tmp_path, parameters=PARAMETERS, residual=residual), tmp_path)
    found = fitted_parameters(known)["next_body"]
    for name, truth in TRUTH.items():
        assert found[name]["value"] == pytest.approx(truth, rel=near), name
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
        assert np.mean(found[name]["halves"]) == pytest.approx(found[name]["value"])
        assert not found[name]["at_bound"]
    assert found["k"]["units"] == "per minute"
    black_box = learned(described(tmp_path), tmp_path / "black")
    assert error_on_fresh_logs(known) < 0.7 * error_on_fresh_logs(black_box)


def test_without_a_residual_nothing_is_added(tmp_path: Path) -> None:
    graph = described(tmp_path, parameters=PARAMETERS, residual=False)
    problem = problem_with(graph, tmp_path, budget=40)
    learner = BehaviourCloning(problem, **BC)
    train(learner, tmp_path)
    venv, data = learner.result(), logs(50, 3)
    z = {name: venv.codec[name].encode(torch.as_tensor(value)) for name, value in data.items()}
    batch = {name: value.expand(venv.members, -1, -1) for name, value in z.items()}
    model = venv.model("next_body")
    with torch.no_grad():
        said = venv.codec["body"].decode(model.mode(*venv.node_inputs("next_body", batch)).double())[..., 0]
    assert model.principles is not None
    k, c = model.principles.values().detach().unsqueeze(1).unbind(-1)
    body, air, fan = (torch.as_tensor(data[name][:, 0]) for name in ("body", "air", "fan"))
    torch.testing.assert_close(said, body + k * (1 + c * fan**2) * (air - body), rtol=1e-5, atol=1e-4)


def test_a_bundle_holds_it_and_an_interruption_changes_nothing(tmp_path: Path) -> None:
    graph = described(tmp_path, parameters=PARAMETERS, residual=["sun"])
    assert DecisionGraph.from_json(graph.to_json()) == graph
    problem = problem_with(graph, tmp_path, budget=40)
    learner = BehaviourCloning(problem, **BC)
    train(learner, tmp_path / "one")
    venv = learner.result()
    save_venv(venv, tmp_path / "venv", {})
    read = read_venv(tmp_path / "venv", problem.code)
    assert equal_weights(weights_of(read), weights_of(venv))
    assert fitted_parameters(read) == fitted_parameters(venv)
    resumed = interrupted(lambda: BehaviourCloning(problem, **BC), tmp_path / "two", 2)
    assert equal_weights(weights_of(resumed.result()), weights_of(venv))
    with pytest.raises(UserError, match=r"runs code of yours: plant\.py"):
        load_venv(tmp_path / "venv")
    now = {
        name: np.array([[value]])
        for name, value in {"body": 50.0, "air": 20.0, "fan": 0.5, "sun": 0.0}.items()
    }
    assert load_venv(tmp_path / "venv", trust=True).step(now)["next_body"][0, 0] < 50.0
    with pytest.raises(UserError, match=r"computed by cooling of plant\.py"):
        require_exportable(Bundle.open("venv", tmp_path / "venv"))


# -- what is wrong with it -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"parameters": {"k": {"start": 2.0, "min": 0.0, "max": 1.0}}},
            "starts at 2.0, outside its bounds",
        ),
        ({"parameters": {"k": {"start": 0.5, "min": 1.0, "max": 1.0}}}, "'min' must be below 'max'"),
        ({"parameters": {"k": {"start": 0.5}}}, "says no start and bounds"),
        ({"parameters": {"k": 0.5}}, "says no start and bounds"),
        ({"parameters": {"k": {"start": 0.5, "min": 0, "max": 1, "unit": "s"}}}, "did you mean 'units'"),
        ({"parameters": PARAMETERS, "residual": ["moon"]}, "sees 'moon', which is no input of it"),
        ({"parameters": PARAMETERS, "residual": "sun"}, "write true, false, or a list"),
        ({"residual": True}, "cannot be called with one argument"),
    ],
)
def test_what_the_description_says_wrongly_is_one_message(tmp_path: Path, entry: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        described(tmp_path, **entry)
    assert len(caught.value.problems) == 1
    assert "expert_functions.next_body" in str(caught.value)


def test_a_function_without_a_second_argument_cannot_have_parameters(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be called with two arguments"):
        described(tmp_path, COOLING.replace("(data, parameters)", "(data)"), parameters=PARAMETERS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (COOLING.replace('data["air"]', 'data["water"]'), "(?s)plant.py.*line 2.*KeyError"),
        (COOLING.replace('parameters["k"]', 'parameters["q"]'), "KeyError: 'q'"),
        (
            COOLING.replace("return body", "return body[:, 0]"),
            r"cooling returned shape \(120, 120\) for 120 rows",
        ),
        (
            COOLING.replace("return body", "return 0 / body * 0 + (body - 99).log()"),
            "value that is not finite",
        ),
        (COOLING.replace("(air - body)", "(air - body.mean())"), "when other rows stand beside it"),
        (COOLING.replace('parameters["c"]', 'parameters["c"].detach()'), "no gradient to 'c'"),
        (COOLING.replace('parameters["c"]', "4"), "passes on no gradient to 'c'"),
        (
            COOLING.replace(
                "    return body", "    import torch\n    with torch.no_grad():\n        return body"
            ),
            "no gradient to its",
        ),
    ],
)
def test_a_function_that_fails_is_one_message(tmp_path: Path, body: str, said: str) -> None:
    graph = described(tmp_path, body, parameters=PARAMETERS)
    data = {name: torch.as_tensor(value) for name, value in logs(120, 1).items()}
    with pytest.raises(UserError, match=said) as caught:
        try_principles(UserCode.load(graph, tmp_path), graph, data)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].file == tmp_path / "plant.py"


def test_a_category_cannot_be_a_sum(tmp_path: Path) -> None:
    (tmp_path / "plant.py").write_text(COOLING)
    columns = [
        {"body": {"dim": "body", "type": "category", "values": [1, 2]}},
        {"fan": {"dim": "fan", "type": "continuous"}},
    ]
    functions = {"next_body": {"node_function": "plant.cooling", "parameters": PARAMETERS}}
    said = {
        "columns": columns,
        "graph": {"fan": ["body"], "next_body": ["body", "fan"]},
        "expert_functions": functions,
    }
    with pytest.raises(UserError, match="'body' is category"):
        parse_description({"metadata": said}, "test", tmp_path)
