from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.experiments.plant import assert_runs, assert_same_logs, logged_returns, returns, rewards, simulator

NONE, LEFT, UP, RIGHT = 0, 1, 2, 3
METRES = np.array([10.0, 20 / 3])  # of one unit of x and y


def engines(which: int, batch: int) -> dict[str, np.ndarray]:
    return {"action": np.full((batch, 1), which)}


def test_without_an_engine_it_flies_a_parabola() -> None:
    plant = simulator("lander_hover").Simulator(20, 0)
    start = plant.observe()["obs"]
    speed = start[:, 2:] * [5.0, 7.5]  # m/s
    for _ in range(50):
        after = plant.step(engines(NONE, 20))
    flown = (after["next_obs"][:, :2] - start[:, :2]) * METRES
    np.testing.assert_allclose(flown[:, 0], speed[:, 0] * 1.0, rtol=1e-9)
    np.testing.assert_allclose(
        flown[:, 1], speed[:, 1] * 1.0 - 0.5 * 10.0 * 1.0**2, atol=0.11
    )  # one Euler step


@pytest.mark.parametrize(("engine", "push"), [(LEFT, (-1, 0)), (UP, (0, 1)), (RIGHT, (1, 0))])
def test_engines_push_where_their_names_say_and_scatter(engine: int, push: tuple[int, int]) -> None:
    module = simulator("lander_hover")
    plant = module.Simulator(20000, 0)
    before = plant.observe()["obs"][:, 2:]
    kick = plant.step(engines(engine, 20000))["next_obs"][:, 2:] - before + [0.0, module.GRAVITY]
    expected = np.array(push) * [module.SIDE, module.MAIN]
    np.testing.assert_allclose(kick.mean(0), expected, atol=1e-3)
    assert kick.std(0).min() > 0.0005
    forward = kick @ np.array(push)
    assert (forward > 0.45 * forward.mean()).all()


def test_the_main_engine_beats_gravity_at_its_weakest() -> None:
    module = simulator("lander_hover")
    assert module.MAIN - module.MAIN_SPREAD > module.GRAVITY


def test_it_is_lost_at_the_ground_and_beside_the_field_only() -> None:
    plant = simulator("lander_hover").Simulator(5, 0)
    plant.obs = np.array(
        [[0.0, 1.0, 0, 0], [0.0, 0.01, 0, -1], [0.99, 1, 2, 0], [-0.99, 1, -2, 0], [0, 9, 0, 0]]
    )
    assert plant.step(engines(NONE, 5))["done"][:, 0].tolist() == [0, 1, 1, 1, 0]


def test_reward_is_paid_in_the_box() -> None:
    obs = np.array([[0.19, 1.19, 5, 5], [0.21, 1, 0, 0], [0, 1.21, 0, 0], [-0.19, 0.81, 0, 0]])
    assert rewards("lander_hover", {"next_obs": obs}).tolist() == pytest.approx([10, -0.3, -0.3, 10])


def test_logs_are_of_a_controller_that_leaves_much_to_gain() -> None:
    module = simulator("lander_hover")
    logs = module.make_data()
    assert_same_logs(logs, module.make_data())
    ends = logs["index"] - 1
    lost = np.flatnonzero(logs["done"])
    assert np.isin(lost, ends).all()
    np.testing.assert_array_equal(
        logs["done"][ends, 0] == 0, np.diff(np.r_[-1, ends]) == 400
    )  # time is no loss
    assert 40 <= len(lost) <= 80
    assert logged_returns("lander_hover", logs).mean() == pytest.approx(318, abs=1)
    assert set(np.unique(logs["action"])) == {NONE, LEFT, UP, RIGHT}

    def brakes_in_time(seen: dict[str, np.ndarray]) -> np.ndarray:
        x, y, vx, vy = np.split(seen["obs"], 4, axis=1)
        ahead = x + 0.3 * vx + 0.2 * vx * np.abs(vx)
        sideways = np.where(np.abs(ahead) > 0.02, np.where(ahead > 0, LEFT, RIGHT), NONE)
        return np.where((1 - y) - 0.3 * vy > 0.02, UP, sideways)

    earned = returns("lander_hover", module.Simulator(100, 7), "action", brakes_in_time, module.EPISODE)
    assert earned.mean() > 2500


@pytest.mark.usefixtures("unrendered")
def test_its_venv_is_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_runs("lander_hover", "policy.mode=none")


def test_it_is_checked_and_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_runs("lander_hover")
