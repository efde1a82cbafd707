from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.policy.reward import Reward
from revive.policy.smoothing import Endings, Smoothed, smoothed_reward, stops_gradient
from revive.venv.virtual_env import VirtualEnv
from tests.policy.conftest import Plant
from tests.venv.plants import columns, hand_set, logs_of, rows_of

STD = 0.2  # of the plant's residual


def smoothed(plant: Plant, outcome: object) -> Smoothed:
    return Smoothed(outcome, plant.venv, plant.rows, plant.linear_policy(0.0, 0.0))  # type: ignore[arg-type]


def many(plant: Plant, x: float, rows: int = 20000) -> dict[str, Tensor]:
    """So many times the same step, of each of the four members: (1, 4, rows, 1)."""
    values = {name: torch.zeros(1, 4, rows, 1) for name in plant.graph.nodes}
    values["next_x"] = torch.full((1, 4, rows, 1), x, requires_grad=True)
    return values


def normal(x: float) -> tuple[float, float]:
    """P(e < x / STD) of a standard normal e, and its slope in x."""
    z = torch.tensor(x / STD, dtype=torch.float64)
    density = torch.exp(-0.5 * z**2) / (2 * torch.pi) ** 0.5 / STD
    return float(torch.special.ndtr(z)), float(density)


@pytest.mark.parametrize("x", [-0.3, 0.0, 0.1])
def test_a_comparison_becomes_its_probability_with_the_slope_of_it(plant: Plant, x: float) -> None:
    made = smoothed(plant, lambda data: (data["next_x"][..., 0] > 0).float())
    values = many(plant, x)
    out = made(values, torch.Generator().manual_seed(0))
    (slope,) = torch.autograd.grad(out.sum(), values["next_x"])
    probability, density = normal(x)
    assert float(out.detach().mean()) == pytest.approx(probability, abs=0.005)
    assert float(slope.mean()) == pytest.approx(density, abs=0.03)
    assert made.has_cliffs


def test_what_is_smooth_keeps_autograds_gradient(plant: Plant) -> None:
    """Without noise of its own: the draws cancel."""
    made = smoothed(plant, lambda data: -3.0 * data["next_x"][..., 0] - data["u"][..., 0] ** 2)
    values = many(plant, 0.5, rows=10)
    values["u"] = torch.full((1, 4, 10, 1), 0.7, requires_grad=True)
    out = made(values, torch.Generator().manual_seed(0))
    slopes = torch.autograd.grad(out.sum(), [values["next_x"], values["u"]])
    torch.testing.assert_close(slopes[0], torch.full_like(slopes[0], -3.0))
    torch.testing.assert_close(slopes[1], torch.full_like(slopes[1], -1.4))


def test_a_mixed_reward_keeps_both_its_parts(plant: Plant) -> None:
    made = smoothed(
        plant, lambda data: -(data["next_x"][..., 0] ** 2) - 100.0 * (data["next_x"][..., 0] > 0.5).float()
    )
    values = many(plant, 0.4)
    (slope,) = torch.autograd.grad(made(values, torch.Generator().manual_seed(0)).sum(), values["next_x"])
    assert float(slope.mean()) == pytest.approx(-0.8 - 100.0 * normal(-0.1)[1], rel=0.02)
    assert made.has_cliffs


@pytest.mark.parametrize(
    ("function", "needed"),
    [
        (lambda x: -(x**2), False),
        (lambda x: -x.abs(), False),
        (lambda x: -(x**2) - 100.0 * (x > 0.3), True),
        (lambda x: torch.where(x.abs() < 0.3, 10.0, -0.3), True),
    ],
    ids=["square", "kink", "limit", "comparison"],
)
def test_only_cliffs_are_smoothed(plant: Plant, function: object, needed: bool) -> None:
    reward = Reward(lambda data: function(data["next_x"]), Path("reward.py"))  # type: ignore[operator]
    made = smoothed_reward(reward, 1.0, plant.venv, plant.rows, plant.linear_policy(0.0, 0.0))
    assert (made is not None) == needed


def test_only_what_the_outcome_reads_is_moved(plant: Plant) -> None:
    assert set(smoothed(plant, lambda data: (data["next_x"][..., 0] > 0).float()).std) == {"next_x"}
    assert set(smoothed(plant, lambda data: (data["x"][..., 0] > 0).float()).std) == {"x"}
    assert smoothed(plant, lambda data: (data["u"][..., 0] > 0).float()).std == {}


def ending(effect: float) -> tuple[VirtualEnv, DecisionGraph]:
    """x' = x + u, which ends more likely the larger `effect * x` is."""
    done = Column("done", "done", "category", values=(0.0, 1.0))
    graph = DecisionGraph.build([*columns(x=1, u=1), done], {"u": ["x"], "next_x": ["x", "u"], "done": ["x"]})
    none = (torch.zeros(1, 0), torch.zeros(0))
    linear = {"u": ([[0.0]], [0.0]), "next_x": ([[0.0], [1.0]], [0.0]), "done": none}
    venv = hand_set(graph, linear, members=4, std=STD)
    with torch.no_grad():
        venv.model("done").net.skip.weight.zero_()  # type: ignore[union-attr]
        venv.model("done").net.skip.weight[..., 0, 1] = effect  # type: ignore[union-attr]
        venv.model("done").net.skip.bias[..., 1] = -5.0  # type: ignore[union-attr]
    return venv.requires_grad_(False), graph


def test_a_learned_end_is_hard_and_has_the_gradient_of_its_probability(plant: Plant) -> None:
    venv, graph = ending(3.0)
    rows = rows_of(graph, venv.codec, *(logs_of(venv, 50, seed=s, start=0.0) for s in (1, 2)))
    ends = Endings(venv, rows, plant.linear_policy(0.0, 0.0, venv=venv))
    x = torch.linspace(0.0, 3.0, 7).expand(4, 7).unsqueeze(-1).clone().requires_grad_()
    rolled = venv.rollout({"x": x}, {}, 1)
    going = ends.going(rolled, torch.Generator().manual_seed(0))
    assert going is not None
    assert going[0, 0].tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    (slope,) = torch.autograd.grad(going.sum(), x)
    p = torch.sigmoid(3.0 * x - 5.0)
    torch.testing.assert_close(slope, (-3.0 * p * (1 - p)).detach())


def test_nothing_ends_where_there_is_no_done(plant: Plant) -> None:
    ends = Endings(plant.venv, plant.rows, plant.linear_policy(0.0, 0.0))
    assert not ends.exist
    assert ends.going({}, torch.Generator()) is None


def test_torch_passes_a_gradient_on(plant: Plant) -> None:
    assert stops_gradient(plant.venv, "u") is None
