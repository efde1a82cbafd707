"""Every method finds what was planted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from revive.errors import UserError
from revive.graph.columns import Column
from revive.tuning.drawing import Random
from tests.tuning.conftest import GRADIENT, METHODS, Plant, near, quadratic

Make = Callable[..., Plant]
BUDGET = {"optuna": 400}  # its proposals take a hundredth of a second each


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("direction", ["max", "min"])
def test_quadratic_optimum_is_recovered(plant: Make, method: str, direction: str) -> None:
    sign = 1.0 if direction == "max" else -1.0
    budget = BUDGET.get(method, 1600)
    tuned = plant().tune(lambda data: sign * quadratic(data), method, direction=direction, budget=budget)
    assert tuned.values["p"]["p"] == pytest.approx(0.3, abs=1e-3)
    assert tuned.reward.mean == pytest.approx(0.0, abs=1e-5)
    assert tuned.judged <= 1.2 * budget


@pytest.mark.parametrize("method", METHODS)
def test_quadratic_optimum_in_noise_is_within_three_standard_errors(plant: Make, method: str) -> None:
    noisy = plant(Column("p", "p", "continuous", min=-1.0, max=2.0), std=0.5)

    tuned = noisy.tune(near, method, starts=16, horizon=10, budget=BUDGET.get(method, 1600))
    (scan,) = tuned.scans
    assert scan.standard_error is not None
    assert 0 < scan.standard_error < 0.1
    assert abs(scan.best - 0.3) < 3 * scan.standard_error


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", METHODS)
def test_the_known_optimum_is_met_whatever_the_seed(plant: Make, method: str, seed: int) -> None:
    budget = BUDGET.get(method, 1600)
    exact = plant().tune(quadratic, method, seed=seed, luck=seed, budget=budget)
    assert exact.values["p"]["p"] == pytest.approx(0.3, abs=1e-3)
    made = plant(Column("p", "p", "continuous", min=-1.0, max=2.0), std=0.5)
    (scan,) = made.tune(near, method, starts=16, horizon=10, seed=seed, luck=seed, budget=budget).scans
    assert scan.standard_error is not None
    assert abs(scan.best - 0.3) < 3 * scan.standard_error


def test_the_stated_error_is_the_one_over_repetitions(plant: Make) -> None:
    noisy = plant(Column("p", "p", "continuous", min=-1.0, max=2.0), std=0.5)

    tuned = noisy.tune(near, "auto", starts=16, horizon=10)
    # next_x - x / 2 = p + noise: its mean over two halves of 16 starts and 10 steps, at a spread of 0.5
    assert tuned.scans[0].standard_error == pytest.approx(0.5 / (2 * 16 * 10) ** 0.5, rel=0.4)


@pytest.mark.parametrize("method", METHODS)
def test_an_optimum_at_the_edge_is_reached(plant: Make, method: str) -> None:
    tuned = plant().tune(lambda data: data["p"][..., 0], method, budget=BUDGET.get(method, 1600))
    assert tuned.values["p"]["p"] == pytest.approx(1.0, abs=1e-3)
    assert tuned.values["p"]["p"] <= 1.0
    assert tuned.scans[0].standard_error is None


def test_comparisons_have_no_gradient_and_are_searched_otherwise(plant: Make) -> None:
    def steps(data: Mapping[str, Tensor]) -> Tensor:
        return -(((data["p"][..., 0] - 0.3) * 20).round() ** 2)

    tuned = plant().tune(steps, "auto")
    assert tuned.values["p"]["p"] == pytest.approx(0.3, abs=0.026)
    with pytest.raises(UserError, match="no gradient"):
        plant().tune(steps, GRADIENT)


MODE = Column("mode", "p", "category", values=(3.0, 5.0, 9.0))
LEVEL = Column("level", "p", "discrete", min=0.0, max=2.0, num=5)
FREE = Column("free", "p", "continuous", min=0.0, max=1.0)


def planted(data: Mapping[str, Tensor]) -> Tensor:
    """Best at mode 5 and level 1.5, in whatever order the columns stand."""
    level, mode = data["p"][..., 0], data["p"][..., 1]
    return torch.where(mode == 5.0, 1.0, 0.0) - (level - 1.5) ** 2


@pytest.mark.parametrize("direction", ["max", "min"])
@pytest.mark.parametrize("method", ["auto", "random", "optuna"])
def test_enumeration_finds_the_planted_combination(plant: Make, method: str, direction: str) -> None:
    sign = 1.0 if direction == "max" else -1.0
    made = plant(LEVEL, MODE, push=[[0.0]] * 4)
    tuned = made.tune(lambda data: sign * planted(data), method, direction=direction)
    assert tuned.values == {"p": {"level": 1.5, "mode": 5.0}}
    assert tuned.judged == 15


def test_too_many_combinations_are_drawn_at_random(plant: Make) -> None:
    columns = [Column(f"c{i}", "p", "discrete", min=0.0, max=9.0, num=10) for i in range(6)]
    wanted = torch.tensor([3.0, 1.0, 4.0, 1.0, 5.0, 9.0])

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        return -((data["p"] - wanted).abs()).sum(-1)

    tuned = plant(*columns).tune(reward, Random(40, 1000), budget=8000, horizon=1, starts=1)
    assert list(tuned.values["p"].values()) == wanted.tolist()


def test_continuous_columns_beside_discrete_ones_are_followed_to_their_best(plant: Make) -> None:
    made = plant(FREE, LEVEL, MODE, push=[[0.0]] * 5)

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        p = data["p"]
        best = torch.where(p[..., 2] == 5.0, 0.3, 0.8)
        return torch.where(p[..., 2] == 5.0, 1.0, 0.0) - (p[..., 1] - 1.5) ** 2 - (p[..., 0] - best) ** 2

    tuned = made.tune(reward, "auto")
    assert tuned.values["p"]["mode"] == 5.0
    assert tuned.values["p"]["level"] == 1.5
    assert tuned.values["p"]["free"] == pytest.approx(0.3, abs=1e-3)


TABLE = [[0.1, 0.9, 0.2, 0.3], [0.4, 0.0, 0.8, 0.1], [0.2, 0.3, 0.1, 1.0], [0.7, 0.2, 0.0, 0.4]]


@pytest.mark.parametrize("method", ["random", "optuna", "auto"])
def test_no_change_of_a_single_discrete_column_gains_anything(plant: Make, method: str) -> None:
    columns = [Column(f"c{i}", "p", "category", values=(0.0, 1.0, 2.0, 3.0)) for i in range(8)]
    made, table = plant(*columns, push=[[0.0]] * 32), torch.tensor(TABLE)

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        p = data["p"].round().long()
        return table[p, p.roll(1, -1)].sum(-1)

    tuned = made.tune(reward, method, budget=BUDGET.get(method, 1600), horizon=1, starts=1)
    for scan in tuned.scans:
        assert scan.mean.max() == pytest.approx(tuned.reward.mean)


ANGLE = Column("angle", "p", "continuous", min=0.0, max=360.0, scale="cyclic")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("peak", [0.0, 350.0])
def test_a_cycle_has_no_edge(plant: Make, method: str, peak: float) -> None:
    def reward(data: Mapping[str, Tensor]) -> Tensor:
        return torch.cos(torch.deg2rad(data["p"][..., 0] - peak))

    made = plant(ANGLE, push=[[0.0], [0.0]])
    tuned = made.tune(reward, method, horizon=2, budget=BUDGET.get(method, 1600))
    found = tuned.values["p"]["angle"]
    assert 0.0 <= found < 360.0
    assert (found - peak + 180) % 360 - 180 == pytest.approx(0.0, abs=0.36)
    assert tuned.flat == []


@pytest.mark.parametrize("method", METHODS)
def test_a_logarithmic_column_is_searched_by_its_logarithm(plant: Make, method: str) -> None:
    made = plant(Column("rate", "p", "continuous", min=1e-3, max=1e3, scale="log"), push=[[0.0]])
    tuned = made.tune(
        lambda data: -((data["p"][..., 0].log() - 0.5) ** 2),
        method,
        horizon=2,
        budget=BUDGET.get(method, 1600),
    )
    assert math.log(tuned.values["p"]["rate"]) == pytest.approx(0.5, abs=1e-3 * math.log(1e6))


def test_the_right_combination_is_found_though_it_looks_worse_at_first(plant: Make) -> None:
    """Mode 5 is the better one, but only within a hundredth of the range of the continuous column."""
    made = plant(FREE, MODE, push=[[0.0]] * 4)

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        free, mode = data["p"][..., 0], data["p"][..., 1]
        sharp = 1.0 - (50 * (free - 0.7)).abs().clamp(max=4.0)
        return torch.where(mode == 5.0, sharp, 0.5 - (free - 0.2) ** 2)

    for direction, sign in (("max", 1.0), ("min", -1.0)):
        tuned = made.tune(lambda data, sign=sign: sign * reward(data), "auto", direction=direction, horizon=2)
        assert tuned.values["p"]["mode"] == 5.0
        assert tuned.values["p"]["free"] == pytest.approx(0.7, abs=2e-3)


def test_a_reward_in_numpy_is_searched_without_gradients(plant: Make) -> None:
    def reward(data: Mapping[str, Tensor]) -> Tensor:
        return -torch.as_tensor((data["p"][..., 0].numpy() - 0.3) ** 2)

    assert plant().tune(reward, "auto").values["p"]["p"] == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize("method", ["gradient", "cma"])
def test_methods_for_continuous_columns_refuse_others(plant: Make, method: str) -> None:
    with pytest.raises(UserError, match="level, mode has only so many values"):
        plant(LEVEL, MODE, push=[[0.0]] * 4).tune(planted, method)


def test_the_same_seed_gives_the_same_answer_and_leaves_global_generators_alone(plant: Make) -> None:
    import numpy as np

    state = np.random.get_state()[1].tolist()
    answers = [plant().tune(quadratic, "cma", seed=3).values for _ in range(2)]
    assert answers[0] == answers[1]
    assert np.random.get_state()[1].tolist() == state
