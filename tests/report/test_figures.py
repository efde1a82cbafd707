from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.report import figures
from revive.venv.validation import rollout_error
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import columns, hand_set, rows_of


@pytest.fixture(scope="module")
def plant() -> tuple[VirtualEnv, Rows]:
    """A state of two columns, a wind, an action of two columns with one bound."""
    graph = DecisionGraph.build(
        [
            Column("level", "x", "continuous", units="m"),
            Column("flow", "x", "continuous"),
            *columns(wind=1),
            Column("valve", "u", "continuous", min=-2.0, max=3.0, units="%"),
            Column("pump", "u", "continuous"),
        ],
        {"u": ["x"], "next_x": ["x", "u", "wind"]},
    )
    rng = np.random.default_rng(0)
    weight = np.array([[-0.1, 0.0], [0.0, -0.2], [0.5, 0.0], [0.0, 0.3], [0.1, 0.1]])

    def half() -> dict[str, np.ndarray]:
        u, wind = rng.normal(size=(80, 2)), rng.normal(size=(80, 1))
        x = np.zeros((81, 2))
        for t in range(80):
            x[t + 1] = x[t] + np.concatenate([x[t], u[t], wind[t]]) @ weight
        return {"x": x[:-1], "wind": wind, "u": u, "next_x": x[1:]}

    linear = {"next_x": (weight, [0.0, 0.0]), "u": (np.zeros((2, 2)), [0.0, 0.0])}
    venv = hand_set(graph, linear, members=4, std=0.1, codec=Codec.empty(graph))
    return venv, rows_of(venv.graph, venv.codec, half(), half())


Draw = Callable[[VirtualEnv, Rows], Figure]


def control(venv: VirtualEnv, rows: Rows) -> Figure:
    logged = {name: rows.values[name].numpy()[:60] for name in ("x", "wind", "u")}
    learned = {name: value[:50] for name, value in logged.items()}
    return figures.control(venv.graph, {"the logs": logged, "learned policy": learned}, "same start")


@pytest.mark.parametrize(
    ("draw", "panels"),
    [
        (lambda venv, rows: figures.decision_graph(venv.graph), 1),
        (lambda venv, rows: figures.rollouts(venv, rows, horizon=20, most=2), 4),
        (lambda venv, rows: figures.error_by_horizon(venv, rollout_error(venv, rows, 20)), 2),
        (lambda venv, rows: figures.response_curves(venv, rows, "u", points=5), 8),
        (control, 5),
    ],
    ids=["graph", "rollouts", "errors", "responses", "control"],
)
def test_every_figure_becomes_a_picture(
    plant: tuple[VirtualEnv, Rows], tmp_path: Path, draw: Draw, panels: int
) -> None:
    figure = draw(*plant)
    assert len([axis for axis in figure.axes if axis.get_visible()]) == panels
    path = tmp_path / "figure.png"
    figures.save(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 5000


def texts(figure: Figure) -> str:
    labels = [axis.get_ylabel() + axis.get_xlabel() + axis.get_title() for axis in figure.axes]
    return "\n".join([*labels, *(text.get_text() for axis in figure.axes for text in axis.texts)])


def test_the_graph_shows_every_node_and_its_kind(plant: tuple[VirtualEnv, Rows]) -> None:
    graph = plant[0].graph
    shown = texts(figures.decision_graph(graph))
    for name in graph.nodes:
        assert f"{name}\n{graph[name].kind.value}" in shown


def test_axes_carry_columns_and_units(plant: tuple[VirtualEnv, Rows]) -> None:
    venv, rows = plant
    shown = texts(figures.response_curves(venv, rows, "u", points=3))
    for label in ("level [m]", "flow", "valve [%]", "pump"):
        assert label in shown


def test_rollouts_show_data_and_model_in_physical_units(plant: tuple[VirtualEnv, Rows]) -> None:
    """Here the model is the truth, so that its line lies on that of the data."""
    venv, rows = plant
    figure = figures.rollouts(venv, rows, horizon=20, most=2)
    for axis in figure.axes:
        lines = {line.get_label(): np.asarray(line.get_ydata(), dtype=float) for line in axis.get_lines()}
        np.testing.assert_allclose(lines["data"], lines["members' mean"], atol=1e-4)
        assert lines["data"].std() > 0


def test_response_curves_have_the_slope_of_the_plant_between_the_bounds(
    plant: tuple[VirtualEnv, Rows],
) -> None:
    venv, rows = plant
    axis = figures.response_curves(venv, rows, "u", points=5).axes[0]  # next level against the valve
    for line in axis.get_lines():
        x, y = (np.asarray(side, dtype=float) for side in line.get_data())
        assert (x[0], x[-1]) == (-2.0, 3.0)
        np.testing.assert_allclose(np.diff(y) / np.diff(x), 0.5, rtol=1e-3)
    assert len(axis.get_lines()) == venv.members


def test_a_target_that_nothing_follows_from_still_makes_a_figure(tmp_path: Path) -> None:
    graph = DecisionGraph.build(columns(x=1, u=1, v=1), {"u": ["x"], "v": ["u"], "next_x": ["x", "v"]})
    zero = {"u": ([[0.0]], [0.0]), "v": ([[0.0]], [0.0]), "next_x": ([[0.0], [0.0]], [0.0])}
    venv = hand_set(graph, zero)
    part = {name: np.random.default_rng(0).normal(size=(40, 1)) for name in graph.nodes}
    figure = figures.response_curves(venv, rows_of(venv.graph, venv.codec, part, part), "u", points=3)
    figures.save(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_figures_leave_the_venv_and_the_random_state_alone(plant: tuple[VirtualEnv, Rows]) -> None:
    venv, rows = plant
    before = torch.random.get_rng_state()
    figures.rollouts(venv, rows, horizon=10, most=1)
    assert torch.equal(torch.random.get_rng_state(), before)
