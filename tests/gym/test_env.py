"""A venv bundle as a gymnasium environment."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

import revive  # noqa: E402
import revive.gym  # noqa: E402
from revive.errors import UserError  # noqa: E402
from tests.made_runs import EXPERIMENTS  # noqa: E402

ADVICE = ".*(symmetric and normalized|infinity).*"  # physical units are what is promised


def make(runs: Path, name: str, **options: Any) -> Any:
    options.setdefault("trust", True)
    return gymnasium.make(revive.gym.ID, bundle=runs / name / "venv", **options)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_gymnasiums_checker_finds_nothing(runs: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=ADVICE)
        check_env(make(runs, name).unwrapped)


def test_spaces_follow_from_the_columns(runs: Path) -> None:
    fridge, lander, pipeline = (make(runs, name) for name in EXPERIMENTS)
    assert fridge.action_space == gymnasium.spaces.Box(0.0, 10.0, (1,), np.float32)
    assert lander.action_space == gymnasium.spaces.Discrete(4)
    assert pipeline.observation_space.shape == (56,)
    assert pipeline.observation_space.high[-30:].tolist() == [1.0] * 30  # the valve's openings so far


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_same_seed_gives_the_same_episode(runs: Path, name: str) -> None:
    def episode(seed: int) -> np.ndarray:
        env = make(runs, name)
        rng = np.random.default_rng(0)
        seen, _ = env.reset(seed=seed)
        rows = [np.append(seen, 0.0)]
        for _ in range(20):
            action = rng.integers(4) if name == "lander_hover" else rng.uniform(0, 1, 1).astype(np.float32)
            seen, reward, *_ = env.step(action)
            rows.append(np.append(seen, reward))
        return np.stack(rows)

    np.testing.assert_array_equal(episode(3), episode(3))
    assert not np.allclose(episode(3), episode(4))


def test_an_episode_starts_from_a_logged_row_with_its_history(runs: Path) -> None:
    env = make(runs, "pipeline")
    venv = env.unwrapped.world.venv
    flow, opening = venv.scenario.arrays["flow"][:, 0], venv.scenario.arrays["action"][:, 0]
    seen, info = env.reset(seed=5)
    row = info["row"]
    first = int(venv.scenario.ends[venv.scenario.ends <= row].max(initial=0))
    frames = np.maximum(np.arange(row - 24, row + 1), first)
    np.testing.assert_allclose(seen[1:26], flow[frames], rtol=1e-5)
    np.testing.assert_allclose(seen[26:], opening[np.maximum(np.arange(row - 30, row), first)], rtol=1e-5)
    acted, *_ = env.step(np.array([0.9], np.float32))
    np.testing.assert_allclose(acted[1:25], seen[2:26], rtol=1e-5)
    assert acted[-1] == pytest.approx(0.9)


def test_exogenous_values_are_those_that_followed_in_the_logs(runs: Path) -> None:
    env = make(runs, "refrigerator", observe=["temperature", "door_open"], horizon="episode")
    door = env.unwrapped.world.venv.scenario.arrays["door_open"][:, 0]
    seen, info = env.reset(seed=1)
    row = info["row"]
    assert row % 1000 < 900, "choose another seed: the sample turns round at the end of a trajectory"
    for t in range(50):
        assert seen[1] == pytest.approx(door[row + t])
        seen, *_ = env.step(np.array([1.0], np.float32))


def test_an_episode_is_cut_where_the_venv_is_no_longer_trusted(runs: Path) -> None:
    venv = revive.load_venv(runs / "refrigerator" / "venv", trust=True)
    for horizon, steps in (("trusted", venv.scenario.trusted), ("episode", venv.scenario.longest), (7, 7)):
        env = gymnasium.make(revive.gym.ID, bundle=venv, horizon=horizon)
        env.reset(seed=0)
        for t in range(1, steps + 1):
            *_, terminated, truncated, _ = env.step(np.array([1.0], np.float32))
            assert not terminated
            assert truncated == (t == steps)


def test_done_terminates_and_the_bundles_reward_is_paid(runs: Path) -> None:
    env = make(runs, "lander_hover", horizon="episode")
    venv = env.unwrapped.world.venv
    seen, _ = env.reset(seed=0)
    for _ in range(venv.scenario.longest):
        seen, reward, terminated, truncated, _ = env.step(0)  # it falls
        if terminated or truncated:
            break
    assert terminated
    assert not truncated
    assert np.isfinite(reward)
    assert seen.shape == (4,)


def test_a_reward_of_ones_own_takes_the_place_of_the_bundles(runs: Path) -> None:
    env = make(runs, "refrigerator", trust=False, reward=lambda data: data["action"])
    env.reset(seed=0)
    assert env.step(np.array([2.5], np.float32))[1] == pytest.approx(2.5)


def test_a_reward_that_is_no_number_is_the_lowest_logged_one(runs: Path) -> None:
    env = make(runs, "refrigerator", reward=lambda data: data["action"] / 0.0 - data["action"] / 0.0)
    env.reset(seed=0)
    worst = env.unwrapped.world.venv.scenario.worst
    assert worst < 0
    assert env.step(np.array([2.5], np.float32))[1] == pytest.approx(worst)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trust": False}, r"the reward of this bundle is code of yours: reward\.py(.|\n)*trust=True"),
        ({"target": "acton"}, "'acton' is no decision node(.|\n)*action"),
        ({"observe": ["next_temperature"]}, "next_temperature"),
        ({"observe": ["temprature"]}, "temperature"),
        ({"horizon": 0}, "horizon: cannot be 0"),
        ({"horizon": "trustd"}, "horizon: cannot be 'trustd'"),
        ({"starts": "last"}, "starts: cannot be 'last'"),
    ],
)
def test_what_cannot_be_made_is_explained(runs: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make(runs, "refrigerator", **options)


@pytest.mark.parametrize(("action", "said"), [([np.nan], "not finite"), ([1.0, 2.0], "has shape")])
def test_what_is_no_action_is_explained(runs: Path, action: list[float], said: str) -> None:
    env = make(runs, "refrigerator", disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(UserError, match=said):
        env.unwrapped.step(np.array(action))


def test_stable_baselines_trains_on_it_unchanged(runs: Path) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    for name in EXPERIMENTS:
        model = sb3.PPO("MlpPolicy", make(runs, name), n_steps=64, batch_size=32, n_epochs=2, seed=0)
        model.learn(256)
        assert model.num_timesteps == 256
