"""Every method finds what was planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from revive.errors import UserError
from revive.graph.columns import Column
from revive.tuning.drawing import Random
from tests.tuning.conftest import GRADIENT, METHODS, Plant, quadratic

Make = Callable[..., Plant]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("direction", ["max", "min"])
def test_quadratic_optimum_is_recovered(plant: Make, method: str, direction: str) -> None:
    sign = 1.0 if direction == "max" else -1.0
    tuned = plant().tune(lambda data: sign * quadratic(data), method, direction=direction)
    assert tuned.values["p"]["p"] == pytest.approx(0.3, abs=1e-3)
    assert tuned.reward.mean == pytest.approx(0.0, abs=1e-5)
    assert tuned.judged <= 1.2 * 1600


@pytest.mark.parametrize("method", METHODS)
def test_quadratic_optimum_in_noise_is_within_three_standard_errors(plant: Make, method: str) -> None:
    noisy = plant(Column("p", "p", "continuous", min=-1.0, max=2.0), std=0.5)

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        return -((data["next_x"] - 0.5 * data["x"] - 0.3) ** 2)[..., 0]

    tuned = noisy.tune(reward, method, starts=16, horizon=10)
    (scan,) = tuned.scans
    assert scan.standard_error is not None
    assert 0 < scan.standard_error < 0.1
    assert abs(scan.best - 0.3) < 3 * scan.standard_error


def test_the_stated_error_is_the_one_over_repetitions(plant: Make) -> None:
    noisy = plant(Column("p", "p", "continuous", min=-1.0, max=2.0), std=0.5)

    def reward(data: Mapping[str, Tensor]) -> Tensor:
        return -((data["next_x"] - 0.5 * data["x"] - 0.3) ** 2)[..., 0]

    tuned = noisy.tune(reward, "auto", starts=16, horizon=10)
    # next_x - x / 2 = p + noise: its mean over two halves of 16 starts and 10 steps, at a spread of 0.5
    assert tuned.scans[0].standard_error == pytest.approx(0.5 / (2 * 16 * 10) ** 0.5, rel=0.4)


@pytest.mark.parametrize("method", METHODS)
def test_an_optimum_at_the_edge_is_reached(plant: Make, method: str) -> None:
    tuned = plant().tune(lambda data: data["p"][..., 0], method)
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
@pytest.mark.parametrize("method", ["auto", "random"])
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
