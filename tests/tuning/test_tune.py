"""What is said about the best point: interval, members, flat directions, scans."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from revive.errors import UserError
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.tuning.confirm import confirmed
from revive.tuning.objective import Objective
from revive.tuning.scene import logged_scene
from revive.tuning.space import Space
from tests.tuning.conftest import GRADIENT, MEMBERS, Plant, flat_sum, near, quadratic, tunable_graph
from tests.venv.plants import columns

Make = Callable[..., Plant]
TWO = (
    Column("gain", "p", "continuous", min=0.0, max=1.0),
    Column("bias", "p", "continuous", min=0.0, max=1.0),
)


def test_the_result_is_plain_data(plant: Make) -> None:
    found = plant().tune(quadratic).to_json()
    assert yaml.safe_load(yaml.safe_dump(found)) == found == json.loads(json.dumps(found))
    assert found["mode"] == "max"
    assert found["columns"]["p"]["p"]["value"] == found["values"]["p"]["p"]
    assert len(found["reward"]["members"]["means"]) == MEMBERS


def test_the_gain_is_held_against_the_values_of_the_logs(plant: Make) -> None:
    made = plant()
    tuned = made.tune(quadratic)
    assert tuned.logged is not None
    assert tuned.gain is not None
    usual = float(np.median(made.logged["p"]))
    assert tuned.logged.mean == pytest.approx(-((usual - 0.3) ** 2), rel=1e-3)
    assert tuned.gain[0] == pytest.approx((usual - 0.3) ** 2, rel=1e-2)
    assert tuned.gain[1] <= tuned.gain[0] <= tuned.gain[2]
    assert made.tune(lambda data: -quadratic(data), direction="min").gain == pytest.approx(
        tuned.gain, rel=1e-2
    )


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says(plant: Make) -> None:
    made = plant(std=0.5)
    space = Space.of(made.graph, made.logged)
    true, inside = 0.25, 0

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        return (data["next_x"] - 0.5 * data["x"])[..., 0]  # p + noise

    for seed in range(60):
        scene = logged_scene(made.venv, made.rows, branches=20, horizon=3, seed=seed, fresh=True)
        objective = Objective(made.venv, reward, space, scene, "max")
        found = confirmed(objective, objective.rewards(torch.tensor([[0.25]], dtype=torch.float64))[0])
        inside += found.low <= true <= found.high
    assert inside >= 52


@pytest.mark.slow
def test_intervals_of_reward_and_optimum_hold_the_truth_as_often_as_they_say(plant: Make) -> None:
    made = plant(Column("p", "p", "continuous", min=-1.0, max=2.0), std=0.5)
    space, runs, few, optimum = Space.of(made.graph, made.logged), 200, 0, 0
    point = torch.tensor([[1.25 / 3]], dtype=torch.float64)  # p = 0.25
    for luck in range(runs):
        scene = logged_scene(made.venv, made.rows, branches=3, horizon=3, seed=luck, fresh=True)
        objective = Objective(made.venv, near, space, scene, "max")
        found = confirmed(objective, objective.rewards(point)[0])  # six units: Student's t matters
        few += found.low <= -(0.05**2 + 0.5**2) <= found.high
        (scan,) = made.tune(near, GRADIENT, starts=16, horizon=10, luck=luck, budget=300).scans
        assert scan.standard_error is not None
        optimum += abs(scan.best - 0.3) <= 1.96 * scan.standard_error
    assert 0.90 * runs <= few <= 0.99 * runs
    assert 0.90 * runs <= optimum <= 0.99 * runs


@dataclass(frozen=True)
class Poor:
    """A search that stops where it starts."""

    def check(self, space: Space) -> None:
        """Any space will do."""

    def search(self, objective: Objective, budget: int, seed: int) -> Tensor:
        return torch.full((objective.space.size,), 0.9, dtype=torch.float64)


def test_the_choice_is_the_best_that_the_picture_shows(plant: Make) -> None:
    (scan,) = plant().tune(quadratic, Poor()).scans
    assert scan.mean.max() == pytest.approx(scan.mean[scan.values == scan.best][0])
    assert scan.best == pytest.approx(0.3, abs=0.02)


def test_every_member_says_what_it_would_choose(plant: Make) -> None:
    made = plant()
    with torch.no_grad():
        made.venv.model("next_x").net.skip.weight[:, 3, 0] = torch.tensor([0.5, 1.0, 0.75, 1.0])
    (scan,) = made.tune(near, horizon=3).scans
    assert scan.by_member == pytest.approx((0.3, 0.6), abs=2e-3)
    assert scan.to_json()["by_member"] == list(scan.by_member)


def test_a_flat_direction_is_said_in_words(plant: Make) -> None:
    tuned = plant(*TWO).tune(flat_sum, horizon=3)
    assert sum(tuned.values["p"].values()) == pytest.approx(0.8, abs=2e-3)
    (flat,) = tuned.flat
    assert "p.gain" in flat
    assert "together with p.bias" in flat
    assert all(scan.standard_error is None for scan in tuned.scans)


def test_a_column_without_effect_is_flat_by_itself(plant: Make) -> None:
    tuned = plant(*TWO).tune(lambda data: -((data["p"][..., 0] - 0.3) ** 2), horizon=3)
    (flat,) = tuned.flat
    assert flat.startswith("p.bias from ")
    assert "gain" not in flat


def test_a_peak_has_no_flat_direction(plant: Make) -> None:
    assert plant().tune(quadratic).flat == []


def test_discrete_values_that_do_as_well_are_named(plant: Make) -> None:
    column = Column("mode", "p", "category", values=(1.0, 2.0, 4.0))
    tuned = plant(column, push=[[0.0]] * 3).tune(lambda data: (data["p"][..., 0] > 1.5).float())
    assert {tuned.values["p"]["mode"], *tuned.scans[0].others} == {2.0, 4.0}


def test_caution_prefers_what_all_members_agree_on(plant: Make) -> None:
    made = plant()
    with torch.no_grad():  # the members disagree on what p does, in proportion to p
        slope = made.venv.model("next_x").net.skip.weight
        slope[:, 3, 0] = torch.tensor([0.5, 1.5, 0.5, 1.5])

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        return (data["next_x"] - 0.5 * data["x"])[..., 0]

    assert made.tune(reward, caution=0.0).values["p"]["p"] == pytest.approx(1.0, abs=1e-3)
    assert made.tune(reward, caution=3.0).values["p"]["p"] == pytest.approx(0.0, abs=1e-3)


def test_gradients_equal_finite_differences_and_segments_add_up(plant: Make) -> None:
    made = plant(*TWO, std=0.1)
    space = Space.of(made.graph, made.logged)
    scene = logged_scene(made.venv, made.rows, branches=3, horizon=7, seed=0)

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        return -(data["next_x"][..., 0] - 0.7).square() + 0.1 * data["u"][..., 0]

    point = torch.tensor([[0.4, 0.6]], dtype=torch.float64)
    for caution in (0.0, 1.0):
        objective = Objective(made.venv, reward, space, scene, "max", caution)
        value, slope = objective.gradient(point, 100)
        for i in range(2):
            step = torch.zeros(1, 2, dtype=torch.float64)
            step[0, i] = 1e-2
            difference = (objective.values(point + step) - objective.values(point - step)) / 2e-2
            assert float(slope[0, i]) == pytest.approx(float(difference), rel=2e-3)
        cut, _ = objective.gradient(point, 3)
        assert float(cut) == pytest.approx(float(value), abs=1e-6)
        assert float(value) == pytest.approx(float(objective.values(point)), abs=1e-6)


def test_candidates_of_one_batch_do_not_touch_each_other(plant: Make) -> None:
    made = plant(*TWO, std=0.3)
    objective = Objective(
        made.venv,
        lambda data: data["next_x"][..., 0],
        Space.of(made.graph, made.logged),
        logged_scene(made.venv, made.rows, branches=3, horizon=5, seed=0),
        "max",
    )
    points = torch.rand(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = objective.rewards(points)  # (P, M, S)
    alone = torch.cat([objective.rewards(point[None]) for point in points])
    assert together.shape == (7, MEMBERS, 3)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("column", "logged", "expected"),
    [
        ({}, [[1.0], [4.0]], (1.0, 4.0)),
        ({"min": 0.0}, [[1.0], [4.0]], (0.0, 4.0)),
        ({"min": 0.0, "max": 9.0}, [[1.0], [4.0]], (0.0, 9.0)),
        ({"scale": "cyclic", "period": 360.0}, [[1.0]], (0.0, 360.0)),
        ({"scale": "cyclic", "period": 360.0, "min": 90.0, "max": 180.0}, [[95.0]], (90.0, 180.0)),
    ],
)
def test_the_range_is_the_declared_one_or_what_was_seen(
    column: dict[str, Any], logged: list[list[float]], expected: tuple[float, float]
) -> None:
    graph = tunable_graph(Column("p", "p", "continuous", **column))
    (dimension,) = Space.of(graph, {"p": np.array(logged)}).dimensions
    assert (dimension.low, dimension.high) == expected


def test_points_and_physical_values_are_one_another() -> None:
    graph = tunable_graph(
        Column("rate", "p", "continuous", min=0.01, max=100.0, scale="log"),
        Column("mode", "p", "category", values=(7.0, 2.0)),
    )
    space = Space.of(graph, {"p": np.array([[1.0, 2.0], [1.0, 2.0], [50.0, 7.0]])})
    physical = space.physical(torch.tensor([[0.5, 1.0]], dtype=torch.float64))["p"]
    torch.testing.assert_close(physical, torch.tensor([[1.0, 2.0]], dtype=torch.float64))
    assert space.logged is not None
    torch.testing.assert_close(space.logged, torch.tensor([0.5, 1.0], dtype=torch.float64))


def test_every_column_without_a_range_is_named() -> None:
    graph = tunable_graph(*(Column(name, "p", "continuous") for name in ("a", "b", "c")))
    with pytest.raises(UserError, match="'a' has no range") as raised:
        Space.of(graph, {"p": np.array([[1.0, 0.0, 1.0], [1.0, 2.0, np.nan]])})
    assert [problem.place for problem in raised.value.problems] == ["p.a", "p.c"]


def test_a_graph_without_tunable_nodes_is_refused() -> None:
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    with pytest.raises(UserError, match="no tunable node"):
        Space.of(graph, {})
