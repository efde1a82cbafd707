"""A venv bundle as a native vector environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

import revive.gym  # noqa: E402


def make(runs: Path, name: str, branches: int, **options: Any) -> Any:
    bundle = runs / name / "venv"
    return gymnasium.make_vec(revive.gym.ID, num_envs=branches, bundle=bundle, trust=True, **options)


def test_thousands_of_branches_are_one_step(runs: Path) -> None:
    envs = make(runs, "lander_hover", 2000)
    seen, infos = envs.reset(seed=1)
    assert seen.shape == (2000, 4)
    members = envs.unwrapped.world.venv.model.members
    assert set(infos["member"]) == set(range(members))
    for _ in range(3):
        seen, reward, terminated, truncated, _ = envs.step(envs.action_space.sample())
    assert envs.observation_space.contains(seen)
    assert reward.shape == terminated.shape == truncated.shape == (2000,)


def test_the_same_seed_gives_the_same_episodes(runs: Path) -> None:
    envs = make(runs, "refrigerator", 16)
    played = []
    for seed in (3, 3, 4):
        seen, _ = envs.reset(seed=seed)
        rows = [seen] + [envs.step(np.full((16, 1), 1.0, np.float32))[0] for _ in range(5)]
        played.append(np.stack(rows))
    np.testing.assert_array_equal(played[0], played[1])
    assert not np.allclose(played[0], played[2])


def test_a_branch_that_was_cut_starts_anew_in_the_next_step(runs: Path) -> None:
    envs = make(runs, "refrigerator", 3, horizon=2)
    envs.reset(seed=0)
    action = np.ones((3, 1), np.float32)
    flags = [envs.step(action) for _ in range(6)]
    assert [bool(truncated.all()) for _, _, _, truncated, _ in flags] == [
        False,
        True,
        False,
        False,
        True,
        False,
    ]
    rewards = np.stack([reward for _, reward, *_ in flags])
    assert (rewards[2] == 0).all()
    assert (rewards[[0, 1, 3, 4]] != 0).all()


def test_a_branch_that_was_cut_may_start_anew_in_the_same_step(runs: Path) -> None:
    envs = make(runs, "refrigerator", 3, horizon=2, autoreset_mode="SameStep")
    envs.reset(seed=0)
    action = np.ones((3, 1), np.float32)
    *_, infos = envs.step(action)
    assert not infos
    seen, _, _, truncated, infos = envs.step(action)
    assert truncated.all()
    assert infos["_final_obs"].all()
    assert not np.allclose(np.stack(list(infos["final_obs"])), seen)


def test_some_branches_are_reset_and_the_others_go_on_as_they_would_have(runs: Path) -> None:
    """Without noise a branch depends on nothing but its own start, member and actions."""
    action = np.ones((4, 1), np.float32)

    def play(mask: list[bool]) -> np.ndarray:
        envs = make(runs, "pipeline", 4, deterministic=True, autoreset_mode="Disabled")
        envs.reset(seed=7)
        envs.step(action)
        if any(mask):
            envs.reset(options={"reset_mask": np.array(mask)})
        return np.stack([envs.step(action)[0] for _ in range(3)])

    whole, partly = play([False] * 4), play([False, True, False, True])
    np.testing.assert_allclose(whole[:, [0, 2]], partly[:, [0, 2]], rtol=1e-6)
    assert not np.allclose(whole[:, [1, 3]], partly[:, [1, 3]])


def test_one_branch_and_many_say_the_same(runs: Path) -> None:
    envs = make(runs, "pipeline", 5, deterministic=True)
    seen, infos = envs.reset(seed=2)
    env = gymnasium.make(revive.gym.ID, bundle=runs / "pipeline" / "venv", trust=True, deterministic=True)
    env.reset(seed=0)
    alone = env.unwrapped.world.simulation
    for i in range(5):
        alone.place(infos["row"][i : i + 1], infos["member"][i : i + 1])
        np.testing.assert_allclose(env.unwrapped.world.observation()[0], seen[i], rtol=1e-6)
    after, reward, *_ = envs.step(np.full((5, 1), 0.3, np.float32))
    last, earned, *_ = env.step(np.full(1, 0.3, np.float32))
    np.testing.assert_allclose(last, after[4], rtol=1e-5)
    assert earned == pytest.approx(reward[4], rel=1e-5)
