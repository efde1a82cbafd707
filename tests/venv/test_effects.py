"""A sign that the user declares holds everywhere, whatever the data suggest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.windows import Rows, value_ranges
from revive.errors import UserError
from revive.graph.description import parse_description
from revive.venv.effects import EffectPenalty
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import hand_set, rows_of, train
from tests.venv.problems import multi_step, problem_of


def graph_of(effects: dict[str, Any], columns: list[dict[str, Any]] | None = None) -> Any:
    own = [
        {"x": {"dim": "x", "type": "continuous"}},
        {"u": {"dim": "u", "type": "continuous", "min": -5.0, "max": 5.0}},
    ]
    nodes = {"next_x": {"effects": effects}}
    graph = {"u": ["x"], "next_x": ["x", "u"]}
    described = {"metadata": {"columns": columns or own, "nodes": nodes, "graph": graph}}
    return parse_description(described, "test")


def falling_logs(rows: int, seed: int, slope: float) -> dict[str, np.ndarray]:
    """x' = 0.8 x + slope u, give or take 0.3; u was logged from -1 to 2 alone."""
    rng = np.random.default_rng(seed)
    u = rng.uniform(-1.0, 2.0, (rows, 1))
    x = np.zeros((rows + 1, 1))
    for t in range(rows):
        x[t + 1] = 0.8 * x[t] + slope * u[t] + 0.3 * rng.normal()
    return {"x": x[:-1], "u": u, "next_x": x[1:]}


def learned(
    effects: dict[str, Any], folder: Path, slope: float = -0.5, weight: float = 50.0
) -> tuple[VirtualEnv, Rows]:
    graph = graph_of(effects)
    halves = falling_logs(400, 1, slope), falling_logs(400, 2, slope)
    codec = Codec.fit(graph, halves[0])
    rows = rows_of(graph, codec, *halves)
    network, scales = NetworkSpec(hidden=(16,)), {"u": [1.0], "next_x": [0.7]}
    problem = problem_of(graph, codec, rows, network=network, scales=scales)
    fast = {"one_step_updates": 400, "curriculum": [[5, 50]], "lr": 1e-2, "multi_step_lr": 3e-3}
    made = multi_step(problem, **fast, effect_weight=weight)
    train(made, folder)
    return made.venv, rows


def next_x(venv: VirtualEnv, x: Tensor, u: Tensor) -> Tensor:
    """(M, N) in physical units, of (N,) in physical units."""
    codec = venv.codec
    parts = [codec[name].encode(value[:, None]) for name, value in (("x", x), ("u", u))]
    parts = [part.expand(venv.members, -1, -1) for part in parts]
    with torch.no_grad():
        return codec["x"].decode(venv.model("next_x").mode(torch.cat(parts, -1), parts[0]))[..., 0]


def slopes(venv: VirtualEnv, rows: Rows) -> Tensor:
    """d next_x / d u over the whole box: x as logged, u as declared; (M, states, steps)."""
    x = venv.codec["x"].decode(rows.values["x"])
    u = torch.linspace(-5.0, 5.0, 41)
    found = [
        next_x(venv, torch.full_like(u, float(at)), u).diff() / u.diff()
        for at in torch.linspace(float(x.min()), float(x.max()), 7)
    ]
    return torch.stack(found, dim=1)


@pytest.mark.parametrize(
    ("slope", "weight"),
    [(-0.1, 5.0), (-0.5, 50.0)],  # 50 is the shipped weight
)
def test_a_declared_sign_holds_on_the_whole_box_against_the_data(
    tmp_path: Path, slope: float, weight: float
) -> None:
    told, rows = learned({"u": {"next_x": "increasing"}}, tmp_path, slope, weight)
    assert (slopes(told, rows) > -0.005).all()


def test_without_a_declared_sign_the_data_decide(tmp_path: Path) -> None:
    free, rows = learned({}, tmp_path)
    assert (slopes(free, rows).mean((1, 2)) < -0.4).all()


def test_a_declared_sign_that_the_data_confirm_costs_no_accuracy(tmp_path: Path) -> None:
    told, rows = learned({"u": {"next_x": "decreasing"}}, tmp_path)
    assert (slopes(told, rows) < 0).all()
    x, u = torch.zeros(5), torch.linspace(-1, 2, 5)
    torch.testing.assert_close(next_x(told, x, u), (-0.5 * u).expand(4, -1), rtol=0, atol=0.15)


def test_a_largest_slope_is_in_physical_units(tmp_path: Path) -> None:
    told, rows = learned({"u": {"max_slope": 0.2}}, tmp_path)
    found = slopes(told, rows)
    assert float(found.abs().max()) < 0.22
    assert float(found.mean()) < -0.1  # as steep as it may


# -- the penalty itself ------------------------------------------------------------------------


def penalty(effects: dict[str, Any], slope_x: float, slope_u: float) -> float:
    """Of a plant of those slopes, per member; model space is physical."""
    graph = graph_of(effects)
    venv = hand_set(graph, {"u": ([[0.0]], [0.0]), "next_x": ([[slope_x - 1.0], [slope_u]], [0.0])})
    logs = {name: np.linspace(-1.0, 1.0, 30)[:, None] for name in ("x", "u", "next_x")}
    rows = rows_of(graph, venv.codec, logs, logs)
    made = EffectPenalty(venv, value_ranges(rows, venv.codec, graph))
    with torch.no_grad():
        return float(made(torch.Generator().manual_seed(0)).mean())


@pytest.mark.parametrize(
    ("effects", "slope_x", "slope_u", "wanted"),
    [
        ({}, 0.5, -0.5, 0.0),
        ({"u": {"next_x": "increasing"}}, 0.5, 0.5, 0.0),
        ({"u": {"next_x": "increasing"}}, 0.5, -0.5, 0.51),
        ({"u": {"next_x": "decreasing"}}, 0.5, 0.5, 0.51),
        ({"u": {"next_x": "decreasing"}}, 0.5, 0.0, 0.01),  # flat is not falling
        ({"x": {"next_x": "increasing"}}, 0.5, 0.0, 0.0),  # of the value itself, not of its change
        ({"x": {"next_x": "increasing"}}, -0.5, 0.0, 0.51),
        ({"u": {"max_slope": 0.3}}, 0.5, -0.5, 0.2),
        ({"u": {"max_slope": 0.6}}, 0.5, -0.5, 0.0),
        ({"u": {"next_x": "increasing", "max_slope": 0.3}}, 0.5, 0.5, 0.2),
    ],
)
def test_the_penalty_is_what_the_slope_lacks(
    effects: dict[str, Any], slope_x: float, slope_u: float, wanted: float
) -> None:
    assert penalty(effects, slope_x, slope_u) == pytest.approx(wanted, abs=1e-3)


def test_an_effect_of_the_second_of_two_columns_concerns_that_one() -> None:
    columns = [
        {"x": {"dim": "x", "type": "continuous"}},
        {"heater": {"dim": "u", "type": "continuous"}},
        {"fan": {"dim": "u", "type": "continuous"}},
    ]
    graph = graph_of({"fan": {"next_x": "decreasing"}}, columns)
    logs = {"x": np.linspace(-1, 1, 30)[:, None], "u": np.random.default_rng(0).normal(size=(30, 2))}
    logs["next_x"] = logs["x"]
    for heater, fan, wanted in ((-0.5, -0.5, 0.0), (0.5, -0.5, 0.0), (-0.5, 0.5, 0.51)):
        linear = {"u": ([[0.0, 0.0]], [0.0, 0.0]), "next_x": ([[0.0], [heater], [fan]], [0.0])}
        venv = hand_set(graph, linear)
        rows = rows_of(graph, venv.codec, logs, logs)
        made = EffectPenalty(venv, value_ranges(rows, venv.codec, graph))
        found = float(made(torch.Generator().manual_seed(0)).detach().mean())
        assert found == pytest.approx(wanted, abs=1e-3)


def test_a_cyclic_column_neither_rises_nor_falls() -> None:
    columns = [
        {"x": {"dim": "x", "type": "continuous"}},
        {"u": {"dim": "u", "type": "continuous", "scale": "cyclic", "period": 360}},
    ]
    graph = graph_of({"u": {"next_x": "increasing"}}, columns)
    codec = Codec.empty(graph)
    venv = VirtualEnv(graph, codec, 2, NetworkSpec(hidden=(4,)), {"u": [1.0, 1.0], "next_x": [1.0]})
    with pytest.raises(UserError, match="no effect of it can be declared"):
        EffectPenalty(venv, {})
