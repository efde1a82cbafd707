"""Steps of venvs as ONNX, where onnx and onnxruntime are installed: equal to the session that steps in torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.deploy import VenvSession, load_venv, save_venv
from revive.deploy.onnx_step import difference, drawn_inputs, export_step
from revive.deploy.step_graph import StepGraph
from revive.errors import UserError
from revive.graph.amend import amended
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.graph.found import Copied, Unseen
from revive.venv.functions import UserCode
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

X, Y = {"dim": "x", "type": "continuous"}, {"dim": "y", "type": "continuous"}
PLAIN = [
    {"level": {**X, "units": "m"}},
    {"flow": X},
    {"valve": {"dim": "u", "type": "continuous", "min": 0, "max": 10}},
]
MIXED = [
    {"kind": {"dim": "x", "type": "category", "values": [3, 1, 2]}},
    {"level": {**X, "scale": "quantile", "min": -5, "max": 20}},
    {"angle": {**X, "scale": "cyclic", "period": 360}},
    {"steps": {"dim": "x", "type": "discrete", "num": 5, "min": 0, "max": 4}},
    {"rate": {**X, "scale": "log"}},
    {"mode": {"dim": "u", "type": "category", "values": [0, 7, 9]}},
    {"demand": {"dim": "w", "type": "continuous", "scale": "minmax"}},
]
CIRCLE = [
    {"c": X},
    {"s": X},
    {"rate": Y},
    {"torque": {"dim": "u", "type": "continuous", "min": -2, "max": 2}},
]
GRAPHS: dict[str, dict[str, Any]] = {
    "plain": {"columns": PLAIN, "graph": {"u": ["x"], "next_x": ["x", "u"]}},
    "mixed": {"columns": MIXED, "graph": {"u": ["x", "w"], "next_x": ["x", "u", "w"]}},
    "circle": {
        "columns": CIRCLE,
        "graph": {"u": ["x", "y"], "next_y": ["x", "y", "u"], "next_x": ["x", "next_y"]},
        "circle": [["c", "s"]],
    },
    "history": {
        "columns": PLAIN,
        "nodes": {"x": {"ts": 3}, "u": {"ts": 2, "step_input": True}},
        "graph": {"u": ["ts_x", "ts_u"], "next_x": ["ts_x", "ts_u", "u"]},
    },
    "change": {"columns": PLAIN, "graph": {"u": ["x"], "delta_x": ["x", "u"], "next_x": ["x", "delta_x"]}},
    "done": {
        "columns": [*PLAIN, {"done": {"dim": "done", "type": "category", "values": [0, 1]}}],
        "graph": {"u": ["x"], "next_x": ["x", "u"], "done": ["next_x"]},
    },
}


def values_of(graph: DecisionGraph, rows: int) -> dict[str, np.ndarray]:
    """Legal values of every described node, (rows, d)."""
    rng, made = np.random.default_rng(1), {}
    for node in {graph.source_of(name) for name in graph.nodes}:
        if not graph.columns(node):
            continue
        parts = []
        for column in graph.columns(node):
            if column.choices:
                parts.append(rng.choice(column.choices, rows))
            elif column.scale == "log":
                parts.append(np.exp(rng.normal(size=rows)))
            else:
                parts.append(rng.normal(5.0, 2.0, rows) * (0.15 if column.name in ("c", "s") else 1.0))
        made[node] = np.stack(parts, axis=1)
    return made


def venv_of(
    kind: str,
    std: Any = "constant",
    observed: tuple[str, ...] = (),
    found: tuple[Any, ...] = (),
    head: Any = "normal",
    **more: Any,
) -> VirtualEnv:
    """A venv of four members with random weights."""
    graph = amended(parse_description({"metadata": GRAPHS[kind]}, "test"), found)
    torch.manual_seed(0)
    codec = Codec.fit(graph, values_of(graph, 400))
    scales = {name: [0.3] * codec.layout(name).ordered for name in graph.learned}
    spec = NetworkSpec(**{"hidden": (16, 16), "std": std, "head": head, **more})
    venv = VirtualEnv(graph, codec, 4, spec, scales, None, observed)
    with torch.no_grad():
        for weight in venv.models.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
        for name in observed:
            observer = venv.observer(name)
            observer.set(torch.rand_like(observer.logit))
    return venv.requires_grad_(False).eval()


def exported(folder: Path, venv: VirtualEnv) -> tuple[VenvSession, StepGraph, Any]:
    save_venv(venv, folder / "venv", {})
    said = export_step(folder / "venv", folder / "step.onnx")
    assert "differs from torch by at most" in said
    session = load_venv(folder / "venv")
    return session, StepGraph(session.model), onnxruntime.InferenceSession(folder / "step.onnx")


def apart(session: VenvSession, graph: StepGraph, model: Any, rows: int) -> np.ndarray:
    """Of each row, the largest difference from torch in model space."""
    given, called = drawn_inputs(graph, rows, seed=5)
    names = [entry.name for entry in model.get_inputs()]
    assert set(names) == set(given)
    outputs = [entry.name for entry in model.get_outputs()]
    found = dict(zip(outputs, model.run(outputs, given), strict=True))
    return difference(session, graph, found, called)


@pytest.mark.parametrize("std", ["constant", "conditioned"])
@pytest.mark.parametrize("kind", list(GRAPHS))
def test_it_steps_as_torch_does(tmp_path: Path, kind: str, std: str) -> None:
    far = apart(*exported(tmp_path, venv_of(kind, std)), rows=1000)
    if kind in (
        "mixed",
        "done",
    ):  # where two choices are as likely as each other, rounding may take the other one
        assert (far <= 1e-5).mean() > 0.995
    else:
        assert far.max() <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "circle", "history", "change"])
def test_ten_thousand_rows_are_within_the_promise(tmp_path: Path, kind: str) -> None:
    assert apart(*exported(tmp_path, venv_of(kind)), rows=10_000).max() <= 1e-5


def test_readings_are_filtered_as_in_a_rollout(tmp_path: Path) -> None:
    session, graph, model = exported(tmp_path, venv_of("plain", observed=("next_x",)))
    assert apart(session, graph, model, 500).max() <= 1e-5
    given, _ = drawn_inputs(graph, 5, seed=2)
    outputs = [entry.name for entry in model.get_outputs()]
    plain = dict(zip(outputs, model.run(outputs, given), strict=True))
    predicted = {**given, "predicted_x": given["x"] + 1.0}
    moved = dict(zip(outputs, model.run(outputs, predicted), strict=True))
    assert np.abs(moved["next_x"] - plain["next_x"]).max() > 1e-3


def test_copied_and_hidden_columns(tmp_path: Path) -> None:
    found = (Copied("x", "flow", "u", "valve"), Unseen("x", "level", ("next_x",)))
    session, graph, model = exported(tmp_path, venv_of("plain", found=found))
    assert session.graph["next_x"].copies
    assert session.graph["next_x"].unseen
    assert apart(session, graph, model, 500).max() <= 1e-5


@pytest.mark.parametrize("std", ["constant", "conditioned"])
@pytest.mark.parametrize("head", ["student_t", "zero_inflated"])
def test_values_that_are_no_gaussians(tmp_path: Path, head: str, std: str) -> None:
    assert apart(*exported(tmp_path, venv_of("plain", std, head=head)), rows=500).max() <= 1e-5


def test_a_mixture_is_named(tmp_path: Path) -> None:
    save_venv(venv_of("plain", head="mixture"), tmp_path / "venv", {})
    with pytest.raises(UserError, match="the node 'next_x' is a mixture"):
        export_step(tmp_path / "venv", tmp_path / "step.onnx")


@pytest.mark.parametrize("odd", [{"backbone": "residual"}, {"norm": "layer"}, {"activation": "elu"}])
def test_a_network_that_is_no_perceptron_of_ours_is_named(tmp_path: Path, odd: dict[str, str]) -> None:
    save_venv(venv_of("plain", **odd), tmp_path / "venv", {})
    with pytest.raises(UserError, match="the network of 'next_x' is not written as ONNX"):
        export_step(tmp_path / "venv", tmp_path / "step.onnx")


def test_a_transition_that_is_predicted_itself(tmp_path: Path) -> None:
    assert apart(*exported(tmp_path, venv_of("plain", transition="absolute")), rows=500).max() <= 1e-5


def test_a_rollout_of_steps(tmp_path: Path) -> None:
    session, graph, model = exported(tmp_path, venv_of("history"))
    outputs = [entry.name for entry in model.get_outputs()]
    given, called = drawn_inputs(graph, 3, seed=3)
    state, stepped = dict(given), dict(called)
    for _ in range(4):
        found = dict(zip(outputs, model.run(outputs, state), strict=True))
        wanted = session.step(stepped)
        np.testing.assert_allclose(found["next_x"], wanted["next_x"], atol=1e-4)
        state |= {name.removesuffix("_next"): found[name] for name in outputs if name.endswith("_next")}
        state["x"] = found["next_x"]
        stepped = {"x": state["x"], "u": state["u"], "ts_u": state["past_ts_u"]}
        stepped["ts_x"] = np.hstack([state["past_ts_x"], state["x"]])
        if "step_node_" in state:
            stepped["step_node_"] = state["step_node_"]


def test_the_file_says_its_columns_and_its_check(tmp_path: Path) -> None:
    exported(tmp_path, venv_of("plain"))
    made = onnx.load(tmp_path / "step.onnx")
    said = {entry.key: entry.value for entry in made.metadata_props}
    assert json.loads(said["revive.columns"])["x"][0] == {"name": "level", "units": "m"}
    assert json.loads(said["revive.next"]) == {"x": "next_x"}
    assert "run at export" in said["revive.check"]
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_node_that_is_code_is_named(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("def cool(data):\n    return data['x'] - data['u']\n")
    columns = [{"level": X}, {"valve": {"dim": "u", "type": "continuous", "min": 0, "max": 10}}]
    expert = {"next_x": {"node_function": "rules.cool"}}
    described = {"columns": columns, "graph": {"u": ["x"], "next_x": ["x", "u"]}, "expert_functions": expert}
    graph = parse_description({"metadata": described}, "test", tmp_path)
    codec = Codec.fit(graph, values_of(graph, 100))
    scales = {name: [1.0] for name in graph.learned}
    venv = VirtualEnv(graph, codec, 2, NetworkSpec((4,)), scales, UserCode.load(graph, tmp_path))
    save_venv(venv, tmp_path / "venv", {})
    with pytest.raises(UserError, match=r"the node 'next_x' is computed by cool of rules\.py"):
        export_step(tmp_path / "venv", tmp_path / "step.onnx")
    assert not (tmp_path / "step.onnx").exists()
