"""Networks that are monotone in declared inputs whatever their weights are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.bundles import Bundle
from revive.config.networks import OwnNetwork
from revive.data.codec import Codec
from revive.deploy.bundle import read_venv, save_venv
from revive.deploy.onnx_step import require_exportable
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.nn.monotone import MonotoneNet
from revive.pipeline.problems import own_networks
from revive.venv.functions import UserCode
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.node_model import NetworkSpec
from revive.venv.problem import VenvProblem
from revive.venv.virtual_env import VirtualEnv
from tests.contract import interrupted
from tests.venv.learners.test_bc import BC
from tests.venv.plants import equal_weights, rows_of, train, weights_of
from tests.venv.problems import multi_step, problem_of

SPEC = NetworkSpec(hidden=(12, 9), backbone="monotone")
SHAPES = {
    "residual": SPEC,
    "absolute": replace(SPEC, transition="absolute"),
    "conditioned": replace(SPEC, std="conditioned"),
    "student_t": replace(SPEC, head="student_t"),
}


def graph_of(effects: dict[str, Any], inputs: tuple[str, ...] = ("x", "u", "w")) -> DecisionGraph:
    """next_x of two columns from x, u (two columns, the second discrete) and w; what is declared of it."""
    columns = [{name: {"dim": name[0], "type": "continuous"}} for name in ("x0", "x1", "u0", "w")]
    columns.insert(3, {"u1": {"dim": "u", "type": "discrete", "min": 0, "max": 4, "num": 5}})
    columns.append({"kind": {"dim": "kind", "type": "category", "values": [1, 2]}})
    graph = {"u": ["x"], "next_x": [*inputs, "kind"]}
    described = {"columns": columns, "graph": graph, "nodes": {"next_x": {"effects": effects}}}
    return parse_description({"metadata": described}, "test")


EFFECTS: dict[str, Any] = {
    "u0": {"x0": "increasing", "x1": "decreasing"},
    "u1": {"x0": "decreasing"},
    "x0": {"x0": "increasing"},
    "x1": {"x1": "decreasing"},
}
SIGNS = {(2, 0): 1, (2, 1): -1, (3, 0): -1, (0, 0): 1, (1, 1): -1}  # (input dimension, output dimension)


def wild(graph: DecisionGraph, spec: NetworkSpec, seed: int) -> VirtualEnv:
    """A venv of large random weights."""
    scales = {"u": [1.0, 1.0], "next_x": [0.3, 2.0]}
    venv = VirtualEnv(graph, Codec.empty(graph), 2, NetworkSpec(hidden=(4,)), scales, nodes={"next_x": spec})
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in venv.parameters():
            parameter.copy_(3.0 * torch.randn(parameter.shape, generator=generator))
    return venv


def mean_at(venv: VirtualEnv, x: Tensor) -> Tensor:
    """What next_x is, from all of its inputs (M, N, inputs), in double precision."""
    model = venv.model("next_x").double()
    current = None if venv.current_name("next_x") is None else x[..., :2]
    with torch.no_grad():
        return model(x, current).mean


@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("reach", [1.0, 100.0])
def test_signs_hold_at_any_point_whatever_the_weights_are(name: str, reach: float) -> None:
    for seed in range(5):
        venv = wild(graph_of(EFFECTS), SHAPES[name], seed)
        generator = torch.Generator().manual_seed(seed)
        x = reach * torch.randn(2, 400, 7, generator=generator, dtype=torch.float64)
        for (column, output), sign in SIGNS.items():
            for step in (1e-3, 1.0, 50.0):
                moved = x.clone()
                moved[..., column] += step
                change = sign * (mean_at(venv, moved) - mean_at(venv, x))[..., output]
                assert float(change.min()) >= -1e-9 * reach


def test_what_is_not_declared_is_free() -> None:
    venv = wild(graph_of(EFFECTS), SPEC, 0)
    x = torch.randn(2, 400, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for column, output in ((4, 0), (4, 1), (3, 1), (1, 0)):
        moved = x.clone()
        moved[..., column] += 1.0
        change = (mean_at(venv, moved) - mean_at(venv, x))[..., output]
        assert (change > 0).any()
        assert (change < 0).any()


def test_nodes_without_declared_directions_are_perceptrons() -> None:
    venv = wild(graph_of({"u0": {"max_slope": 2.0}}), SPEC, 0)
    assert not isinstance(venv.model("next_x").net, MonotoneNet)


# -- after training ------------------------------------------------------------------------------


def plant(rows: int, seed: int, slope: float = 1.0) -> dict[str, np.ndarray]:
    """x0' = 0.7 x0 + slope tanh(2 u0) + 0.5 sin(2 w); x1' = 0.5 x1 - 0.3 u0^3, give or take 0.05."""
    rng = np.random.default_rng(seed)
    u0, u1 = rng.uniform(-1.5, 1.5, rows), rng.integers(0, 5, rows).astype(float)
    w, kind = rng.uniform(-2, 2, rows), rng.integers(1, 3, rows).astype(float)
    x = np.zeros((rows + 1, 2))
    for t in range(rows):
        x[t + 1, 0] = 0.7 * x[t, 0] + slope * np.tanh(2 * u0[t]) + 0.5 * np.sin(2 * w[t])
        x[t + 1, 1] = 0.5 * x[t, 1] - 0.3 * u0[t] ** 3
        x[t + 1] += 0.05 * rng.normal(size=2)
    u = np.stack([u0, u1], axis=1)
    return {"x": x[:-1], "u": u, "w": w[:, None], "kind": kind[:, None], "next_x": x[1:]}


def problem_with(
    spec: NetworkSpec, effects: dict[str, Any], slope: float = 1.0, **changed: Any
) -> VenvProblem:
    graph, halves = graph_of(effects), (plant(800, 1, slope), plant(800, 2, slope))
    codec = Codec.fit(graph, halves[0])
    rows = rows_of(graph, codec, *halves)
    return problem_of(graph, codec, rows, nodes={"next_x": spec}, **changed)


FAST: dict[str, Any] = {"one_step_updates": 500, "curriculum": (), "lr": 1e-2, "weight_decay": 0.03}
TRUE: dict[str, Any] = {"u0": {"x0": "increasing", "x1": "decreasing"}, "x0": {"x0": "increasing"}}


def spread_on_fresh_rows(venv: VirtualEnv) -> Tensor:
    """Root mean square error of next_x on new rows, each column by itself."""
    fresh = plant(1000, 9)
    z = {name: venv.codec[name].encode(torch.as_tensor(value)) for name, value in fresh.items()}
    batch = {name: value.expand(venv.members, -1, -1) for name, value in z.items()}
    with torch.no_grad():
        said = venv.codec["x"].decode(venv.model("next_x").mode(*venv.node_inputs("next_x", batch)))
    return (said - torch.as_tensor(fresh["next_x"])).square().mean((0, 1)).sqrt()


def test_a_monotone_plant_is_learned_nearly_as_fast_as_by_a_perceptron(tmp_path: Path) -> None:
    found = {}
    for name, spec in {
        "monotone": replace(SPEC, hidden=(24, 24)),
        "mlp": NetworkSpec(hidden=(24, 24)),
    }.items():
        learner = multi_step(problem_with(spec, TRUE, members=1, keep=1), **FAST, effect_weight=0.0)
        train(learner, tmp_path / name)
        found[name] = spread_on_fresh_rows(learner.venv)
    assert (found["monotone"] < found["mlp"] + 0.03).all(), found  # .05 is the plant's noise
    assert found["monotone"][0] < 0.07, found


def test_signs_hold_where_the_logs_say_otherwise(tmp_path: Path) -> None:
    learner = multi_step(problem_with(replace(SPEC, hidden=(16, 16)), TRUE, -1.0, members=1, keep=1), **FAST)
    train(learner, tmp_path)
    assert not learner.charges.effects.hinges  # nothing is left to charge for
    venv = learner.venv
    x = 5.0 * torch.randn(2, 500, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = x.clone()
    moved[..., 2] += 1.0
    change = mean_at(venv, moved) - mean_at(venv, x)
    assert float(change[..., 0].min()) >= -1e-9
    assert float(change[..., 1].max()) <= 1e-9


# -- bundles, interruptions, earlier venvs -------------------------------------------------------


def test_a_bundle_holds_it_and_an_interruption_changes_nothing(tmp_path: Path) -> None:
    problem = problem_with(replace(SPEC, std="conditioned"), EFFECTS, budget=40)
    learner = BehaviourCloning(problem, **BC)
    train(learner, tmp_path)
    venv = learner.result()
    save_venv(venv, tmp_path / "venv", {})
    read = read_venv(tmp_path / "venv", UserCode())
    assert equal_weights(weights_of(read), weights_of(venv))
    batch = problem.rows.at(torch.arange(40).expand(venv.members, -1), ("x", "u", "w", "kind"))
    for one, other in zip(venv.completed(batch).values(), read.completed(batch).values(), strict=True):
        assert torch.equal(one, other)
    resumed = interrupted(lambda: BehaviourCloning(problem, **BC), tmp_path, 2)
    assert equal_weights(weights_of(resumed.result()), weights_of(venv))
    with pytest.raises(UserError, match="the network of 'next_x' is not written as ONNX"):
        require_exportable(Bundle.open("venv", tmp_path / "venv"))


def test_weights_of_other_signs_are_not_taken_over() -> None:
    earlier, _ = problem_with(SPEC, TRUE).make(NetworkSpec(hidden=(8,)))
    same = problem_with(SPEC, TRUE, earlier=earlier).make(NetworkSpec(hidden=(8,)))[1]
    turned = {**TRUE, "u0": {"x0": "decreasing", "x1": "increasing"}}
    other = problem_with(SPEC, turned, earlier=earlier).make(NetworkSpec(hidden=(8,)))[1]
    assert (same, other) == ({"u", "next_x"}, {"u"})


# -- what is asked for by node -------------------------------------------------------------------

SHARED = {"hidden": None, "activation": "silu", "std": "constant", "head": "normal", "backbone": "mlp"}


def test_what_cannot_be_monotone_is_refused_by_name() -> None:
    graph = graph_of(TRUE)
    assert own_networks(graph, {**SHARED, "backbone": "monotone"}, {}) == {}
    with pytest.raises(UserError, match="no direction of an effect on 'u' is declared"):
        own_networks(graph, SHARED, {"u": OwnNetwork(backbone="monotone")})
    with pytest.raises(UserError, match="no node has an effect whose direction is declared"):
        own_networks(graph_of({}), {**SHARED, "backbone": "monotone"}, {})
    with pytest.raises(UserError, match="'mixture' is not monotone in the mean of 'next_x'"):
        own_networks(graph, SHARED, {"next_x": OwnNetwork(backbone="monotone", head="mixture")})
