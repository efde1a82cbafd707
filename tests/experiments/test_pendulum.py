from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.experiments.plant import assert_runs, assert_same_logs, logged_returns, returns, rewards, simulator


def test_every_step_and_reward_is_gymnasiums() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("Pendulum-v1").unwrapped
    plant, hand = simulator("pendulum").Simulator(3, 0), np.random.default_rng(0)
    for branch in range(3):
        env.reset(seed=0)
        env.state = np.array([plant.angle[branch, 0], plant.speed[branch, 0]])
        for _ in range(200):
            seen = plant.observe()
            torque = hand.uniform(-2.5, 2.5, (3, 1))  # beyond the limits too
            after = plant.step({"actions": torque})
            states, reward, *_ = env.step(torque[branch])
            np.testing.assert_allclose(after["next_states"][branch], states, atol=1e-5)
            ours = rewards("pendulum", {**seen, "actions": torque, **after})
            assert ours[branch] == pytest.approx(reward, abs=1e-6)
            env.state = np.array([plant.angle[branch, 0], plant.speed[branch, 0]])


def test_an_episode_is_as_long_as_gymnasiums() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    assert gymnasium.spec("Pendulum-v1").max_episode_steps == simulator("pendulum").EPISODE


def test_starts_are_spread_as_gymnasiums_are_and_follow_the_seed() -> None:
    plant = simulator("pendulum").Simulator(2000, 3)
    for value, bound in ((plant.angle, np.pi), (plant.speed, 1.0)):
        assert np.abs(value).max() <= bound
        np.testing.assert_allclose(np.percentile(value, [25, 75]), [-bound / 2, bound / 2], atol=0.1 * bound)
    other = simulator("pendulum").Simulator(2000, 4)
    assert not np.array_equal(plant.angle, other.angle)


def test_energy_is_kept_without_torque() -> None:
    module = simulator("pendulum")
    plant = module.Simulator(50, 0)
    before = module.energy(plant.observe()["states"])
    for _ in range(200):
        plant.step({"actions": np.zeros((50, 1))})
    after = module.energy(plant.observe()["states"])
    assert np.abs(after - before).max() < 1.0  # semi-implicit Euler keeps it about; its range is 10


def test_logs_are_of_a_controller_that_leaves_something_to_gain() -> None:
    module = simulator("pendulum")
    logs = module.make_data()
    assert_same_logs(logs, module.make_data())
    assert logs["index"].tolist() == list(range(200, 20001, 200))
    assert logged_returns("pendulum", logs).mean() == pytest.approx(-610, abs=1)

    def good(seen: dict[str, np.ndarray]) -> np.ndarray:
        return np.clip(module.swing_up(seen["states"], 10.0, 2.0), -2.0, 2.0)

    earned = returns("pendulum", module.Simulator(100, 5), "actions", good, module.EPISODE)
    assert earned.mean() > -180


def test_it_is_checked_and_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_runs("pendulum")
